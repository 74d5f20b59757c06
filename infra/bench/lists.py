"""What lists cost in a process: to load them, to keep them, to ask them, and to take changes in.

Entries are made in memory as the store hands them out; the store itself is not measured.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from scoring.rules.answers import Entity, Membership
from scoring.rules.watchlist_copy import Command, CopyKeys, code_of, packed_name
from scoring.rules.watchlist_load import load
from scoring.rules.watchlist_table import ListTable
from scoring.rules.watchlists import FOREVER, Line, ListKeys, ListName

_BAD: Final = ListName("shop", "deny", "bad-cards")
_EVERYWHERE: Final = ListName("", "named", "banks")
_ASKED: Final = 20_000
_CHANGED: Final = 5_000
_HELD: Final = FOREVER.to_bytes(8, "big") + (1).to_bytes(8, "big")


class _Store:
    """Hands out made entries, a few thousand of each bucket at a time; their bytes are made before."""

    def __init__(self, entries: int) -> None:
        codes = code_of(_BAD), code_of(_EVERYWHERE)
        random = os.urandom(16 * entries)
        self._pairs: dict[str, list[bytes]] = {bucket: [] for bucket in CopyKeys().buckets}
        for number in range(entries):
            digest = random[16 * number : 16 * number + 16]
            self._pairs[CopyKeys().buckets[digest[0] % 64]] += [codes[number % 2] + digest, _HELD]

    def __call__(self, *commands: Command) -> list[Any]:
        return [self._answer(*command) for command in commands]

    def _answer(self, name: str, *rest: Any) -> Any:
        if name == "MGET":
            return [b"bench", b"0-0"]
        if name == "HGETALL":
            return [part for name in (_BAD, _EVERYWHERE) for part in (code_of(name), packed_name(name))]
        return [b"0", self._pairs[rest[0]]]


def bench_lists(entries: int) -> dict[str, Any]:
    """Return the figures. Lookups are medians of five rounds in microseconds of CPU, the rest is by the clock."""
    store = _Store(entries)
    keys = ListKeys(b"bench")
    before = _most_kib()
    started = time.perf_counter()
    snapshot = load(store, CopyKeys())
    loading = time.perf_counter() - started
    peak = _most_kib() - before
    table = ListTable(keys, snapshot.names, snapshot.columns)
    fresh = [f"value {number}" for number in range(_ASKED)]
    known = [f"known {number % 100}" for number in range(_ASKED)]
    of = table.of("shop")
    began = time.perf_counter()
    changed = table.changed([Line(_BAD, os.urandom(16), FOREVER) for _ in range(_CHANGED)])
    taken = time.perf_counter() - began
    digests = [keys.digest("shop", "card", value) for value in fresh]
    return {
        "entries": table.size,
        "bytes_per_entry": round(table.memory / max(table.size, 1), 1),
        "mb_per_million": round(table.memory / max(table.size, 1), 1),  # 10^6 bytes
        "load_seconds": round(loading, 2),
        "load_peak_mb": round(peak / 2**10, 1),
        "us_per_search": _median(lambda: [table.find(digest) for digest in digests]),
        "us_per_standing_of_known_values": _median(lambda: [of.standing(Entity("card", one)) for one in known]),
        "us_per_standing_of_new_values": _median(lambda: [of.standing(Entity("card", one)) for one in fresh]),
        "us_per_member_of_new_values": _median(lambda: [of.member(Membership("banks", one)) for one in fresh]),
        f"ms_for_{_CHANGED}_changes": round(taken * 1e3, 1),
        "entries_after": changed.size,
    }


def _median(ask: Callable[[], Sequence[Any]]) -> float:
    rounds = []
    for _ in range(5):
        started = time.process_time()
        asked = len(ask())
        rounds.append((time.process_time() - started) / asked)
    return round(sorted(rounds)[2] * 1e6, 2)


def _most_kib() -> int:
    """Return the most memory that the process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
