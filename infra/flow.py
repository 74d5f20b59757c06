"""The composition root of the flow: settings in, a running dataflow with real clients out."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from confluent_kafka import Consumer, KafkaException
from prometheus_client import CollectorRegistry

from enrichers.address_file import DataFileError
from enrichers.present import present
from flows.bind import ClusterBroken, run_bytewax
from flows.checkpoints import Checkpoints
from flows.lookups.labelled_fraud import ReputationFileError, load_labelled_fraud
from flows.lookups.memory_shared import MemorySharedCounts
from flows.metrics import FlowMetrics
from flows.parcel import Parcel
from flows.pipeline import Pipeline, build_pipeline
from flows.progress import Progress
from flows.run_stage import Monitor
from flows.score_events import Parts, build_flow
from flows.sinks.encoded import EncodedParcel, encoder
from flows.sources.fence import KafkaGroup
from flows.sources.raw_events import RawEvents, SourceConfig, SourceParts
from flows.sources.watermarks import watermarks
from infra.compiled_loops import load_compiled_loops
from infra.cores import bind_to
from infra.flow_calm import calm
from infra.flow_layout import StateRoot, process_of
from infra.flow_rules import FlowRules
from infra.flow_serving import FlowRefused, build_name, claimed, monitor_of, required
from infra.flow_shared import at_each_epoch, entity_key, shared_counts, stream_name
from infra.flow_sinks import SINKS, Addresses, FlowSinks
from infra.keys import key_ring
from infra.model_watch import ModelWatch, roles_of
from infra.models import registry_of
from infra.policies import PoliciesRefused, WatchedPolicies
from infra.settings import Settings
from infra.topics import RAW
from infra.turns import take_short_turns
from schemas.batches import Decided, Normalized, Recognized
from schemas.keys import KeyRing
from schemas.shared import SharedCounts
from scoring.deployment import CurrentDeployment, only
from scoring.explain import Explainer
from scoring.judge import Judge
from scoring.model import Model, ModelError, find_model
from scoring.policy import CurrentPolicies
from scoring.storage import RegistryError

log = logging.getLogger("clickgoose.flow")
_METADATA_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Place:
    """Which process of how many this is."""

    ordinal: int = 0
    processes: int = 1
    addresses: tuple[str, ...] = ()  # host:port of every process, where they are one Bytewax cluster

    def partitions(self, all_partitions: Iterable[int]) -> tuple[int, ...]:
        """Return the partitions of this process; FlowRefused where there are too few for all processes."""
        every = tuple(all_partitions)
        own = tuple(number for number in every if process_of(number, self.processes) == self.ordinal)
        if not own:
            raise FlowRefused(
                f"process {self.ordinal} of {self.processes} would have none of the {len(every)} partitions: "
                "start fewer processes, or raise CLICKGOOSE_KAFKA__PARTITIONS and run `clickgoose up`"
            )
        return own

    def bind(self, cores: Sequence[int]) -> None:
        """Bind this thread, and all that it starts afterwards, to its own of the cores; without any, to none.

        FlowRefused where it may not use that core.
        """
        if cores and (refused := bind_to((cores[self.ordinal % len(cores)],))) is not None:
            raise FlowRefused(f"process {self.ordinal} cannot be bound to its core: {refused}; see flow.cores")


@dataclass(slots=True)
class FlowProcess:
    """One worker with a static set of partitions. ``run`` returns after ``stop`` has drained it."""

    settings: Settings
    partitions: tuple[int, ...]
    state: Path  # the root: flow_layout says what lies in it
    topic: str = RAW
    place: Place = Place()
    group: str = "clickgoose-score-events"
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _reading: threading.Event = field(default_factory=threading.Event)

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Run until stopped. Exceptions are for a broken world: their message says which part of it."""

        def reading() -> None:
            self._reading.set()
            ready()

        take_short_turns(self.settings.turn_microseconds)
        with StateRoot(self.state, self.place.processes) as root:
            self._run(root, reading)

    def _run(self, root: StateRoot, ready: Callable[[], None]) -> None:
        metrics = FlowMetrics(self.registry)
        monitor = monitor_of(self.settings.flow, metrics)
        progress = Progress(SINKS)
        models = watch_models(self.settings, metrics)
        shared = shared_counts(self.settings, self._addresses.redis, stream_name(self._bootstrap, self.topic), metrics)
        policies = watch_policies(self.settings, metrics)
        rules = watch_rules(self.settings, self._addresses.redis, metrics)
        pipeline = pipeline_of(self.settings, models, shared, policies, rules.judge)
        checkpoints = Checkpoints(root.directory(self.place.ordinal), pipeline.keyed, progress, monitor)
        resume = checkpoints.open(log_ends(self._bootstrap, self.topic, self.partitions))
        epoch = at_each_epoch(checkpoints.snapshot, shared, progress, self.partitions)
        # After the locks: a second flow on this state must not disturb the first.
        group = KafkaGroup(self._bootstrap, self.topic, self.group)
        fence = claimed(group, self.partitions, root.owner, self.settings.flow.epoch_seconds, progress, metrics)
        source = self._source(
            SourceParts(resume, progress, metrics, time.time_ns, self._stopping.is_set, fence.check, epoch, ready)
        )
        sinks = FlowSinks(self._addresses, self.settings, progress, metrics, self._stopping)
        flow = build_flow(self._parts(source, pipeline, checkpoints, sinks, monitor))
        decides = {"policy": policies().digest, "rules": rules.rules().state}
        load_compiled_loops()
        log.info("flow starts", extra={"resume": resume, **roles_of(models()), **decides})
        models.start()
        policies.start()
        rules.start()
        sinks.start_redrive()
        try:
            epochs = timedelta(seconds=self.settings.flow.epoch_seconds)
            with calm():
                run_bytewax(flow, epochs, self.place.ordinal, self.place.addresses)
        except ClusterBroken as broken:
            raise monitor.stopped or broken from None
        finally:
            policies.close()
            rules.close()
            models.close()
            sinks.stop_redrive()
            shared.close()
            checkpoints.finish()
            fence.close()
        log.info("flow drained")

    def reads(self) -> bool:
        """Return whether the consumer is open and the flow was not told to stop."""
        return self._reading.is_set() and not self._stopping.is_set()

    def stop(self) -> None:
        """Stop reading, finish what was read, and end."""
        self._stopping.set()

    @property
    def _bootstrap(self) -> str:
        return required(self.settings.kafka.bootstrap, "CLICKGOOSE_KAFKA__BOOTSTRAP")

    @property
    def _addresses(self) -> Addresses:
        return Addresses(
            self._bootstrap,
            required(self.settings.redis.url, "CLICKGOOSE_REDIS__URL"),
            required(self.settings.clickhouse.url, "CLICKGOOSE_CLICKHOUSE__URL"),
        )

    def _source(self, parts: SourceParts) -> RawEvents:
        settings = self.settings.flow
        config = SourceConfig(
            bootstrap=self._bootstrap,
            topic=self.topic,
            group=self.group,
            part=f"raw-events-{self.place.ordinal}",
            max_events=settings.poll_max_events,
            wait_seconds=settings.poll_wait_ms / 1000,
            longest_wait_seconds=settings.poll_longest_wait_ms / 1000,
            queue_bytes=settings.fetch_queue_bytes,
        )
        return RawEvents(config, parts)

    def _parts(
        self,
        source: RawEvents,
        pipeline: Pipeline,
        checkpoints: Checkpoints[Normalized, Recognized],
        sinks: FlowSinks,
        monitor: Monitor,
    ) -> Parts:
        encode = encoder(Explainer(), present, build_name())
        return Parts(
            source=source,
            pipeline=pipeline,
            checkpoints=checkpoints,
            encode=timed(encode, monitor),
            sinks=sinks.build(),
            monitor=monitor,
        )


