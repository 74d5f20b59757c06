"""The signal catalogue, loaded from ``catalogue.toml`` and frozen.

A signal's wire position is its index inside its kind. Positions are given in order of ``since`` and then of
appearance, so a catalogue of an older version is always a prefix, kind by kind, of a newer one.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Kind = Literal["number", "boolean", "category", "text"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_LISTS: dict[str, Kind] = {
    "numbers": "number",
    "booleans": "boolean",
    "categories": "category",
    "texts": "text",
}
_CACHED_CHARACTERS = 256  # what a client may make the process remember, 65,536 times


@dataclass(frozen=True, slots=True)
class Signal:
    """One declared signal. ``position`` is its index among the signals of its kind."""

    name: str
    kind: Kind
    family: str
    position: int
    since: int
    minimum: float
    maximum: float
    outside: Literal["null", "dead"]
    unit: str
    doc: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All signals of one version, in wire order by kind."""

    version: int
    numbers: tuple[Signal, ...]
    booleans: tuple[Signal, ...]
    categories: tuple[Signal, ...]
    texts: tuple[Signal, ...]
    by_name: Mapping[str, Signal]
    families: Mapping[str, str]

    def __len__(self) -> int:
        """Return the number of signals."""
        return len(self.by_name)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by version: a catalogue is shared, never copied."""
        return (load_catalogue, ())

    def position(self, name: str, kind: Kind) -> int:
        """Return the wire position of a signal; a wrong name or kind is a bug of the caller (KeyError)."""
        signal = self.by_name[name]
        if signal.kind != kind:
            raise KeyError(f"signal {name!r} is a {signal.kind}, not a {kind}")
        return signal.position

    def number(self, name: str) -> int:
        """Return the column of a number."""
        return self.position(name, "number")

    def boolean(self, name: str) -> int:
        """Return the column of a boolean."""
        return self.position(name, "boolean")

    def category(self, name: str) -> int:
        """Return the column of a category."""
        return self.position(name, "category")

    def text(self, name: str) -> int:
        """Return the column of a text."""
        return self.position(name, "text")

    def counts(self) -> tuple[int, int, int, int]:
        """Return the number of numbers, booleans, categories and texts."""
        return len(self.numbers), len(self.booleans), len(self.categories), len(self.texts)

    def bounds(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
        """Return minimum float32[N], maximum float32[N] and whether outside means dead bool[N]."""
        low = np.array([s.minimum for s in self.numbers], np.float32)
        high = np.array([s.maximum for s in self.numbers], np.float32)
        dead = np.array([s.outside == "dead" for s in self.numbers], np.bool_)
        return low, high, dead

    def digest(self) -> str:
        """Return a SHA-256 over names, kinds and positions: what both sides of the wire must agree on."""
        lines = [f"{s.kind}:{s.position}:{s.name}" for kind in KINDS for s in self.of_kind(kind)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def of_kind(self, kind: Kind) -> tuple[Signal, ...]:
        """Return the signals of one kind in wire order."""
        return {
            "number": self.numbers,
            "boolean": self.booleans,
            "category": self.categories,
            "text": self.texts,
        }[kind]

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the nested debugging form's ``signals`` object."""
        properties = {s.name: _property(s) for s in self.by_name.values()}
        return {"type": "object", "additionalProperties": False, "properties": properties}


def _property(signal: Signal) -> dict[str, Any]:
    described = {"description": " ".join(filter(None, (signal.doc, signal.unit)))} if signal.doc or signal.unit else {}
    if signal.kind == "number":
        return {"type": ["number", "null"], **described}
    if signal.kind == "boolean":
        return {"type": ["boolean", "null"], **described}
    if signal.kind == "category":
        return {"type": ["string", "integer", "null"], **described}
    return {"type": ["string", "null"], "maxLength": 65_534, **described}


def _declared(families: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for family in families:
        for key, kind in _LISTS.items():
            for entry in family.get(key, []):
                fields = {"name": entry} if isinstance(entry, str) else dict(entry)
                fields["name"] = f"{family['name']}.{fields['name']}"
                found.append({"since": family.get("since", 1), **fields, "kind": kind, "family": family["name"]})
    return found


def parse_catalogue(text: str) -> Catalogue:
    """Parse a catalogue file. ValueError says which declaration is wrong."""
    data = tomllib.loads(text)
    declared = sorted(_declared(data["family"]), key=lambda fields: fields["since"])
    kinds: dict[Kind, list[Signal]] = {kind: [] for kind in KINDS}
    by_name: dict[str, Signal] = {}
    for fields in declared:
        kind = fields["kind"]
        signal = Signal(
            name=fields["name"],
            kind=kind,
            family=fields["family"],
            position=len(kinds[kind]),
            since=fields["since"],
            minimum=float(fields.get("min", "-inf")),
            maximum=float(fields.get("max", "inf")),
            outside=fields.get("outside", "null"),
            unit=fields.get("unit", ""),
            doc=fields.get("doc", ""),
        )
        if signal.name in by_name:
            raise ValueError(f"catalogue: signal {signal.name!r} is declared twice; remove one")
        if signal.since > data["version"]:
            raise ValueError(f"catalogue: signal {signal.name!r} is newer than version {data['version']}; raise it")
        kinds[kind].append(signal)
        by_name[signal.name] = signal
    families = {family["name"]: family["doc"] for family in data["family"]}
    lists = {key: tuple(kinds[kind]) for key, kind in _LISTS.items()}
    return Catalogue(version=data["version"], by_name=by_name, families=families, **lists)


@cache
def load_catalogue() -> Catalogue:
    """Return the catalogue of this build."""
    return parse_catalogue(resources.files(__package__).joinpath("catalogue.toml").read_text("utf-8"))


def category_hash(value: str) -> int:
    """Return the 32-bit FNV-1a of the UTF-8 bytes; 0 is kept for "absent", so a hash of 0 becomes 1.

    Stable across processes and languages, unlike ``hash()``; the agent computes the same with ``Math.imul``.
    Source: draft-eastlake-fnv, 32-bit parameters.
    """
    return _cached_fnv(value) if len(value) <= _CACHED_CHARACTERS else _fnv(value)


def _fnv(value: str) -> int:
    state = 0x811C9DC5
    for byte in value.encode("utf-8", "surrogatepass"):
        state = ((state ^ byte) * 0x01000193) & 0xFFFFFFFF
    return state or 1


_cached_fnv = lru_cache(maxsize=65_536)(_fnv)
