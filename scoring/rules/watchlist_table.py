"""All lists of an installation in the memory of a process: 28 bytes an entry in columns, and what changed since.

A table never changes; ``changed`` gives a new one that shares the columns, so readers need no lock and a decision sees
one moment. Rows are sorted by digest, and an index of its first bits says where to look: an entry is found by
a bisection of some four rows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.rules.answers import Entity, Entry, Membership, Standing, Unanswered
from scoring.rules.watchlists import DIGEST_BYTES, FOREVER, REMOVED, Line, ListKeys, ListName

U64 = NDArray[np.uint64]
U32 = NDArray[np.uint32]
I64 = NDArray[np.int64]
_MOST_OVERLAID: Final = 4_096
_ROWS_OF_A_BUCKET: Final = 4
_NOTHING: Final = Standing()


class Rows(NamedTuple):
    """Entries in columns, each of n: the digest's halves (big-endian), the list's number, and until in ms."""

    high: U64
    low: U64
    list: U32
    until: I64

    @classmethod
    def of(cls, digests: bytes, lists: U32, until: I64) -> Rows:
        """Return columns of digests that stand one behind the other."""
        halves = np.frombuffer(digests, ">u8").astype(np.uint64).reshape(-1, 2)
        return cls(np.ascontiguousarray(halves[:, 0]), np.ascontiguousarray(halves[:, 1]), lists, until)

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Rows:
        """Return some rows."""
        return Rows(self.high[which], self.low[which], self.list[which], self.until[which])


class Columns:
    """Sorted rows, and where those of each bucket begin."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.size = len(rows.high)
        bits = max((self.size // _ROWS_OF_A_BUCKET).bit_length(), 1)
        self._shift = 64 - bits
        edges = np.arange(2**bits, dtype=np.uint64) << np.uint64(self._shift)
        self._starts = _numbers(np.append(np.searchsorted(rows.high, edges), self.size).astype(np.uint32))
        self._high, self._low = _numbers(rows.high), _numbers(rows.low)
        self._list, self._until = _numbers(rows.list), _numbers(rows.until)

    @property
    def memory(self) -> int:
        """Return the bytes that the columns and their index take."""
        return self._starts.nbytes + sum(column.nbytes for column in self.rows)

    @cached_property
    def counts(self) -> list[int]:
        """Return the entries of each list, by number."""
        found: list[int] = np.bincount(self.rows.list).tolist()
        return found

    def find(self, digest: bytes) -> list[tuple[int, int]]:
        """Return the lists that have a digest, by number, each with its until."""
        high = int.from_bytes(digest[:8], "big")
        bucket = high >> self._shift
        end = self._starts[bucket + 1]
        at = bisect_left(self._high, high, self._starts[bucket], end)
        if at >= end or self._high[at] != high:
            return []
        low = int.from_bytes(digest[8:], "big")
        found = []
        while at < end and self._high[at] == high:
            if self._low[at] == low:
                found.append((self._list[at], self._until[at]))
            at += 1
        return found

    def merged(self, news: Rows) -> Columns:
        """Return columns in which new rows stand for old ones; those that are REMOVED are left out."""
        kept = np.ones(self.size, bool)
        places = self._places(news)
        kept[places[places >= 0]] = False
        old = self.rows.take(kept)
        held = news.take(news.until != REMOVED)
        added = held.take(np.argsort(held.high, kind="stable"))
        at = np.searchsorted(old.high, added.high)
        high, low = np.insert(old.high, at, added.high), np.insert(old.low, at, added.low)
        return Columns(Rows(high, low, np.insert(old.list, at, added.list), np.insert(old.until, at, added.until)))

    def _places(self, rows: Rows) -> I64:
        """Return where rows stand, by digest and list; -1 where they do not."""
        at = np.searchsorted(self.rows.high, rows.high)
        ends = np.searchsorted(self.rows.high, rows.high, "right")
        found = np.full(len(at), -1, np.int64)
        while (open_rows := np.flatnonzero((at < ends) & (found < 0))).size:  # as often as rows share eight bytes
            here = at[open_rows]
            same = (self.rows.low[here] == rows.low[open_rows]) & (self.rows.list[here] == rows.list[open_rows])
            found[open_rows[same]] = here[same]
            at[open_rows] += 1
        return found


def sorted_columns(rows: Rows) -> Columns:
    """Return the columns of rows in any order; of two for the same entry the later one holds."""
    order = np.lexsort((rows.list, rows.low, rows.high))  # stable: the later of two alike stands behind
    rows = rows.take(order)
    last = np.ones(len(order), bool)
    keys = (rows.high, rows.low, rows.list)
    last[:-1] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys]) if len(order) else True
    return Columns(rows.take(last & (rows.until != REMOVED)))


