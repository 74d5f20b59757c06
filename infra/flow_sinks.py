"""The flow's fan-out as the settings want it: writers for live rows, and redrivers for those in the backup."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from bytewax.outputs import Sink

from flows.metrics import FlowMetrics
from flows.progress import Progress
from flows.redis_trip import connect
from flows.redrive import RedriveParts, Redriver
from flows.sinks.background import BackgroundSink
from flows.sinks.clickhouse import ClickHouse
from flows.sinks.destination import Backup, Destination, Recoverable, Redrivable
from flows.sinks.encoded import EncodedParcel
from flows.sinks.kafka import Appender, KafkaBackup, KafkaDeadLetters, KafkaScored, producer_config
from flows.sinks.letters import NamingBackup
from flows.sinks.redelivery import RedrivePolicy
from flows.sinks.redis_results import RedisResults
from flows.sinks.writer import Writer, WriterPolicy
from infra.flow_serving import build_name
from infra.settings import FlowSettings, Settings
from schemas.dead_letter import Reason

SINKS = ("scored", "dead_letter", "redis", "clickhouse")
_MOST_LINGERS = 3  # so many times the seconds of a block, while ClickHouse takes long for one


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the destinations are."""

    kafka: str
    redis: str = field(repr=False)
    clickhouse: str = field(repr=False)


class FlowSinks:
    """Kafka's own sinks retry for ever; Redis and ClickHouse fall back to the backup, from which rows are redriven."""

    def __init__(
        self, addresses: Addresses, settings: Settings, progress: Progress, metrics: FlowMetrics, stop: threading.Event
    ) -> None:
        self._to, self._settings, self._metrics = addresses, settings, metrics
        self._progress, self._stop = progress, stop
        self._writers: dict[str, Writer[EncodedParcel]] = {}
        self._redrivers: list[Redriver] = []

    def build(self) -> dict[str, Sink[Any]]:
        """Return the sinks by name."""
        config = producer_config(self._to.kafka)
        backup = NamingBackup(KafkaBackup(Appender(config)), build_name())
        quick, bulk = writer_policies(self._settings.flow)
        gathered = gathering(quick, self._settings.flow)
        return {
            "redis": self._recoverable("redis", self._redis, quick, backup),
            "scored": self._sink("scored", lambda: KafkaScored(Appender(config), backup), gathered),
            "dead_letter": self._sink("dead_letter", lambda: KafkaDeadLetters(KafkaBackup(Appender(config))), gathered),
            "clickhouse": self._recoverable("clickhouse", self._clickhouse, bulk, backup),
        }

    def start_redrive(self) -> None:
        """Start a redriver a destination, unless the settings say that there are none."""
        if not self._settings.flow.redrive:
            return
        makers: list[tuple[str, Reason, Callable[[], Redrivable]]] = [
            ("clickhouse", Reason.SINK_CLICKHOUSE, self._clickhouse),
            ("redis", Reason.SINK_REDIS, self._redis),
        ]
        policy = redrive_policy(self._settings.flow)
        for name, reason, make in makers:
            parts = RedriveParts(
                make, reason, policy, self._metrics, self._writer_of(name), time.monotonic, time.time_ns
            )  # fmt: skip
            redriver = Redriver(self._to.kafka, parts, stop=self._stop)
            redriver.start()
            self._redrivers.append(redriver)

    def stop_redrive(self) -> None:
        """Stop the redrivers and wait for them, bounded; the flow's own stop has told them before."""
        for redriver in self._redrivers:
            redriver.join()
        self._redrivers.clear()

    def _clickhouse(self) -> ClickHouse:
        return ClickHouse(self._to.clickhouse)

    def _redis(self) -> RedisResults:
        redis = self._settings.redis
        return RedisResults(connect(self._to.redis), redis.result_ttl_seconds, packed=redis.pack_results)

    def _writer_of(self, name: str) -> Callable[[], Writer[EncodedParcel] | None]:
        return lambda: self._writers.get(name)

    def _sink(
        self,
        name: str,
        make: Callable[[], Destination[EncodedParcel]],
        policy: WriterPolicy,
    ) -> BackgroundSink[EncodedParcel]:
        return BackgroundSink(lambda: self._watched(name, make(), policy, None), self._stop)

    def _recoverable(
        self,
        name: str,
        make: Callable[[], Recoverable[EncodedParcel]],
        policy: WriterPolicy,
        backup: Backup,
    ) -> BackgroundSink[EncodedParcel]:
        def writer() -> Writer[EncodedParcel]:
            destination = make()
            return self._watched(name, destination, policy, (destination, backup))

        return BackgroundSink(writer, self._stop)

    def _watched(
        self,
        name: str,
        destination: Destination[EncodedParcel],
        policy: WriterPolicy,
        backup: tuple[Recoverable[EncodedParcel], Backup] | None,
    ) -> Writer[EncodedParcel]:
        writer = Writer(destination, self._progress, policy, backup, self._metrics.on_block)
        self._metrics.watch_queue(writer)
        self._writers[name] = writer
        return writer


def writer_policies(settings: FlowSettings) -> tuple[WriterPolicy, WriterPolicy]:
    """Return how small and quick writes are made, and how large blocks are."""
    quick = WriterPolicy(
        queue_rows=settings.sink_queue_rows,
        steady_rows=settings.sink_steady_rows,
        queue_bytes=settings.sink_queue_bytes,
        attempts=settings.sink_attempts,
        give_up_seconds=settings.sink_give_up_seconds,
        spill_after_seconds=1.0,
    )
    bulk = replace(
        quick,
        block_rows=settings.clickhouse_block_rows,
        slow_block_rows=settings.clickhouse_slow_block_rows,
        linger_seconds=settings.clickhouse_block_seconds,
        longest_linger_seconds=_MOST_LINGERS * settings.clickhouse_block_seconds,
        queue_rows=max(settings.sink_queue_rows, 2 * settings.clickhouse_block_rows),
        steady_rows=max(settings.sink_steady_rows, 2 * settings.clickhouse_block_rows),
        spill_after_seconds=3.0,
    )
    return quick, bulk


def gathering(quick: WriterPolicy, settings: FlowSettings) -> WriterPolicy:
    """Return the same for a topic that nobody waits for: at low rates many parcels share a request."""
    rows = 2 * quick.block_rows
    return replace(
        quick,
        linger_seconds=settings.kafka_block_ms / 1000,
        queue_rows=max(quick.queue_rows, rows),
        steady_rows=max(quick.steady_rows, rows),
    )


def redrive_policy(settings: FlowSettings) -> RedrivePolicy:
    """Return how letters go back."""
    return RedrivePolicy(
        rows_per_second=settings.redrive_rows_per_second,
        attempts=settings.redrive_attempts,
        probe_seconds=settings.redrive_probe_seconds,
    )
