"""Read the whole serving copy of the lists: a million entries in some seconds, without holding the store up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from scoring.rules.watchlist_copy import FIELD_BYTES, NO_CHANGE, VALUE, CopyKeys, Port, StoreLost, read_name, refusal
from scoring.rules.watchlist_table import Columns, Rows, sorted_columns
from scoring.rules.watchlists import ListName

_COUNT: Final = 5_000


class Scanned(NamedTuple):
    """Entries as they are kept, one behind the other: fields of 24 bytes, values of 16."""

    fields: bytes
    values: bytes


class Snapshot(NamedTuple):
    """All entries, and the id of the last change that is surely in them; later ones may be."""

    epoch: bytes
    last: bytes
    names: tuple[ListName, ...]
    columns: Columns


def load(port: Port, keys: CopyKeys) -> Snapshot:
    """Read everything; StoreLost where there is no copy, StoreAway where the store does not answer."""
    ((epoch, last),) = ask(port, ("MGET", keys.epoch, keys.last))
    if epoch is None:
        raise StoreLost("the store has no lists")
    parts = [part for bucket in keys.buckets for part in scan(port, bucket)]
    names = names_of(port, keys)  # after the entries: every list of theirs is among them
    known = [(code, name) for code, name in names.items() if name is not None]
    columns = _columns(parts, [code for code, _ in known])
    return Snapshot(epoch, last or NO_CHANGE, tuple(name for _, name in known), columns)


def names_of(port: Port, keys: CopyKeys) -> dict[bytes, ListName | None]:
    """Return the lists by their codes; None: of a mode that this build does not know."""
    (reply,) = ask(port, ("HGETALL", keys.names))
    return {code: read_name(packed) for code, packed in zip(reply[::2], reply[1::2], strict=True)}


def scan(port: Port, bucket: str) -> Iterator[Scanned]:
    """Give the entries of a bucket, some thousand at a time; one that is written meanwhile may come twice."""
    cursor: Any = b"0"
    while True:
        ((cursor, pairs),) = ask(port, ("HSCAN", bucket, cursor, "COUNT", _COUNT))
        if pairs:
            yield Scanned(b"".join(pairs[::2]), b"".join(pairs[1::2]))
        if int(cursor) == 0:
            return


def ask(port: Port, *commands: Any) -> list[Any]:
    """Return the replies, none of them an error."""
    replies = port(*commands)
    for reply in replies:
        if isinstance(reply, Exception):
            raise refusal(reply)
    return replies


def _columns(parts: list[Scanned], codes: list[bytes]) -> Columns:
    fields = np.frombuffer(b"".join(part.fields for part in parts), np.uint8).reshape(-1, FIELD_BYTES)
    values = np.frombuffer(b"".join(part.values for part in parts), ">i8").reshape(-1, VALUE.size // 8)
    number, known = _numbers(fields[:, :8], codes)
    rows = Rows.of(np.ascontiguousarray(fields[known, 8:]).tobytes(), number[known], values[known, 0].astype(np.int64))
    return sorted_columns(rows)


def _numbers(codes: Any, known: list[bytes]) -> tuple[Any, Any]:
    """Return each row's list by number, and which rows are of a list that is known."""
    found = np.ascontiguousarray(codes).view(">u8").reshape(-1)
    every = np.frombuffer(b"".join(known), ">u8")
    if not len(every):
        return np.zeros(len(found), np.uint32), np.zeros(len(found), bool)
    order = np.argsort(every)
    at = order[np.minimum(np.searchsorted(every, found, sorter=order), len(every) - 1)]
    return at.astype(np.uint32), every[at] == found
