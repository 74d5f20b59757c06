"""The file of labelled fraud: what merchants' labels say of addresses, networks and autonomous systems.

``clickgoose reputation build`` writes it, the flow reads it at its start (``flow.reputation_file``)::

    "CGLF" | form u8 = 1 | u32 length of the description | description, JSON
    | for each of schemas.recognition.REPUTED: keys u64[k], decayed events f32[k], decayed fraud f32[k]
    | SHA-256 of all that comes before

little-endian, keys ascending. The description has when it was made, since when events count, their half-life and the
rows. Keys are hashes of addresses without a secret: treat the file as personal data.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from schemas.recognition import REPUTED, LabelledFraud, LabelTable, LabelTables, NoLabels

_HEAD = struct.Struct("<4sBI")
_MAGIC, _FORM = b"CGLF", 1
_DIGEST_BYTES = hashlib.sha256().digest_size
_COLUMNS = ("<u8", "<f4", "<f4")
_ROW_BYTES = sum(np.dtype(kind).itemsize for kind in _COLUMNS)


class ReputationFileError(ValueError):
    """A file of labelled fraud is missing or cannot be used; says which, and what to do."""


class ReputationDescribed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file says of itself. Times are milliseconds since the epoch."""

    made_at: int
    since: int
    half_life_days: float
    rows: tuple[int, ...]  # in the order of REPUTED


class ReputationFile(NamedTuple):
    """A file's content."""

    described: ReputationDescribed
    tables: tuple[LabelTable, ...]  # in the order of REPUTED
    version: str  # what results name: the day that it was made, and the content


def pack_reputation(tables: Sequence[LabelTable], made_at: int, since: int, half_life_days: float) -> bytes:
    """Return a file's bytes, the same for the same content. ValueError where a table is not as LabelTable says."""
    LabelTables(tables, "")
    body = b"".join(
        np.ascontiguousarray(column, kind).tobytes()
        for table in tables
        for column, kind in zip(table, _COLUMNS, strict=True)
    )
    rows = tuple(len(table.keys) for table in tables)
    said = msgspec.json.encode(ReputationDescribed(made_at, since, half_life_days, rows))
    whole = _HEAD.pack(_MAGIC, _FORM, len(said)) + said + body
    return whole + hashlib.sha256(whole).digest()


def read_reputation(path: Path) -> ReputationFile:
    """Return a file's content; ReputationFileError where it is missing, damaged or of another version."""
    remedy = f"make it again with `clickgoose reputation build --out {path}`."
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise ReputationFileError(f"The reputation file {path} cannot be read ({error.strerror}); {remedy}") from None
    try:
        return unpack_reputation(packed)
    except (ValueError, msgspec.MsgspecError, struct.error):
        raise ReputationFileError(f"The reputation file {path} is damaged or of another version; {remedy}") from None


def load_labelled_fraud(path: Path | None) -> LabelledFraud:
    """Return the labels of a file for the flow, none where no file is named; ReputationFileError as above."""
    if path is None:
        return NoLabels()
    found = read_reputation(path)
    return LabelTables(found.tables, found.version)


def unpack_reputation(packed: bytes) -> ReputationFile:
    """Return what a file's bytes hold; ValueError and its like where they are damaged."""
    magic, form, length = _HEAD.unpack_from(packed)
    if (magic, form) != (_MAGIC, _FORM):
        raise ValueError("no such file")
    whole, digest = memoryview(packed)[:-_DIGEST_BYTES], packed[-_DIGEST_BYTES:]
    if hashlib.sha256(whole).digest() != digest:
        raise ValueError("another digest")
    start = _HEAD.size + length
    described = msgspec.json.decode(whole[_HEAD.size : start], type=ReputationDescribed)
    body = whole[start:]
    if len(described.rows) != len(REPUTED) or min(described.rows) < 0 or len(body) != sum(described.rows) * _ROW_BYTES:
        raise ValueError("other sizes")
    tables, at = [], 0
    for rows in described.rows:
        columns: list[Any] = []
        for kind in _COLUMNS:
            columns.append(np.frombuffer(body, kind, rows, at))
            at += columns[-1].nbytes
        tables.append(LabelTable(*columns))
    LabelTables(tables, "")
    day = np.datetime64(described.made_at, "ms").astype("datetime64[D]")
    return ReputationFile(described, tuple(tables), f"{day}-{digest.hex()[:8]}")
