"""What Kafka and the archive have of a topic: asked for a plan, and nothing is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

from clickhouse_driver import Client
from clickhouse_driver.errors import Error, ErrorCodes, ServerException
from confluent_kafka import Consumer, KafkaException, TopicPartition

from flows.sinks.clickhouse import client_url
from flows.sources.watermarks import watermarks
from infra.clickhouse.migrate import one_line
from infra.dead_letters import Filter
from infra.topic_reader import AccountError, committed_offsets
from replay.archive_source import READABLE, TABLES, WHERE, WITHIN, first_offset
from replay.batch_source import TOPICS, extents_of
from replay.kafka_source import first_record_at, unreadable
from replay.parts import SourceFailed
from replay.plan import Piece, Start, Store
from replay.ranges import Held, Offsets, PlanRefused, Refusal, Times, beginning_at

MOST_PLACES: Final = 1_000_000  # of dead letters that a plan names one by one
_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 600.0
_FLOW_GROUP: Final = "clickgoose-score-events"  # commits how far every sink holds the rows
_UNKNOWN_HERE: Final = {ErrorCodes.UNKNOWN_TABLE, ErrorCodes.UNKNOWN_DATABASE, ErrorCodes.UNKNOWN_IDENTIFIER}
_LAST: Final = 'SELECT "offset" FROM {table} WHERE {where} ORDER BY topic DESC, partition DESC, "offset" DESC LIMIT 1'
# In the order of the key, so that few rows are read before the one that is meant.
_AT: Final = """
SELECT "offset" FROM {table} WHERE {where} AND appended_at >= fromUnixTimestamp64Milli(toInt64(%(time)s))
ORDER BY topic, partition, "offset" LIMIT 1
"""
_APPENDED: Final = """
SELECT "offset", toUnixTimestamp64Milli(appended_at) FROM {table} WHERE {within}
ORDER BY topic, partition, "offset" LIMIT 1
"""
_PARTITIONS: Final = "SELECT DISTINCT partition FROM {table} WHERE topic = %(topic)s"
_ROWS: Final = "SELECT count() FROM {table} WHERE {where}"
_REDACTED: Final = """
SELECT reason, uniqExact("offset") FROM dead_letters WHERE {within} AND NOT {readable} GROUP BY reason ORDER BY reason
"""
# Of builds before, letters do not say when their records were appended; they were polled after that.
_PLACES: Final = """
SELECT partition, "offset", toUnixTimestamp64Milli(min(appended_at)),
    toUnixTimestamp64Milli(max(greatest(appended_at, first_failed_at)))
