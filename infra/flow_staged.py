"""The composition root of a process that runs one part of the pipeline: ``clickgoose flow run --stage``."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry

from enrichers.present import present
from flows.bind import run_bytewax
from flows.checkpoints import Checkpoints
from flows.metrics import FlowMetrics
from flows.pipeline import Pipeline
from flows.progress import Progress
from flows.scores_back import ScoresBack
from flows.sinks.background import BackgroundSink
from flows.sinks.batches import HandedOn, KafkaBatches
from flows.sinks.encoded import encoder
from flows.sinks.kafka import Appender, producer_config
from flows.sinks.writer import Writer, WriterPolicy
from flows.sources.batches import Batches, BatchParts, Gate, NoGate, Reader, lane_at
from flows.sources.fence import KafkaGroup
from flows.sources.lane import Lane
from flows.sources.raw_events import RawEvents, SourceConfig, SourceParts
from flows.stage_records import ENRICHED, EXTRACTED, OUTCOMES, Outcomes
from flows.stage_state import Part, positions_of, stream_digest
from flows.staged import StagedParts, build_enrich, build_extract, build_score, state_of
from infra.compiled_loops import load_compiled_loops
from infra.flow import Place, log_ends, pipeline_of, timed, watch_models, watch_policies, watch_rules
from infra.flow_layout import StateRoot
from infra.flow_resumes import Resumes
from infra.flow_serving import FlowRefused, build_name, claimed, monitor_of, partitions_of, required
from infra.flow_shared import shared_counts, stream_name
from infra.flow_sinks import SINKS, Addresses, FlowSinks
from infra.settings import Settings
from infra.topics import RAW
from schemas.batches import Enriched, Verified
from schemas.columns import Columns
from schemas.keys import KEY_BYTES, KeyRing
from schemas.velocity import SCORE_LAG
from scoring.deployment import Deployment
from scoring.explain import Explainer

log = logging.getLogger("clickgoose.flow")
_ONWARD_BYTES: Final = 64 * 1024**2  # of records that wait for Kafka
_CODEC: Final = "lz4"  # signals are half zeros; what was sealed does not shrink
_MOST_ROWS: Final = SCORE_LAG // 4  # of a parcel: several are between enrich and score at once


@dataclass(frozen=True, slots=True)
class StageTopics:
    """The topics that the processes read and write."""

    raw: str = RAW
    extracted: str = EXTRACTED
    enriched: str = ENRICHED
    outcomes: str = OUTCOMES

    def read_by(self, part: Part) -> str:
        """Return what a part reads."""
        return {Part.EXTRACT: self.raw, Part.ENRICH: self.extracted, Part.SCORE: self.enriched}[part]

    def written_by(self, part: Part) -> str:
        """Return where a part hands its rows on."""
        return {Part.EXTRACT: self.extracted, Part.ENRICH: self.enriched, Part.SCORE: self.outcomes}[part]


# That of extract is that of the flow in one process: the two never read the same partitions at once.
GROUPS: Final = {
    Part.EXTRACT: "clickgoose-score-events",
    Part.ENRICH: "clickgoose-enrich",
    Part.SCORE: "clickgoose-score",
}
SINKS_OF: Final = {
    Part.EXTRACT: ("extracted", "dead_letter", "redis", "clickhouse"),
    Part.ENRICH: ("enriched", "dead_letter", "redis", "clickhouse"),
    Part.SCORE: ("outcomes", *SINKS),
}


@dataclass(slots=True)
class StageProcess:
    """One worker of one part, with a static set of partitions. ``run`` returns after ``stop`` has drained it."""

    settings: Settings
    part: Part
    partitions: tuple[int, ...]
    state: Path  # the root: flow_layout says what lies in it
    topics: StageTopics = field(default_factory=StageTopics)
    place: Place = field(default_factory=Place)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    stopping: threading.Event = field(default_factory=threading.Event)
    _reading: threading.Event = field(default_factory=threading.Event)

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Run until stopped. Exceptions are for a broken world: their message says which part of it."""

        def reading() -> None:
            self._reading.set()
            ready()

        with StateRoot(self.state, self.place.processes) as root:
            _Running(self, root).run(reading)

    def reads(self) -> bool:
        """Return whether the consumer is open and the process was not told to stop."""
        return self._reading.is_set() and not self.stopping.is_set()

    def stop(self) -> None:
        """Stop reading, finish what was read, and end."""
        self.stopping.set()


