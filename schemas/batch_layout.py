"""How the batches and sections of schemas.batches lie in bytes: their fields in turn, and a digest of what they mean.

The fields are read off the dataclasses, so that a section or a field that is added is encoded without a change here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import IntEnum, auto
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from schemas.activity_statistics import STATISTICS
from schemas.batches import History, Recognition, SessionSummary, Shared, Signals, Velocity
from schemas.catalogue import load_catalogue
from schemas.columns import Columns
from schemas.recognition import COMBINATIONS, REPUTED
from schemas.ruling import Ruling
from schemas.velocity import ENTITIES, HOURS, KINDS, MEASURES, PLACES_KEPT, SCORES_KEPT, WINDOW_MS

LAYOUT_BYTES: Final = 8
C = TypeVar("C", bound=Columns)


class Kind(IntEnum):
    """What a field is."""

    ARRAY = auto()
    TEXTS = auto()  # tuple[str, ...]
    BLOBS = auto()  # tuple[bytes, ...]
    NUMBERS = auto()  # tuple[int, ...]
    RULINGS = auto()  # tuple[Ruling | None, ...]
    TEXT = auto()  # str, shared by all rows
    NUMBER = auto()  # int, shared by all rows
    SECTION = auto()
    OPTIONAL_SECTION = auto()


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a section."""

    name: str
    kind: Kind
    of: Any = None  # the section, or the element type of an array


# What columns of a section stand for, where that is settled by the build and not by the values.
_MEANING: dict[type[Columns], Callable[[], object]] = {
    Signals: lambda: load_catalogue().digest(),
    Velocity: lambda: (KINDS, WINDOW_MS),
    History: lambda: (SCORES_KEPT, PLACES_KEPT, HOURS),
    SessionSummary: lambda: STATISTICS,
    Recognition: lambda: (COMBINATIONS, REPUTED),
    Shared: lambda: (ENTITIES, MEASURES, WINDOW_MS),
}
_PLAIN: dict[Any, Kind] = {str: Kind.TEXT, int: Kind.NUMBER}
_TUPLES: dict[Any, Kind] = {str: Kind.TEXTS, bytes: Kind.BLOBS, int: Kind.NUMBERS, Ruling | None: Kind.RULINGS}


_FIELDS: dict[type[Columns], tuple[Field, ...]] = {}
_LAYOUTS: dict[type[Columns], bytes] = {}


def fields_of(section: type[Columns]) -> tuple[Field, ...]:
    """Return the fields of a section or batch in order; TypeError where one is of a type that cannot be encoded."""
    found = _FIELDS.get(section)
    if found is None:
        hints = get_type_hints(section)
        found = tuple(_field(section, field.name, hints[field.name]) for field in fields(section))
        _FIELDS[section] = found
    return found


def _field(section: type[Columns], name: str, hint: Any) -> Field:
    if hint in _PLAIN:
        return Field(name, _PLAIN[hint])
    if isinstance(hint, type) and issubclass(hint, Columns):
        return Field(name, Kind.SECTION, hint)
    if get_origin(hint) is tuple and get_args(hint)[1:] == (...,) and get_args(hint)[0] in _TUPLES:
        return Field(name, _TUPLES[get_args(hint)[0]])
    if get_origin(hint) is np.ndarray:
        return Field(name, Kind.ARRAY, np.dtype(get_args(get_args(hint)[1])[0]))
    if get_origin(hint) is UnionType and get_args(hint)[1:] == (NoneType,) and issubclass(get_args(hint)[0], Columns):
        return Field(name, Kind.OPTIONAL_SECTION, get_args(hint)[0])
    raise TypeError(f"{section.__name__}.{name} is of a type that schemas.batch_codec does not know: {hint}")


def layout_of(section: type[Columns]) -> bytes:
    """Return a digest of the fields, their order, types and meaning: two builds that agree on it read the same."""
    found = _LAYOUTS.get(section)
    if found is None:
        found = _LAYOUTS[section] = hashlib.sha256(_described(section).encode()).digest()[:LAYOUT_BYTES]
    return found


def no_rows(section: type[C]) -> C:
    """Return one without rows, for what only asks how many there are; its arrays have no shape beyond that."""
    return section(*map(_nothing, fields_of(section)))


def _nothing(field: Field) -> Any:
    if field.kind is Kind.ARRAY:
        return np.empty(0, field.of)
    if field.kind is Kind.SECTION:
        return no_rows(field.of)
    return {Kind.TEXT: "", Kind.NUMBER: 0, Kind.OPTIONAL_SECTION: None}.get(field.kind, ())


def _described(section: type[Columns]) -> str:
    meaning = _MEANING.get(section)
    said = [f"{section.__name__} {meaning() if meaning else ''}"]
    for field in fields_of(section):
        inner = _described(field.of) if field.kind in (Kind.SECTION, Kind.OPTIONAL_SECTION) else f"{field.of}"
        said.append(f"{field.name}:{field.kind.name}:{inner}")
    return "\n".join(said) + ";"
