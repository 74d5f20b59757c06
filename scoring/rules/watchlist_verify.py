"""Whether the serving copy of the lists says what the truth says, entry by entry; what it need not keep is cleared.

Both are read as columns and laid side by side. What changed while they were read, or up to some seconds before, is
left out: it may be in one and on its way to the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.rules.watchlist_copy import FIELD_BYTES, CopyKeys, Port, Record, StoreLost, code_of
from scoring.rules.watchlist_load import ask, names_of, scan
from scoring.rules.watchlist_store import KEPT_AFTER_END_MS, Truth
from scoring.rules.watchlists import REMOVED, ListName

U64 = NDArray[np.uint64]
Flags = NDArray[np.bool_]
_UNDER_WAY_US: Final = 5_000_000
_TOMBSTONE_US: Final = 86_400_000_000
_CLEARED_AT_ONCE: Final = 1_000
_CLEAR: Final = b"""
local cleared = 0
for at = 1, #ARGV, 2 do
    if redis.call('HGET', KEYS[1], ARGV[at]) == ARGV[at + 1] then
        cleared = cleared + redis.call('HDEL', KEYS[1], ARGV[at])
    end
end
return cleared
"""


class Entries(NamedTuple):
    """Entries in columns of n: the list's code, the digest's halves, until (ms), and version (microseconds)."""

    code: U64
    high: U64
    low: U64
    until: NDArray[np.int64]
    version: U64

    def take(self, which: Flags | NDArray[np.intp]) -> Entries:
        """Return some entries, or all in another order."""
        return Entries(self.code[which], self.high[which], self.low[which], self.until[which], self.version[which])

    def holding(self, now_us: int) -> Entries:
        """Return those that hold, or ended not so long ago that they may be left out."""
        return self.take((self.until != REMOVED) & (self.until > now_us // 1_000 - KEPT_AFTER_END_MS))


class Difference(NamedTuple):
    """How a list is in the truth and in the copy. ``other``: entries that end at another time."""

    truth: int
    copy: int
    missing: int  # in the copy
    extra: int  # in the copy
    other: int

    @property
    def good(self) -> bool:
        """Return whether both say the same."""
        return not (self.missing or self.extra or self.other)


def read_copy(port: Port, keys: CopyKeys) -> Entries:
    """Return all entries of the serving copy, removed ones included; StoreLost where there is none."""
    (epoch,) = ask(port, ("GET", keys.epoch))
    if epoch is None:
        raise StoreLost("the store has no lists")
    parts = [part for bucket in keys.buckets for part in scan(port, bucket)]
    fields = np.frombuffer(b"".join(part.fields for part in parts), ">u8").reshape(-1, FIELD_BYTES // 8)
    values = np.frombuffer(b"".join(part.values for part in parts), ">u8").reshape(-1, 2)
    code, high, low = (fields[:, at].astype(np.uint64) for at in range(3))
    until = values[:, 0].astype(np.uint64).view(np.int64)
    return _once(Entries(code, high, low, until, values[:, 1].astype(np.uint64)))


def read_truth(truth: Truth) -> tuple[Entries, dict[int, ListName]]:
    """Return what the table of changes says of every entry, removed ones included, and the lists by code."""
    names: dict[int, ListName] = {}
    parts = [_entries(name, records, names) for name, records in truth.states()]
    none: list[Record] = []
    parts.append(_entries(ListName("", "named", ""), none, {}))
    return Entries(*[np.concatenate(columns) for columns in zip(*parts, strict=True)]), names


def compare(port: Port, keys: CopyKeys, truth: Truth, now_us: int) -> tuple[dict[ListName, Difference], Entries]:
    """Return how each list is on both sides, and the entries of the copy that the truth does not have."""
    copied = read_copy(port, keys)
    told, names = read_truth(truth)
    kept = names_of(port, keys)
    names |= {int.from_bytes(code, "big"): name for code, name in kept.items() if name is not None}
    here, there = told.holding(now_us), copied.holding(now_us)
    begun = max(now_us - _UNDER_WAY_US, 0)
    same_here, same_there, others = _side_by_side(here, there)
    missing = ~same_here & (here.version < begun) & ~_newer(here, copied, begun)
    extra = ~same_there & (there.version < begun) & ~_newer(there, told, begun)
    others &= here.version < begun
    found = {
        name: Difference(*(int(np.sum(flags)) for flags in _of(code, here, there, (missing, extra, others))))
        for code, name in sorted(names.items(), key=lambda pair: pair[1])
    }
    return found, there.take(extra)


def clear_away(port: Port, keys: CopyKeys, now_us: int) -> int:
    """Delete from the copy what nobody needs: removals of over a day ago, and what ended over 90 days ago."""
    cleared = 0
    for bucket in keys.buckets:
        for part in scan(port, bucket):
            rows = np.frombuffer(part.values, ">i8").reshape(-1, 2)
            until, version = rows[:, 0], rows[:, 1]
            removed = (until == REMOVED) & (version < now_us - _TOMBSTONE_US)
            ended = (until != REMOVED) & (until <= now_us // 1_000 - KEPT_AFTER_END_MS)
            old = np.flatnonzero(removed | ended).tolist()
            for first in range(0, len(old), _CLEARED_AT_ONCE):
                pairs = [
                    text
                    for at in old[first : first + _CLEARED_AT_ONCE]
                    for text in (part.fields[24 * at : 24 * at + 24], part.values[16 * at : 16 * at + 16])
                ]
                (count,) = ask(port, ("EVAL", _CLEAR, 1, bucket, *pairs))
                cleared += int(count)
    return cleared


def removals(extra: Entries, names: dict[int, ListName], now_us: int) -> Iterator[tuple[ListName, list[Record]]]:
    """Give the changes that take entries out of the copy which the truth does not have."""
    for code in np.unique(extra.code).tolist():
        some = extra.take(extra.code == code)
        digests = [high.to_bytes(8, "big") + low.to_bytes(8, "big") for high, low in _pairs(some)]
        yield names[code], [Record(digest, REMOVED, now_us) for digest in digests]


def _pairs(entries: Entries) -> Iterator[tuple[int, int]]:
    return zip(entries.high.tolist(), entries.low.tolist(), strict=True)


def _entries(name: ListName, records: Sequence[Record], names: dict[int, ListName]) -> Entries:
    code = int.from_bytes(code_of(name), "big")
    names[code] = name
    halves = np.frombuffer(b"".join(one.digest for one in records), ">u8").astype(np.uint64).reshape(-1, 2)
    until = np.array([one.until for one in records], np.int64)
    version = np.array([one.version for one in records], np.uint64)
    return Entries(np.full(len(records), code, np.uint64), halves[:, 0], halves[:, 1], until, version)


def _once(entries: Entries) -> Entries:
    """Return each entry once, as it was written last: one that was written while it was read may come twice."""
    found = entries.take(np.lexsort((entries.version, entries.low, entries.high, entries.code)))
    code, high, low = found.code, found.high, found.low
    last = np.ones(len(code), bool)
    last[:-1] = (code[1:] != code[:-1]) | (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    return found.take(last)


def _side_by_side(here: Entries, there: Entries) -> tuple[Flags, Flags, Flags]:
    """Return which entries are on the other side too, and which of ``here`` end at another time there."""
    code, high, low = (np.concatenate(pair) for pair in list(zip(here, there, strict=True))[:3])
    order = np.lexsort((low, high, code))  # stable: of two alike the first is from here
    one, two = order[:-1], order[1:]
    alike = (code[one] == code[two]) & (high[one] == high[two]) & (low[one] == low[two])
    size = len(here.code)
    left, right = one[alike], two[alike] - size
    same_here, same_there = np.zeros(size, bool), np.zeros(len(there.code), bool)
    same_here[left] = same_there[right] = True
    others = np.zeros(size, bool)
    others[left] = here.until[left] != there.until[right]
    return same_here, same_there, others


def _newer(entries: Entries, side: Entries, begun: int) -> Flags:
    """Return of which entries the other side has a change that may be under way, a removal for instance."""
    return _side_by_side(entries, side.take(side.version >= begun))[0]


def _of(code: int, here: Entries, there: Entries, flags: tuple[Flags, Flags, Flags]) -> tuple[Flags, ...]:
    mine, theirs = here.code == code, there.code == code
    missing, extra, others = flags
    return mine, theirs, missing & mine, extra & theirs, others & mine