class _Running:
    """What is open while a process runs."""

    def __init__(self, process: StageProcess, root: StateRoot) -> None:
        self._process, self._root, self._settings = process, root, process.settings
        self._part, self._topics, self._partitions = process.part, process.topics, process.partitions
        self._bootstrap = required(self._settings.kafka.bootstrap, "CLICKGOOSE_KAFKA__BOOTSTRAP")
        self._redis = required(self._settings.redis.url, "CLICKGOOSE_REDIS__URL")
        self._clickhouse = required(self._settings.clickhouse.url, "CLICKGOOSE_CLICKHOUSE__URL")
        self._metrics = FlowMetrics(process.registry)
        self._monitor = monitor_of(self._settings.flow, self._metrics)
        self._progress = Progress(SINKS_OF[self._part])
        self._closers: list[Callable[[], None]] = []
        self._starters: list[Callable[[], None]] = []
        self._acknowledge: Callable[[int, int], None] = lambda partition, offset: None
        for topic in (self._topics.read_by(self._part), self._topics.written_by(self._part)):
            self._check_partitions(topic)
        self._source_name = stream_name(self._bootstrap, self._topics.raw)
        self._stream = stream_digest(self._source_name)

    def _check_partitions(self, topic: str) -> None:
        if missing := set(self._partitions) - set(partitions_of(self._bootstrap, topic)):
            raise FlowRefused(
                f"{topic} lacks {len(missing)} partitions that {self._topics.raw} has: run `clickgoose up`, which "
                "gives all topics as many"
            )

    def run(self, ready: Callable[[], None]) -> None:
        """Run until the source ends."""
        pipeline = {Part.EXTRACT: self._extracting, Part.ENRICH: self._enriching, Part.SCORE: self._scoring}[
            self._part
        ]()
        stage = state_of(self._part, pipeline, self._stream)
        directory = self._root.directory(self._process.place.ordinal)
        checkpoints: Checkpoints[Any, Any] = Checkpoints(directory, stage, self._progress, self._monitor)
        starts = checkpoints.open(log_ends(self._bootstrap, self._topics.raw, self._partitions))
        resumes = Resumes(checkpoints, self._progress, starts)
        # After the locks: a second process on this state must not disturb the first.
        group = KafkaGroup(self._bootstrap, self._topics.read_by(self._part), GROUPS[self._part])
        seconds = self._settings.flow.epoch_seconds
        fence = claimed(group, self._partitions, self._root.owner, seconds, resumes, self._metrics)
        sinks = FlowSinks(self._addresses(), self._settings, self._progress, self._metrics, self._process.stopping)
        flow = self._flow(pipeline, checkpoints, starts, resumes, sinks, fence.check, ready)
        load_compiled_loops()
        log.info("flow starts", extra={"part": self._part.value, "resume": starts})
        for start in self._starters:
            start()
        try:
            run_bytewax(flow, timedelta(seconds=seconds))
        finally:
            for close in self._closers:
                close()
            checkpoints.finish()
            fence.close()
        log.info("flow drained", extra={"part": self._part.value})

    def _addresses(self) -> Addresses:
        return Addresses(self._bootstrap, self._redis, self._clickhouse)

    def _extracting(self) -> Pipeline:
        return pipeline_of(self._settings, _no_model)

    def _enriching(self) -> Pipeline:
        shared = shared_counts(self._settings, self._redis, self._source_name, self._metrics)
        self._closers.append(shared.close)
        self._acknowledge = shared.acknowledged
        return pipeline_of(self._settings, _no_model, shared, keys=_no_keys())

    def _scoring(self) -> Pipeline:
        models = watch_models(self._settings, self._metrics)
        policies = watch_policies(self._settings, self._metrics)
        rules = watch_rules(self._settings, self._redis, self._metrics)
        self._starters += [models.start, policies.start, rules.start]
        self._closers += [policies.close, rules.close, models.close]
        return pipeline_of(self._settings, models, None, policies, rules.judge, keys=_no_keys())

    def _flow(
        self,
        pipeline: Pipeline,
        checkpoints: Checkpoints[Any, Any],
        starts: dict[int, int | None],
        resumes: Resumes,
        sinks: FlowSinks,
        owned: Callable[[], None],
        ready: Callable[[], None],
    ) -> Any:
        def epoch() -> None:
            checkpoints.snapshot()
            resumes.note()
            for partition in self._partitions:
                self._acknowledge(partition, resumes.offset(partition))

        built = sinks.build()
        letters = {name: sink for name, sink in built.items() if name in SINKS_OF[self._part]}
        onward = SINKS_OF[self._part][0]

        def parts(source: Any) -> StagedParts:
            return StagedParts(
                source, pipeline, checkpoints, letters, (onward, self._onward(onward)), starts, self._monitor
            )

        if self._part is Part.EXTRACT:
            return build_extract(parts(self._raw_source(starts, owned, epoch, ready)))
        if self._part is Part.ENRICH:
            scores = self._scores_back(checkpoints, starts)
            source = self._batches(Verified, checkpoints, starts, scores, owned, epoch, ready)
            return build_enrich(parts(source), scores)
        self._starters.append(sinks.start_redrive)
        self._closers.append(sinks.stop_redrive)
        source = self._batches(Enriched, checkpoints, starts, NoGate(), owned, epoch, ready)
        return build_score(parts(source), timed(encoder(Explainer(), present, build_name()), self._monitor))

    def _onward(self, name: str) -> BackgroundSink[HandedOn]:
        topic = self._topics.written_by(self._part)
        settings = self._settings.flow
        policy = WriterPolicy(queue_rows=settings.sink_queue_rows, queue_bytes=_ONWARD_BYTES)

        def writer() -> Writer[HandedOn]:
            # What was sent after a record that failed must not be kept before it.
            config = producer_config(self._bootstrap, codec=_CODEC) | {"enable.gapless.guarantee": True}
            destination = KafkaBatches(name, topic, self._stream, Appender(config))
            made = Writer(destination, self._progress, policy, None, self._metrics.on_block)
            self._metrics.watch_queue(made)
            return made

        return BackgroundSink(writer, self._process.stopping)

    def _raw_source(
        self,
        starts: dict[int, int | None],
        owned: Callable[[], None],
        epoch: Callable[[], None],
        ready: Callable[[], None],
    ) -> RawEvents:
        stopping = self._process.stopping.is_set
        parts = SourceParts(starts, self._progress, self._metrics, time.time_ns, stopping, owned, epoch, ready)
        return RawEvents(self._source_config(self._settings.flow.poll_max_events), parts)

    def _source_config(self, most_rows: int, topic: str | None = None) -> SourceConfig:
        settings = self._settings.flow
        return SourceConfig(
            bootstrap=self._bootstrap,
            topic=topic or self._topics.read_by(self._part),
            group=GROUPS[self._part],
            part=f"{self._part}-{self._process.place.ordinal}",
            max_events=min(most_rows, settings.poll_max_events),
            wait_seconds=settings.poll_wait_ms / 1000,
            longest_wait_seconds=settings.poll_longest_wait_ms / 1000,
            queue_bytes=settings.fetch_queue_bytes,
        )

    def _batches(
        self,
        kind: type[Any],
        checkpoints: Checkpoints[Any, Any],
        starts: dict[int, int | None],
        gate: Gate,
        owned: Callable[[], None],
        epoch: Callable[[], None],
        ready: Callable[[], None],
    ) -> Batches[Any]:
        config = self._source_config(_MOST_ROWS)
        positions = {partition: positions_of(checkpoints, partition).batches for partition in self._partitions}

        def unheld(partition: int) -> int:
            return max(0, (checkpoints.reached(partition)[0] or 0) - self._progress.watermark(partition))

        parts: BatchParts[Any] = BatchParts(
            reader=lambda: self._reader(config, kind, _raw_offsets, starts, positions),
            gate=gate,
            metrics=self._metrics,
            clock=time.monotonic_ns,
            stopping=self._process.stopping.is_set,
            owned=owned,
            epoch=epoch,
            epoch_seconds=self._settings.flow.epoch_seconds,
            begin=checkpoints.begin,
            positions=lambda partition: positions_of(checkpoints, partition),
            unheld=unheld,
            reading=ready,
        )
        return Batches(config, parts)

    def _scores_back(self, checkpoints: Checkpoints[Any, Any], starts: dict[int, int | None]) -> ScoresBack:
        self._check_partitions(self._topics.outcomes)
        config = self._source_config(_MOST_ROWS, self._topics.outcomes)
        positions = {partition: positions_of(checkpoints, partition).scores for partition in self._partitions}
        reader = self._reader(config, Outcomes, lambda told: told.offset, starts, positions)
        return ScoresBack(reader, checkpoints, self._partitions, self._metrics)

    def _reader(
        self,
        config: SourceConfig,
        kind: type[Columns],
        offsets: Callable[[Any], Any],
        starts: dict[int, int | None],
        positions: dict[int, int],
    ) -> Reader[Any]:
        ends = log_ends(self._bootstrap, config.topic, self._partitions)
        lanes = {
            partition: lane_at(
                Lane(config.topic, kind, offsets, self._stream, time.monotonic),
                starts[partition], positions[partition], ends[partition],
            )
            for partition in self._partitions
        }  # fmt: skip
        return Reader(config, lanes, self._metrics)


def _raw_offsets(batch: Any) -> Any:
    return batch.origin.offset


def _no_model() -> Deployment:
    raise AssertionError("this part of the pipeline scores nothing")


def _no_keys() -> KeyRing:
    """Return a ring that opens nothing: only ``extract`` reads what was sealed, and needs the master keys."""
    return KeyRing({0: secrets.token_bytes(KEY_BYTES)})
