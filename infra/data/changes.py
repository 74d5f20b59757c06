"""What an update changed in each file: versions, ranges, and how many addresses are covered before and after."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from enrichers.address_file import AddressFile, Stretches, read_address_file
from enrichers.address_table import ASN_FILE, CLASSES_FILE, COUNTRY_FILE
from enrichers.as_names import NAMES_FILE, AsNames, load_as_names
from enrichers.data_file import DataFileError
from enrichers.data_text import TextTable, read_text_table
from infra.data.build import Made
from schemas.networks import NETWORK_BIT

_ADDRESS_KINDS = {COUNTRY_FILE: "country", ASN_FILE: "asn", CLASSES_FILE: "classes"}
Content = AddressFile | AsNames | TextTable


class Covered(NamedTuple):
    """How many IPv4 addresses and IPv6 networks (/64) have a value."""

    four: int
    six: int


class Change(NamedTuple):
    """What became of one file. Numbers before are 0 where there was none that can be read."""

    file: str
    was: str  # the version before, empty where there was none
    version: str
    changed: bool  # its content; not how it was packed
    rows: int
    bytes: int
    added: int  # ranges, names or lines that were not there so
    removed: int
    covered_before: Covered
    covered_after: Covered
    classes: dict[str, tuple[int, int]]  # IPv4 addresses of each class of networks, before and after
    notes: tuple[str, ...]


def change_of(made: Made, directory: Path) -> Change:
    """Return what a file would change in a directory."""
    before = _read(directory, made.file)
    with TemporaryDirectory(prefix="clickgoose-data-") as fresh:
        (Path(fresh) / made.file).write_bytes(made.content)
        after = _read(Path(fresh), made.file)
    if after is None:
        raise ValueError(f"{made.file} was made and cannot be read")
    old, new = _rows(before), _rows(after)
    return Change(
        made.file,
        _version(before),
        made.version,
        _identity(before) != _identity(after),
        len(new),
        len(made.content),
        len(new - old),
        len(old - new),
        _covered(before),
        _covered(after),
        _classes(before, after) if made.file == CLASSES_FILE else {},
        made.notes,
    )


def _read(directory: Path, file: str) -> Content | None:
    """Return a file's content, None where it is missing or damaged."""
    try:
        if file in _ADDRESS_KINDS:
            return read_address_file(directory / file, _ADDRESS_KINDS[file])
        if file == NAMES_FILE:
            return load_as_names.__wrapped__(directory)
        return read_text_table(directory / file)
    except DataFileError:
        return None


def _version(content: Content | None) -> str:
    if content is None:
        return ""
    return content.version if isinstance(content, TextTable) else content.described.version


def _identity(content: Content | None) -> tuple[object, ...]:
    """Return what is equal where two files say the same."""
    if content is None:
        return ()
    if isinstance(content, TextTable):
        return content.version, content.sha256
    return (content.described,)


def _rows(content: Content | None) -> set[Any]:
    """Return a file's rows as they can be compared: ranges with their value, names by number, lines."""
    if isinstance(content, AddressFile):
        return {row for stretches in (content.four, content.six) for row in _ranges(stretches)}
    if isinstance(content, AsNames):
        return set(content.items())
    return set(content.lines) if content else set()


def _ranges(stretches: Stretches) -> set[tuple[int, int, int, int]]:
    width = stretches.starts.dtype.itemsize
    ends = [*stretches.starts[1:].tolist(), 0]
    rows = zip(stretches.starts.tolist(), ends, stretches.values.tolist(), strict=True)
    return {(width, start, end, value) for start, end, value in rows if value}


def _covered(content: Content | None) -> Covered:
    if not isinstance(content, AddressFile):
        return Covered(0, 0)
    return Covered(*(_count(stretches, stretches.values != 0) for stretches in (content.four, content.six)))


def _classes(before: Content | None, after: Content) -> dict[str, tuple[int, int]]:
    counts = [
        [_of_class(content, bit) if isinstance(content, AddressFile) else 0 for bit in NETWORK_BIT.values()]
        for content in (before, after)
    ]
    return {name: (old, new) for name, old, new in zip(NETWORK_BIT, *counts, strict=True)}


def _of_class(content: AddressFile, bit: int) -> int:
    return _count(content.four, (content.four.values & np.uint32(bit)) != 0)


def _count(stretches: Stretches, counted: NDArray[np.bool_]) -> int:
    """Return how many addresses lie in the stretches that count."""
    width = 8 * stretches.starts.dtype.itemsize
    starts = [*stretches.starts.tolist(), 1 << width]
    return sum(starts[row + 1] - starts[row] for row in np.flatnonzero(counted).tolist())