FROM dead_letters WHERE topic = %(topic)s AND ({where}) GROUP BY 1, 2 ORDER BY 1, 2 LIMIT {most}
"""
T = TypeVar("T")


class Archived(NamedTuple):
    """What the archive has of a piece."""

    rows: int  # about: rows that were written twice count twice until they are merged
    redacted: Mapping[str, int]  # records that cannot be read any more, by the reason that they died of


class Letters(NamedTuple):
    """Where dead letters lie. Times are in ms, the end excluded."""

    places: frozenset[tuple[int, int]]  # partition and offset
    since: int
    until: int


class Stores:
    """Kafka, ClickHouse, or both; None: not asked. Use it in a ``with`` statement.

    ``archive``: records are read there too, not letters alone. Of a later start, offsets are those of the records that
    its rows were made of, and their times are asked of whoever has them. PlanRefused where a store does not answer.
    """

    def __init__(
        self,
        topic: str,
        bootstrap: str | None,
        clickhouse_url: str | None,
        *,
        archive: bool = True,
        start: Start = Start.SEALED,
    ) -> None:
        self.topic, self._bootstrap, self._archive, self._start = topic, bootstrap, archive, start
        self._raw: dict[int, Held] = {}  # of a later start: what is known of the records themselves
        self._host = urlsplit(clickhouse_url or "").netloc.rpartition("@")[2]
        self._consumer = Consumer(_config(bootstrap)) if bootstrap else None
        self._client = (
            Client.from_url(client_url(clickhouse_url, _SECONDS, _ANSWER_SECONDS)) if clickhouse_url else None
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._consumer is not None:
            self._consumer.close()
        if self._client is not None:
            self._client.disconnect()

    def partitions(self) -> tuple[int, ...]:
        """Return all partitions of the topic, by Kafka where it is asked."""
        if self._consumer is None:
            return tuple(sorted({number for table in TABLES for (number,) in self._ask(_PARTITIONS, table=table)}))
        with self._kafka_said() as consumer:
            found = consumer.list_topics(self.topic, timeout=_SECONDS).topics[self.topic]
        if found.error is not None or not found.partitions:
            raise PlanRefused(Refusal.AWAY, f"Kafka has no topic {self.topic}: run `clickgoose up`, which creates it")
        return tuple(sorted(found.partitions))

    def held(self, partitions: Sequence[int]) -> dict[int, Held]:
        """Return what the stores have of partitions."""
        reached = self._reached()
        self._raw = {
            number: Held(number, self._marks(number), self._extent(number, reached.get(number, 0)))
            for number in partitions
        }
        return self._raw if self._start is Start.SEALED else self._batches(partitions)

    def _batches(self, partitions: Sequence[int]) -> dict[int, Held]:
        assert self._bootstrap is not None  # noqa: S101 - a later start reads Kafka
        try:
            found = extents_of(self._bootstrap, self._start, partitions)
        except SourceFailed as error:
            raise PlanRefused(Refusal.AWAY, str(error)) from error
        if not found:
            raise PlanRefused(
                Refusal.EMPTY,
                f"{TOPICS[self._start]} holds nothing: `clickgoose flow run --stage` writes it; start at sealed events",
            )
        return {number: Held(number, found.get(number)) for number in partitions}

    def times(self, held: Mapping[int, Held], moment: int) -> dict[int, Times]:
        """Return where a moment (ms) lies in each partition, by each store."""
        in_kafka = self._in_kafka(held, moment) if self._consumer is not None else {}
        found = {
            number: Times(
                in_kafka.get(number), self._archived_at(number, moment) if self._raw[number].archive else None
            )
            for number in held
        }
        if self._start is Start.SEALED:
            return found
        return {number: Times(beginning_at(self._raw[number], times)) for number, times in found.items()}

    def _in_kafka(self, partitions: Iterable[int], moment: int) -> dict[int, int]:
        """Ask again where a partition has no leader that answers; one that has nothing so late is left out."""
        asked = [TopicPartition(self.topic, number, moment) for number in partitions]
        gives_up = time.monotonic() + _SECONDS
        while True:
            with self._kafka_said() as consumer:
                answered = consumer.offsets_for_times(asked, timeout=_SECONDS)
            wrong = next((place.error for place in answered if place.error is not None), None)
            if wrong is None:
                return {place.partition: place.offset for place in answered if place.offset >= 0}
            if time.monotonic() > gives_up:
                raise PlanRefused(Refusal.AWAY, f"Kafka does not say where {self.topic} is by time: {wrong.str()}")
            time.sleep(0.1)

    def appended_at(self, piece: Piece) -> int | None:
        """Return when a piece's first record was appended (ms), None where it holds none."""
        if self._start is not Start.SEALED:
            there = self._raw[piece.partition].pieces(Offsets(piece.first, piece.next))
            if not there:
                return None
            piece = there[0]
        if piece.store is Store.KAFKA and self._bootstrap is not None:
            try:
                return first_record_at(self._bootstrap, piece, self.topic)
            except SourceFailed as error:
                raise PlanRefused(Refusal.AWAY, str(error)) from error
        found = [
            (int(offset), int(at))
            for table in TABLES
            for offset, at in self._ask(_APPENDED, piece.partition, table=table, within=WITHIN, span=piece)
        ]
        return min(found)[1] if found else None

    def archived(self, piece: Piece) -> Archived:
        """Return what the archive has of a piece."""
        wheres = {"raw_archive": WITHIN, "dead_letters": f"{WITHIN} AND {READABLE}"}
        rows = sum(
            int(self._ask(_ROWS, piece.partition, table=table, where=where, span=piece)[0][0])
            for table, where in wheres.items()
        )
        redacted = self._ask(_REDACTED, piece.partition, within=WITHIN, readable=READABLE, span=piece)
        return Archived(rows, {_text(reason): int(count) for reason, count in redacted})

    def letters(self, wanted: Filter) -> Letters:
        """Return where dead letters lie. PlanRefused where there are none, or too many to name."""
        if self._client is None:
            raise PlanRefused(
                Refusal.AWAY, "letters are found by their reason in ClickHouse: set CLICKGOOSE_CLICKHOUSE__URL"
            )
        where, parameters = wanted.where()
        rows = self._ask(_PLACES, where=where, most=MOST_PLACES + 1, more=parameters)
        if not rows:
            raise PlanRefused(Refusal.EMPTY, f"no record of {self.topic} died of {' or '.join(wanted.reasons)}")
        if len(rows) > MOST_PLACES:
            raise PlanRefused(
                Refusal.UNREADABLE,
                f"more than {MOST_PLACES:,} letters are of that reason: leave --reason out, or name fewer reasons",
            )
        places = frozenset((int(partition), int(offset)) for partition, offset, _, _ in rows)
        return Letters(places, min(int(row[2]) for row in rows), max(int(row[3]) for row in rows) + 1)

    def _marks(self, partition: int) -> Offsets | None:
        if self._consumer is None:
            return None
        with self._kafka_said() as consumer:
            return Offsets(*watermarks(consumer, self.topic, partition, _SECONDS))

    def _extent(self, partition: int, reached: int) -> Offsets | None:
        if self._client is None or not self._archive:
            return None
        client = self._client
        first = self._answered(lambda: first_offset(client, self.topic, partition))
        if first is None:
            return None
        last = [int(row[0]) for table in TABLES for row in self._ask(_LAST, partition, table=table, where=WHERE)]
        return Offsets(first, max(max(last) + 1, reached))

    def _reached(self) -> dict[int, int]:
        """Return up to where the flow's sinks hold every row: what the archive lacks below that were copies."""
        if self._bootstrap is None or self._client is None or not self._archive:
            return {}
        gives_up = time.monotonic() + _SECONDS
        while True:
            try:
                return committed_offsets(self._bootstrap, _FLOW_GROUP, self.topic)
            except AccountError as error:  # a cluster where no group has ever committed says so after a moment
                if time.monotonic() > gives_up:
                    raise PlanRefused(Refusal.AWAY, str(error)) from error
                time.sleep(0.2)

    def _archived_at(self, partition: int, moment: int) -> int | None:
        found = [
            int(row[0])
            for table in TABLES
            for row in self._ask(_AT, partition, table=table, where=WHERE, more={"time": moment})
        ]
        return min(found, default=None)

    def _ask(
        self,
        question: str,
        partition: int | None = None,
        span: Piece | None = None,
        more: Mapping[str, Any] | None = None,
        **parts: Any,
    ) -> list[Any]:
        if self._client is None:
            return []
        client = self._client
        parameters = {"topic": self.topic, "partition": partition, **(more or {})}
        if span is not None:
            parameters |= {"first": span.first, "next": span.next}
        return list(self._answered(lambda: client.execute(question.format(**parts), parameters)))

    def _answered(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except (Error, OSError, EOFError) as error:
            if isinstance(error, ServerException) and error.code in _UNKNOWN_HERE:
                raise PlanRefused(
                    Refusal.AWAY,
                    f"ClickHouse at {self._host} has no archive, or an older one: run `clickgoose clickhouse migrate`",
                ) from error
            raise PlanRefused(Refusal.AWAY, f"cannot read ClickHouse at {self._host}: {one_line(error)}") from error

    @contextmanager
    def _kafka_said(self) -> Iterator[Consumer]:
        assert self._consumer is not None  # noqa: S101 - callers have looked
        try:
            yield self._consumer
        except KafkaException as error:
            raise PlanRefused(
                Refusal.AWAY, f"cannot read {self.topic} at {self._bootstrap}: {unreadable(error)}"
            ) from error


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _config(bootstrap: str) -> dict[str, Any]:
    return {
        "bootstrap.servers": bootstrap,
        "group.id": "clickgoose-replay",
        "enable.auto.commit": False,
        "log_level": 0,
    }