def timed(
    encode: Callable[[Parcel[Decided]], EncodedParcel], monitor: Monitor
) -> Callable[[Parcel[Decided]], EncodedParcel]:
    """Observe the age of each parcel's oldest event where its results are ready for the sinks."""

    def timed(parcel: Parcel[Decided]) -> EncodedParcel:
        encoded = encode(parcel)
        if len(parcel.batch):
            age = monitor.clock() / 1e6 - int(parcel.batch.origin.appended_at.min())
            monitor.metrics.event_seconds.observe(max(0.0, age / 1e3))
        return encoded

    return timed


def load_model(settings: Settings) -> Model:
    """Return the model that the settings pin, or the live one of their registry."""
    try:
        registry = registry_of(settings)
        return registry.load(settings.model_version or registry.rollout().roles.live)
    except ModelError as error:
        raise FlowRefused(str(error)) from error


def watch_models(settings: Settings, metrics: FlowMetrics) -> ModelWatch:
    """Return the models of the settings' registry, and who keeps them current; FlowRefused where none can be used."""
    try:
        return ModelWatch(registry_of(settings), metrics, settings.models.watch_seconds, settings.model_version)
    except ModelError as error:
        raise FlowRefused(str(error)) from error


def watch_policies(settings: Settings, metrics: FlowMetrics) -> WatchedPolicies:
    """Return the policies of the settings, which follow their file; FlowRefused where it cannot be used."""
    try:
        return WatchedPolicies(settings.flow.policies_file, metrics)
    except PoliciesRefused as error:
        raise FlowRefused(str(error)) from error


