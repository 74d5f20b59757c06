"""The pipeline of a replay: the flow's own stages, with what the run was begun with and counts of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from clickhouse_driver import Client
from prometheus_client import CollectorRegistry
from redis.backoff import AbstractBackoff
from redis.retry import Retry

from enrichers.present import present
from flows.breaker import FlowStopped
from flows.lookups.memory_shared import MemorySharedCounts
from flows.lookups.rule_history import RuleHistory
from flows.metrics import FlowMetrics
from flows.parcel import Parcel
from flows.pipeline import Pipeline
from flows.run_stage import Monitor
from flows.sinks.clickhouse import client_url
from flows.sinks.encoded import EncodedParcel, encoder
from infra.flow import pipeline_of
from infra.flow_serving import monitor_of, required
from infra.flow_shared import entity_key, shared_counts, stream_name
from infra.replay_inputs import Inputs
from infra.settings import Settings
from replay.archive_source import ArchiveSource, EitherSource, Reading, archive_client
from replay.batch_source import BatchSource
from replay.checkpoint import Dumpable
from replay.guards import own_redis
from replay.history_order import HistoryOrder
from replay.kafka_source import Fetching, KafkaSource
from replay.merge import Key, appended_at
from replay.namespace import Namespace
from replay.parts import Source
from replay.plan import Plan, Start
from schemas.batches import Decided
from schemas.shared import SharedAnswer, SharedCounts, SharedQuery
from scoring.deployment import Fixed
from scoring.explain import Explainer
from scoring.judge import HistoryLookup, Judge, Routes
from scoring.policy import FixedPolicies
from scoring.rules.answers import Unanswered
from scoring.rules.history import Outcome as Exchanged
from scoring.rules.history import Step
from scoring.rules.history_keys import HistoryKeys
from scoring.rules.memory_history import MemoryHistory

MEMORY, REDIS = "memory", "redis"
APPENDED, HISTORY = "appended", "history"
_REDIS_SECONDS = 10.0  # a slow answer is waited for: without it the outcome would be another
_LONGEST_PAUSE = 2.0
_CONNECT_SECONDS, _ANSWER_SECONDS = 5.0, 120.0


@dataclass(frozen=True, slots=True)
class Made:
    """What the engine is given. ``counts`` and ``history`` where they are in the process.

    ``trouble``: what the counts wait for, in a few words; empty where they do not. ``remembers``: rules look at events.
    """

    pipeline: Pipeline
    encode: Callable[[Parcel[Decided]], EncodedParcel]
    monitor: Monitor
    counts: Dumpable | None
    history: Dumpable | None
    trouble: Callable[[], str] = str
    remembers: bool = True


def make_pipeline(
    settings: Settings,
    inputs: Inputs,
    names: Namespace,
    plan: Plan,
    counts: str,
    stop: threading.Event,
    open_: ExitStack,
) -> Made:
    """Return the pipeline; FlowRefused where master keys or a data file cannot be used."""
    metrics = FlowMetrics(CollectorRegistry())
    shared: SharedCounts
    history: HistoryLookup
    dumps: tuple[Dumpable | None, Dumpable | None] = (None, None)
    patience = _UntilStopped(stop)
    keys = HistoryKeys(entity_key(settings), f"{names.prefix}r" if counts == REDIS else "r")
    if counts == REDIS:
        url = required(settings.redis.url, "CLICKGOOSE_REDIS__URL")
        source = stream_name(required(settings.kafka.bootstrap, "CLICKGOOSE_KAFKA__BOOTSTRAP"), plan.topic)
        counting = shared_counts(settings, url, source, metrics, (_patient(url, names, patience), f"{names.prefix}v"))
        remembering = RuleHistory(_patient(url, names, patience), keys)
        open_.callback(counting.close)
        open_.callback(remembering.close)
        shared, history = _Undegraded(counting), _Answered(remembering)
    else:
        shared = in_process = MemorySharedCounts(settings.flow.lateness_seconds * 1000, answers=0)
        history = remembered = MemoryHistory(keys=keys)
        dumps = (in_process, remembered)
    judge = Judge(lambda: inputs.rules, history, lambda: inputs.lists)
    policies = FixedPolicies(inputs.policies)
    pipeline = pipeline_of(settings, Fixed(inputs.deployment), shared, policies, judge)
    monitor = monitor_of(settings.flow, metrics)
    monitor.clock = _no_clock
    encode, remembers = encoder(Explainer(), present, inputs.versions.build), not Routes(inputs.rules).silent
    return Made(pipeline, encode, monitor, *dumps, patience.trouble, remembers)


def _no_clock() -> int:
    return 0


def make_source(settings: Settings, plan: Plan, open_: ExitStack) -> Source:
    """Return what reads the plan's pieces."""
    pieces = len(plan.partitions)
    bootstrap, clickhouse = settings.kafka.bootstrap, settings.clickhouse.url
    source: Source
    if plan.start is Start.SEALED:
        kafka = KafkaSource(bootstrap or "", plan.topic, Fetching(pieces=pieces))
        archive = ArchiveSource(lambda: archive_client(clickhouse or ""), plan.topic, Reading(pieces=pieces))
        source = EitherSource(kafka, archive)
    else:
        source = BatchSource(required(bootstrap, "CLICKGOOSE_KAFKA__BOOTSTRAP"), plan)
    open_.callback(source.close)
    return source


