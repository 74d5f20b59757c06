"""For tests of lists: the store and the table of changes in memory, which fail as the test says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from redis.exceptions import ResponseError

from scoring.rules.watchlist_copy import VALUE, Command, CopyKeys, Record, StoreAway
from scoring.rules.watchlist_desk import ListDesk
from scoring.rules.watchlist_follower import ListFollower
from scoring.rules.watchlist_store import Change, ListStore, TruthAway
from scoring.rules.watchlists import REMOVED, ListKeys, ListName

KEYS = ListKeys(b"a key of tests")


class MemoryPort:
    """The commands on the serving copy, as Redis answers them. ``away``: nobody answers."""

    def __init__(self, stream_length: int = 1_000) -> None:
        self.away = False
        self.stream_length = stream_length
        self.values: dict[str, bytes] = {}
        self.hashes: dict[str, dict[bytes, bytes]] = {}
        self.stream: list[tuple[bytes, list[bytes]]] = []
        self.round_trips = 0

    def __call__(self, *commands: Command) -> list[Any]:
        """Run commands."""
        self.round_trips += 1
        if self.away:
            raise StoreAway("away")
        return [getattr(self, f"_{command[0].lower()}")(*command[1:]) for command in commands]

    def lose(self) -> None:
        """Forget everything, as a store without a disk does at a restart."""
        self.values.clear()
        self.hashes.clear()
        self.stream.clear()

    def copy(self) -> tuple[Any, ...]:
        """Return all that is kept, for ``go_back``."""
        return dict(self.values), {key: dict(one) for key, one in self.hashes.items()}, list(self.stream)

    def go_back(self, copy: tuple[Any, ...]) -> None:
        """Be as before, as a replica is that lagged when it took over."""
        self.values, self.hashes, self.stream = copy

    def _get(self, key: str) -> bytes | None:
        return self.values.get(key)

    def _mget(self, *keys: str) -> list[bytes | None]:
        return [self.values.get(key) for key in keys]

    def _set(self, key: str, value: str, *options: Any) -> bytes | None:
        if "NX" in options and key in self.values:
            return None
        self.values[key] = value.encode()
        return b"OK"

    def _del(self, *keys: str) -> int:
        return sum(self.values.pop(key, None) is not None for key in keys)

    def _hget(self, key: str, field: bytes) -> bytes | None:
        return self.hashes.get(key, {}).get(field)

    def _hgetall(self, key: str) -> list[bytes]:
        return [part for pair in self.hashes.get(key, {}).items() for part in pair]

    def _hscan(self, key: str, cursor: Any, *_: Any) -> list[Any]:
        """Give half of a hash at a time."""
        pairs = list(self.hashes.get(key, {}).items())
        half = len(pairs) // 2
        part, after = (pairs[half:], b"0") if int(cursor) or half == 0 else (pairs[:half], b"1")
        return [after, [text for pair in part for text in pair]]

    def _xread(self, _count: str, count: int, _streams: str, _key: str, after: bytes) -> list[Any] | None:
        later = [entry for entry in self.stream if _order(entry[0]) > _order(after)][:count]
        return [[b"changes", later]] if later else None

    def _xrange(self, _key: str, first: Any, _last: Any, *_: Any) -> list[Any]:
        return self.stream[:1] if first == "-" else [entry for entry in self.stream if entry[0] == first]

    def _eval(self, script: bytes, number: int, *rest: Any) -> Any:
        keys, arguments = rest[:number], rest[number:]
        if number == 1:
            kept = self.hashes.get(keys[0], {})
            pairs = zip(arguments[::2], arguments[1::2], strict=True)
            return sum(kept.pop(field, None) is not None for field, value in pairs if kept.get(field) == value)
        return self._apply(keys, *arguments)

    def _apply(
        self, keys: Sequence[str], code: bytes, name: bytes, records: bytes, _length: int, restoring: int, number: int
    ) -> Any:
        if not restoring and keys[0] not in self.values:
            return ResponseError("LISTSLOST the lists are not here")
        self.hashes.setdefault(keys[3], {})[code] = name
        won = []
        for at in range(0, len(records), 32):
            record = records[at : at + 32]
            bucket = self.hashes.setdefault(keys[4 + record[0] % 64], {})
            kept = bucket.get(code + record[:16])
            if kept is None or VALUE.unpack(kept)[1] < VALUE.unpack(record[16:])[1]:
                bucket[code + record[:16]] = record[16:]
                won.append(record[:24])
        if won:
            last = self.values.get(keys[1], b"0-0")
            self.values[keys[1]] = b"%d-%d" % (_order(last)[0] + 1, number)
            change = [b"p", last, b"l", name, b"c", b"".join(won)]
            self.stream = [*self.stream, (self.values[keys[1]], change)][-self.stream_length :]
        return len(won)


def _order(id: bytes) -> tuple[int, int]:
    number, _, random = id.partition(b"-")
    return int(number), int(random)


class MemoryTruth:
    """The table of changes. ``away``: nobody answers."""

    def __init__(self) -> None:
        self.away = False
        self.changes: list[Change] = []

    def insert(self, changes: Sequence[Change], /) -> None:
        """Keep changes."""
        self._asked()
        self.changes += changes

    def states(self) -> Iterator[tuple[ListName, Sequence[Record]]]:
        """Give what holds."""
        self._asked()
        newest: dict[ListName, dict[bytes, Record]] = {}
        for one in sorted(self.changes, key=lambda change: change.version):
            record = Record(one.wanted.digest, one.wanted.until, one.version)
            newest.setdefault(one.wanted.list, {})[one.wanted.digest] = record
        for name, records in newest.items():
            yield name, list(records.values())

    def history(self, name: ListName, digest: bytes, /) -> list[dict[str, Any]]:
        """Return the life of an entry."""
        self._asked()
        found = [one for one in self.changes if one.wanted.list == name and one.wanted.digest == digest]
        return [
            {
                "digest": digest,
                "version": one.version,
                "action": "remove" if one.wanted.until == REMOVED else "add",
                "until": one.wanted.until,
                "before": one.before,
                "reason": one.wanted.reason,
                "author": one.wanted.author,
                "source": one.source,
            }
            for one in found
        ]

    def newest(self, name: ListName, digests: Sequence[bytes], /) -> Mapping[bytes, Mapping[str, Any]]:
        """Return the last changes."""
        lives = {digest: self.history(name, digest) for digest in digests}
        return {digest: life[-1] for digest, life in lives.items() if life}

    def _asked(self) -> None:
        if self.away:
            raise TruthAway("away")


class MemoryLists:
    """A whole installation in memory: one store, one table, and as many processes as are asked for."""

    def __init__(self, stream_length: int = 1_000) -> None:
        self.port, self.truth, self.copy = MemoryPort(stream_length), MemoryTruth(), CopyKeys()
        self.now_us = 1_790_000_000_000_000
        self.store = ListStore(self.port, self.copy, self.truth, lambda: self.now_us)

    def follower(self) -> ListFollower:
        """Return the replica of one more process."""
        return ListFollower(self.port, self.copy, KEYS, self.restore, seconds=0.01)

    def restore(self) -> None:
        """Make the copy again, as a process does that finds none."""
        try:
            self.store.restore()
        except TruthAway as away:
            raise StoreAway(str(away)) from None

    def desk(self) -> ListDesk:
        """Return the desk of one more process."""
        return ListDesk(KEYS, self.store, self.follower(), self.truth)