def no_columns() -> Columns:
    """Return columns without rows."""
    none = np.empty(0, np.uint64)
    return Columns(Rows(none, none, np.empty(0, np.uint32), np.empty(0, np.int64)))


class ListTable:
    """The lists of all merchants at one moment: implements ``scoring.rules.lists.Lists``."""

    def __init__(
        self,
        keys: ListKeys,
        names: tuple[ListName, ...] = (),
        columns: Columns | None = None,
        overlay: Mapping[bytes, Mapping[int, int]] | None = None,
    ) -> None:
        self.names = names
        self._keys = keys
        self.columns = columns or no_columns()
        self._overlay = overlay or {}
        self._numbers = {name: number for number, name in enumerate(names)}
        self._of_entities = {name.merchant for name in names if name.mode != "named"}
        self._named = {name.merchant for name in names if name.mode == "named"}
        self._views: dict[str, _OfMerchant] = {}

    def of(self, merchant: str, /) -> _OfMerchant:
        """Return those that a merchant's events are judged by: its own, and the global ones."""
        view = self._views.get(merchant)
        if view is None:
            scopes = dict.fromkeys((merchant, ""))
            of_entities = tuple(scope for scope in scopes if scope in self._of_entities)
            named = tuple(scope for scope in scopes if scope in self._named)
            view = self._views[merchant] = _OfMerchant(self, self._keys, of_entities, named)
        return view

    def find(self, digest: bytes) -> list[tuple[int, int]]:
        """Return the numbers of the lists that have a digest, each with its until."""
        found = self.columns.find(digest)
        recent = self._overlay.get(digest)
        if recent is None:
            return found
        return [pair for pair in ({**dict(found), **recent}).items() if pair[1] != REMOVED]

    def until(self, name: ListName, digest: bytes) -> int:
        """Return what a list says of a digest; REMOVED where it has it not."""
        number = self._numbers.get(name)
        return next((until for found, until in self.find(digest) if found == number), REMOVED)

    def changed(self, lines: Iterable[Line]) -> ListTable:
        """Return the table after changes, of which the later ones stand over the earlier."""
        numbers, overlay = dict(self._numbers), dict(self._overlay)
        fresh: dict[bytes, dict[int, int]] = {}
        for line in lines:
            number = numbers.setdefault(line.list, len(numbers))
            row = fresh.get(line.digest)
            if row is None:
                row = overlay[line.digest] = fresh[line.digest] = dict(overlay.get(line.digest, {}))
            row[number] = line.until
        if len(overlay) <= _MOST_OVERLAID:
            return ListTable(self._keys, tuple(numbers), self.columns, overlay)
        return ListTable(self._keys, tuple(numbers), self.columns.merged(_rows(overlay)))

    def counts(self) -> dict[ListName, int]:
        """Return how many entries each list has, ended ones included; a tenth of a second for a million."""
        columns = self.columns.merged(_rows(self._overlay)) if self._overlay else self.columns
        return {self.names[number]: count for number, count in enumerate(columns.counts) if count}

    def held(self, merchant: str) -> int:
        """Return about how many entries a merchant has: what changed a moment ago counts as new."""
        own = {number for number, name in enumerate(self.names) if name.merchant == merchant}
        settled = sum(count for number, count in enumerate(self.columns.counts) if number in own)
        return settled + sum(number in own for row in self._overlay.values() for number in row)

    @property
    def memory(self) -> int:
        """Return the bytes of the columns."""
        return self.columns.memory

    @property
    def size(self) -> int:
        """Return the entries in the columns: those that changed a moment ago are counted later."""
        return self.columns.size