def watch_rules(settings: Settings, redis_url: str, metrics: FlowMetrics) -> FlowRules:
    """Return the published rules, with the history and lists that they ask; FlowRefused where they cannot be used."""
    try:
        return FlowRules(settings, redis_url, metrics)
    except (RegistryError, ValueError) as error:
        raise FlowRefused(str(error)) from error


def pipeline_of(
    settings: Settings,
    models: CurrentDeployment,
    shared: SharedCounts | None = None,
    policies: CurrentPolicies | None = None,
    judge: Judge | None = None,
    keys: KeyRing | None = None,
) -> Pipeline:
    """Return the pipeline of these settings; FlowRefused where their master keys or a data file cannot be used."""
    try:
        keys = keys or key_ring(settings)
    except ValueError as error:
        raise FlowRefused(str(error)) from None
    lateness = settings.flow.lateness_seconds * 1000
    try:
        return build_pipeline(
            keys,
            models,
            lateness_ms=lateness,
            shared=shared,
            labels=load_labelled_fraud(settings.flow.reputation_file),
            entity_key=entity_key(settings),
            store_features=settings.flow.store_features,
            policies=policies,
            judge=judge,
        )
    except (DataFileError, ReputationFileError) as error:
        raise FlowRefused(str(error)) from None


def log_ends(bootstrap: str, topic: str, partitions: Iterable[int]) -> dict[int, int]:
    """Return where each partition ends now. FlowRefused where Kafka does not say within a bounded time."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "clickgoose-log-ends", "log_level": 0})
    try:
        return {number: watermarks(consumer, topic, number, _METADATA_SECONDS)[1] for number in partitions}
    except KafkaException as error:
        raise FlowRefused(f"Kafka does not say where {topic} ends: {error.args[0].str()}") from error
    finally:
        consumer.close()


def bench_parts() -> tuple[Pipeline, Callable[[Parcel[Decided]], EncodedParcel]]:
    """Return the pipeline of the shipped model with the generator's keys, and its encoder: for benchmarks.

    Features are stored, as flows do unless they are told not to.
    """
    from infra.traffic.dataset import dataset_keys  # noqa: PLC0415 - the generator is not part of a running flow

    model = Model.load(find_model())
    pipeline = build_pipeline(
        dataset_keys(), only(model), lateness_ms=86_400_000, shared=MemorySharedCounts(), store_features=True
    )
    return pipeline, encoder(Explainer(), present, "bench")