def key_of(settings: Settings, plan: Plan, order: str, open_: ExitStack) -> Key:
    """Return what orders rows of different partitions."""
    if order == APPENDED:
        return appended_at
    client = _connect(required(settings.clickhouse.url, "CLICKGOOSE_CLICKHOUSE__URL"))
    open_.callback(client.disconnect)
    return HistoryOrder(client, plan.topic)


def _connect(url: str) -> Client:
    return Client.from_url(client_url(url, _CONNECT_SECONDS, _ANSWER_SECONDS))


class CountsStopped(BaseException):
    """The run was told to stop while the store of its counts was away. No stage may take it for a bug on a row."""


class _UntilStopped(AbstractBackoff):
    """Pauses between tries; once the run is told to stop, no more of them."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._waits = False

    def __deepcopy__(self, memo: dict[int, Any]) -> _UntilStopped:
        """Return itself: each connection copies how it retries, and all wait for the same word to stop."""
        return self

    def trouble(self) -> str:
        """Return what is waited for, in a few words; empty where nothing is."""
        return "counts: Redis does not answer" if self._waits else ""

    def reset(self) -> None:
        """Begin a call."""
        self._waits = False

    def compute(self, failures: int) -> float:
        """Return the pause after so many failures, seconds; CountsStopped once the run is told to stop."""
        self._waits = failures > 1  # once is a connection that had been left open
        if self._stop.is_set():
            raise CountsStopped("told to stop while Redis, which has the run's counts, was away")
        return float(min(_LONGEST_PAUSE, 0.05 * 2.0 ** min(failures, 10)))


class _Undegraded:
    """Shared counts that are known, or the run ends: an outcome without them would say nothing of what changed."""

    def __init__(self, counts: SharedCounts) -> None:
        self._counts = counts

    def count(self, query: SharedQuery, /) -> SharedAnswer:
        """Return the counts; FlowStopped where the store refuses them."""
        answer = self._counts.count(query)
        if answer.degraded:
            raise FlowStopped("Redis refuses to count for this run: its log above says why")
        return answer


class _Answered:
    """The rules' history that answers, or the run ends."""

    def __init__(self, history: HistoryLookup) -> None:
        self._history = history

    def exchange(self, steps: Sequence[Step]) -> list[Exchanged]:
        """Answer and write; FlowStopped where the store refuses."""
        found = self._history.exchange(steps)
        if isinstance(found, Unanswered):
            raise FlowStopped(f"Redis refuses the rules' history of this run: {found.reason}")
        return found


def _patient(url: str, names: Namespace, patience: _UntilStopped) -> Any:
    """Return a client that waits for the store: scripts count once, however often they are sent."""
    return own_redis(url, names, _REDIS_SECONDS, retry=Retry(patience, -1))
