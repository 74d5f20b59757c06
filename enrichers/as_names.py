"""Names of autonomous systems, for the details of results and for the console: never for a decision.

A data file (``data_file.py``) whose body is packed with xz: the numbers' differences u32[n] by planes, then the names,
UTF-8, one a line.
"""

from __future__ import annotations

import lzma
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from enrichers.address_table import DATA
from enrichers.data_file import MOST_BYTES, Described, Form, pack_data_file, read_data_file, whole
from schemas.batches import U32

NAMES_FILE = "as_names.bin"
KIND = "as_names"


def _unpack(packed: bytes) -> bytes:
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ)
    return whole(unpacker, unpacker.decompress(packed, MOST_BYTES))


_FORM = Form(b"CGNA", lambda body: lzma.compress(body, preset=9), _unpack)


class AsNames:
    """Looks names up by number."""

    def __init__(self, described: Described, numbers: U32, text: bytes) -> None:
        """``numbers``: sorted; ``text``: their names, each ended by a line feed."""
        self.described = described
        self._numbers = numbers
        self._text = text
        self._ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n"))
        if len(self._ends) != len(numbers):
            raise ValueError("not one name a number")

    def __len__(self) -> int:
        """Return how many systems have a name."""
        return len(self._numbers)

    def items(self) -> list[tuple[int, str]]:
        """Return all numbers with their names."""
        return list(zip(self._numbers.tolist(), self._text.decode("utf-8").split("\n")[:-1], strict=True))

    def __getitem__(self, number: int) -> str:
        """Return a system's name, empty where it has none or the number is none."""
        if not 0 <= number < 1 << 32:
            return ""
        at = int(self._numbers.searchsorted(np.uint32(number)))  # of the column's own type, or it is copied
        if at == len(self._numbers) or int(self._numbers[at]) != number:
            return ""
        start = int(self._ends[at - 1]) + 1 if at else 0
        return self._text[start : int(self._ends[at])].decode("utf-8")


def pack_as_names(version: str, source: str, licence: str, names: dict[int, str]) -> bytes:
    """Return a file's bytes, the same for the same content."""
    numbers = np.array(sorted(names), "<u4")
    steps = np.diff(numbers, prepend=np.uint32(0)).astype("<u4")
    planes = np.ascontiguousarray(steps.view(np.uint8).reshape(-1, 4).T).tobytes()
    text = "".join(f"{' '.join(names[number].split())}\n" for number in numbers.tolist())
    return pack_data_file(_FORM, Described(KIND, version, source, licence, (len(names), 0), ""), planes + text.encode())


@cache
def load_as_names(directory: Path = DATA) -> AsNames:
    """Return the lookup of a directory's file, read once a process; DataFileError where it cannot be used."""
    return read_data_file(directory / NAMES_FILE, KIND, _FORM, _content)


@lru_cache(maxsize=4096)
def as_name(number: int) -> str:
    """Return the name of an autonomous system, empty where it has none: "Deutsche Telekom AG" for 3320."""
    return load_as_names()[number]


def _content(described: Described, body: bytes) -> AsNames:
    rows = described.rows[0]
    planes = np.frombuffer(body[: 4 * rows], np.uint8).reshape(4, rows)
    steps = np.ascontiguousarray(planes.T).view("<u4")[:, 0]
    numbers = np.cumsum(steps, dtype=np.uint32)
    if rows == 0 or not (numbers[1:] > numbers[:-1]).all():
        raise ValueError("numbers in disorder")
    return AsNames(described, numbers, body[4 * rows :])