class _OfMerchant:
    """What one merchant's events are judged by: its own lists and the global ones, as far as there are any.

    ``of_entities``, ``named``: of the merchant and the global one (""), those that have lists of this sort.
    """

    def __init__(self, table: ListTable, keys: ListKeys, of_entities: tuple[str, ...], named: tuple[str, ...]) -> None:
        self._table, self._digest, self._of_entities, self._named = table, keys.digest, of_entities, named

    def __bool__(self) -> bool:
        """Return whether there are lists that could say something."""
        return bool(self._of_entities or self._named)

    def member(self, membership: Membership, /) -> Entry | None:
        """Return the line of the list that has the value, None where it has not; of two the one that ends later."""
        latest = REMOVED
        for name, until in self._found(self._named, "", membership.value):
            if name.mode == "named" and name.name == membership.list:
                latest = max(latest, until)
        return None if latest == REMOVED else Entry(membership.list, _ends(latest))

    def standing(self, entity: Entity, /) -> Standing:
        """Return what is said of an entity; of several lists that allow it, or deny it, the one that ends last."""
        found = self._found(self._of_entities, entity.kind, entity.value)
        if not found:
            return _NOTHING
        entries: dict[str, tuple[int, Entry]] = {}
        snoozed: dict[str, int] = {}
        for name, until in found:
            if name.mode == "snooze":
                snoozed[name.name] = max(until, snoozed.get(name.name, until))
            elif name.mode not in entries or until > entries[name.mode][0]:
                entries[name.mode] = until, Entry(name.name, _ends(until))
        allow, deny = entries.get("allow"), entries.get("deny")
        return Standing(allow and allow[1], deny and deny[1], snoozed)

    def _found(self, scopes: tuple[str, ...], kind: str, value: str) -> list[tuple[ListName, int]]:
        table, found = self._table, []
        for scope in scopes:
            if rows := table.find(self._digest(scope, kind, value)):
                found += [(table.names[number], until) for number, until in rows]
        return found


class NotLoaded:
    """The lists of a process that has not read them yet: nobody knows what they say."""

    def __init__(self, reason: str) -> None:
        self._unanswered = Unanswered(reason)

    def of(self, merchant: str, /) -> NotLoaded:
        """Return itself: the same holds for everybody."""
        return self

    def member(self, membership: Membership, /) -> Unanswered:
        """Return that it is not known."""
        return self._unanswered

    def standing(self, entity: Entity, /) -> Unanswered:
        """Return that it is not known."""
        return self._unanswered


def _numbers(column: U64 | U32 | I64) -> memoryview[int]:
    """Return a column that gives Python's own numbers, which is several times faster than NumPy's array does."""
    return memoryview(column)  # type: ignore[arg-type] # NumPy's arrays are buffers


def _ends(until: int) -> int | None:
    return None if until == FOREVER else until


def _rows(overlay: Mapping[bytes, Mapping[int, int]]) -> Rows:
    flat = [(digest, number, until) for digest, row in overlay.items() for number, until in row.items()]
    digests = b"".join(digest for digest, _, _ in flat)
    assert len(digests) == DIGEST_BYTES * len(flat)  # noqa: S101 -- else rows would be shifted against each other
    numbers = np.array([number for _, number, _ in flat], np.uint32)
    return Rows.of(digests, numbers, np.array([until for _, _, until in flat], np.int64))
