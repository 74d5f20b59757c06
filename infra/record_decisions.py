"""Composition root of the dataflow of decisions: settings in, a running process with real clients out."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from bytewax.outputs import Sink
from prometheus_client import CollectorRegistry

from flows.bind import run_bytewax
from flows.metrics import FlowMetrics
from flows.progress import Progress
from flows.record_decisions import RecordParts, build_record_flow
from flows.sinks.background import BackgroundSink
from flows.sinks.clickhouse import ClickHouse
from flows.sinks.decisions import DeadRecords, DecisionTable, RecordedParcel
from flows.sinks.destination import Backup, Destination, Recoverable
from flows.sinks.kafka import Appender, KafkaBackup, producer_config
from flows.sinks.letters import NamingBackup
from flows.sinks.writer import Writer, WriterPolicy
from flows.sources.fence import KafkaGroup
from flows.sources.raw_events import RawEvents, SourceConfig, SourceParts
from infra.flow_layout import StateRoot
from infra.flow_serving import FlowRefused, build_name, claimed, monitor_of, required
from infra.flow_sinks import gathering, writer_policies
from infra.settings import Settings
from infra.topic_reader import AccountError, committed_offsets
from infra.topics import DECIDED

log = logging.getLogger("clickgoose.flow")
GROUP: Final = "clickgoose-record-decisions"
SINKS: Final = ("clickhouse", "dead_letter")
_FETCH_BYTES: Final = 16 << 20
_GATHER_SECONDS: Final = 0.02  # nobody waits for a record: large batches cost less
_ASK_AGAIN_SECONDS: Final = 0.5
_PATIENCE_SECONDS: Final = 15.0  # a broker that just started has no coordinator for some seconds


@dataclass(slots=True)
class RecordProcess:
    """One worker with a static set of partitions. ``run`` returns after ``stop`` has drained it.

    ``state`` is a directory whose lock keeps a second process away; offsets lie in Kafka.
    """

    settings: Settings
    partitions: tuple[int, ...]
    state: Path
    topic: str = DECIDED
    group: str = GROUP
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _reading: threading.Event = field(default_factory=threading.Event)

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Run until stopped."""

        def reading() -> None:
            self._reading.set()
            ready()

        with StateRoot(self.state, 1) as root:
            self._run(root.owner, reading)

    def _run(self, owner: str, ready: Callable[[], None]) -> None:
        metrics = FlowMetrics(self.registry)
        monitor = monitor_of(self.settings.flow, metrics)
        progress = Progress(SINKS)
        resume = self._resume()
        for partition, offset in resume.items():
            progress.begin(partition, offset or 0)
        group = KafkaGroup(self._bootstrap, self.topic, self.group)
        fence = claimed(group, self.partitions, owner, self.settings.flow.epoch_seconds, progress, metrics)
        stopping = self._stopping.is_set
        parts = SourceParts(resume, progress, metrics, time.time_ns, stopping, fence.check, _nothing, ready)
        source = RawEvents(self._source_config(), parts)
        flow = build_record_flow(RecordParts(source, self._sinks(progress, metrics), monitor))
        log.info("recording of decisions starts", extra={"resume": resume})
        try:
            run_bytewax(flow, timedelta(seconds=self.settings.flow.epoch_seconds))
        finally:
            fence.close()
        log.info("recording of decisions drained")

    def reads(self) -> bool:
        """Return whether the consumer is open and the process was not told to stop."""
        return self._reading.is_set() and not self._stopping.is_set()

    def stop(self) -> None:
        """Stop reading, finish what was read, and end."""
        self._stopping.set()

    @property
    def _bootstrap(self) -> str:
        return required(self.settings.kafka.bootstrap, "CLICKGOOSE_KAFKA__BOOTSTRAP")

    def _resume(self) -> dict[int, int | None]:
        """Return where to begin: what the group committed, which never is beyond what every sink holds."""
        gives_up = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                come = committed_offsets(self._bootstrap, self.group, self.topic)
            except AccountError as error:
                if time.monotonic() > gives_up:
                    raise FlowRefused(str(error)) from error
                time.sleep(_ASK_AGAIN_SECONDS)
            else:
                return {partition: come.get(partition) for partition in self.partitions}

    def _source_config(self) -> SourceConfig:
        settings = self.settings.flow
        return SourceConfig(
            bootstrap=self._bootstrap,
            topic=self.topic,
            group=self.group,
            part="decisions",
            max_events=settings.poll_max_events,
            wait_seconds=_GATHER_SECONDS,
            longest_wait_seconds=_GATHER_SECONDS,
            queue_bytes=_FETCH_BYTES,
        )

    def _sinks(self, progress: Progress, metrics: FlowMetrics) -> dict[str, Sink[Any]]:
        """Return the sinks: rows that ClickHouse does not take go to the backup, from which flows redrive them."""
        backup = NamingBackup(KafkaBackup(Appender(producer_config(self._bootstrap))), build_name())
        url = required(self.settings.clickhouse.url, "CLICKGOOSE_CLICKHOUSE__URL")
        quick, bulk = writer_policies(self.settings.flow)

        def table() -> Writer[RecordedParcel]:
            made = DecisionTable(ClickHouse(url))
            return self._writer(made, (made, backup), progress, bulk, metrics)

        def dead() -> Writer[RecordedParcel]:
            return self._writer(DeadRecords(backup), None, progress, gathering(quick, self.settings.flow), metrics)

        stop = self._stopping
        return {"clickhouse": BackgroundSink(table, stop), "dead_letter": BackgroundSink(dead, stop)}

    @staticmethod
    def _writer(
        destination: Destination[RecordedParcel],
        backup: tuple[Recoverable[RecordedParcel], Backup] | None,
        progress: Progress,
        policy: WriterPolicy,
        metrics: FlowMetrics,
    ) -> Writer[RecordedParcel]:
        writer = Writer(destination, progress, policy, backup, metrics.on_block)
        metrics.watch_queue(writer)
        return writer


def _nothing() -> None:
    """An epoch ends: offsets are committed by the fence."""
