"""The proof that a replay left alone what is live: read before it and after it, and compared. Cheap, and bounded.

What is read: rows of the live tables whose events lie in up to 32 windows of the replayed range; live Redis keys of a
sample of these events; what came to the live topics meanwhile. The live flow goes on, so not every change is ours. A
row of a replay tells itself: a replay has no clock, so all times that its stages note are that at which Kafka took the
record, while the live flow reads it later. What expires meanwhile is left out, or told apart.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec
from clickhouse_driver.errors import Error
from confluent_kafka import KafkaException
from redis.exceptions import RedisError

from replay.live_keys import Kept, LiveKeys
from replay.live_records import Ends, LiveRecords
from replay.live_tables import LiveTables, Rows, compare_tables
from replay.plan import Plan

_SAMPLE = 500


@dataclass(frozen=True, slots=True)
class LiveStores:
    """Where what is live lies; what is empty is not asked."""

    kafka: str = ""
    redis: str = field(default="", repr=False)
    clickhouse: str = field(default="", repr=False)


class Taken(msgspec.Struct, forbid_unknown_fields=True):
    """What was live at one moment. ``unknown``: a sentence for each store that did not answer."""

    at: float  # seconds since the epoch
    clickhouse_at: str = ""  # ClickHouse's own time
    tables: dict[str, Rows] = {}
    events: list[tuple[str, str, str]] = []  # sampled: merchant, event, session
    keys: dict[str, Kept] = {}
    ends: Ends = {}
    unknown: list[str] = []


class Compared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came of it. ``unchanged`` is None where a store could not be asked, and nothing else is wrong."""

    unchanged: bool | None
    digest: str  # of the live rows and keys, as they were before
    sentences: tuple[str, ...]


class LiveDigest:
    """Reads what is live, before a replay and after it."""

    def __init__(self, stores: LiveStores, plan: Plan, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._redis = stores.redis
        self._tables = LiveTables(stores.clickhouse, plan.topic, plan.range) if stores.clickhouse else None
        self._records = LiveRecords(stores.kafka) if stores.kafka else None

    def take(self) -> Taken:
        """Return what is live now."""
        taken = Taken(self._clock())
        if self._tables is not None:
            with _asking("ClickHouse", taken.unknown):
                taken.clickhouse_at, taken.tables = self._tables.take()
                taken.events = self._tables.events(_SAMPLE)
        if self._redis and taken.events:
            with _asking("Redis", taken.unknown):
                taken.keys = LiveKeys(self._redis, taken.events).take()
        if self._records is not None:
            with _asking("Kafka", taken.unknown):
                taken.ends = self._records.take()
        return taken

    def compared(self, before: Taken) -> Compared:
        """Read it again, and say what is otherwise."""
        unknown = list(before.unknown)
        found = [*self._of_tables(before, unknown), *self._of_keys(before, unknown), *self._of_topics(before, unknown)]
        changed = [sentence for good, sentence in found if not good]
        unchanged = False if changed else None if unknown else True
        told = [sentence for good, sentence in found if good]
        kept = sorted((key, digest) for key, (digest, _, _) in before.keys.items())
        said = msgspec.json.encode((sorted(before.tables.items()), kept))
        digest = hashlib.sha256(said).hexdigest()[:16]
        return Compared(unchanged, digest, tuple(dict.fromkeys((*changed, *unknown, *told))))

    def _of_tables(self, before: Taken, unknown: list[str]) -> Iterator[tuple[bool, str]]:
        if self._tables is None or not before.clickhouse_at:
            return
        with _asking("ClickHouse", unknown):
            yield from compare_tables(before.tables, self._tables.again(before.clickhouse_at))
            for table, (later, ours) in self._tables.later(before.clickhouse_at).items():
                if ours:
                    yield False, f"{ours:,} rows of a replay came to the live table {table}"
                elif later:
                    yield True, f"{table}: {later:,} rows of the range were written by the live flow meanwhile"

    def _of_keys(self, before: Taken, unknown: list[str]) -> Iterator[tuple[bool, str]]:
        if before.keys:
            with _asking("Redis", unknown):
                elapsed = (self._clock() - before.at) * 1000
                yield from LiveKeys(self._redis, before.events).compare(before.keys, elapsed)

    def _of_topics(self, before: Taken, unknown: list[str]) -> Iterator[tuple[bool, str]]:
        if self._records is not None:
            with _asking("Kafka", unknown):
                yield from self._records.compare(before.ends)


@contextmanager
def _asking(name: str, unknown: list[str]) -> Iterator[None]:
    """Note a store that does not answer."""
    try:
        yield
    except (Error, OSError, EOFError, RedisError, KafkaException) as error:
        unknown.append(f"what is live in {name} is not known: it did not answer ({type(error).__name__})")
