"""The flow's metrics: names as in docs/operations.md, labels from closed sets, and the models in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from flows.rule_metrics import RuleMetrics
from flows.sinks.writer import Report, Writer
from flows.tallies import Spread, Spreads, Tallies, Tally
from schemas.batches import Score

_SECONDS = (0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_EVENT_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0)
_ROWS = (1, 4, 16, 64, 128, 256, 512, 1024)


class FlowMetrics:
    """One set a process, on an injected registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.stage_rows = Tallies("clickgoose_stage_rows", "Rows out of a stage", ("stage", "outcome"), registry)
        self.stage_seconds = Spreads(
            "clickgoose_stage_duration_seconds", "One batch in one stage", ("stage",), _SECONDS, registry
        )
        self.dead_letters = Counter(
            "clickgoose_dead_letters", "Dead letters by reason", ("stage", "reason"), registry=registry
        )
        self.dead_share = Gauge(
            "clickgoose_dead_letter_share",
            "Share of a partition's last rows that died of what the circuit breaker counts",
            ("partition",),
            registry=registry,
        )
        self.model_rows = Tallies(
            "clickgoose_model_rows", "Rows that each model scored", ("model", "outcome"), registry
        )
        self.event_seconds = Spreads(
            "clickgoose_event_latency_seconds",
            "From Kafka's time stamp to the end of scoring, the slowest event of a batch",
            (),
            _EVENT_SECONDS,
            registry,
        ).labels()
        self.batch_rows = Spreads("clickgoose_batch_rows", "Rows of a polled batch", (), _ROWS, registry).labels()
        self.lag = Gauge("clickgoose_source_lag_events", "Events not polled yet", ("partition",), registry=registry)
        self.unacknowledged = Gauge(
            "clickgoose_unacknowledged_events",
            "Events polled that not every sink holds",
            ("partition",),
            registry=registry,
        )
        self.sink_seconds = Spreads(
            "clickgoose_sink_write_seconds", "One block written", ("sink", "outcome"), _EVENT_SECONDS, registry
        )
        self.sink_rows = Tallies("clickgoose_sink_rows", "Rows held by a sink", ("sink", "outcome"), registry)
        self.queue_rows = Gauge(
            "clickgoose_sink_queue_rows", "Rows that wait for a sink or are with it", ("sink",), registry=registry
        )
        self.queue_bytes = Gauge(
            "clickgoose_sink_queue_bytes", "The same, about, in bytes", ("sink",), registry=registry
        )
        self.redriven = Counter(
            "clickgoose_redriven_rows", "Rows of the backup written to their sink", ("sink",), registry=registry
        )
        self.redrive_left = Counter(
            "clickgoose_redrive_left_rows", "Rows that the sink refused again and again", ("sink",), registry=registry
        )
        self.redrive_lag = Gauge(
            "clickgoose_redrive_lag_records", "Records of the backup to be looked at", ("sink",), registry=registry
        )
        self.redrive_oldest = Gauge(
            "clickgoose_redrive_oldest_seconds", "Age of the oldest row that waits", ("sink",), registry=registry
        )
        self.shared_seconds = Histogram(
            "clickgoose_shared_counts_seconds",
            "One round trip to the store of what devices share",
            buckets=_SECONDS,
            registry=registry,
        )
        self.shared_degraded = Counter(
            "clickgoose_shared_counts_degraded_rows", "Events that went on without shared counts", registry=registry
        )
        self.shared_backlog = Gauge(
            "clickgoose_shared_counts_backlog_rows", "Events that wait to be counted", registry=registry
        )
        self.shared_lost = Counter(
            "clickgoose_shared_counts_lost_rows", "Events that a full backlog never counted", registry=registry
        )
        self.state_write_failures = Counter(
            "clickgoose_state_write_failures", "Frames that the state log could not write", registry=registry
        )
        self.state_damage = Counter(
            "clickgoose_state_damage", "Damages found in state logs when they were opened", registry=registry
        )
        self.snapshots_skipped = Counter(
            "clickgoose_snapshots_skipped",
            "Snapshots put off because rows were between the keyed stage and the score",
            registry=registry,
        )
        self.snapshot_seconds = Histogram(
            "clickgoose_snapshot_seconds",
            "One partition's snapshot made and appended to its state log",
            buckets=_SECONDS,
            registry=registry,
        )
        self.scores_waited = Gauge(
            "clickgoose_scores_waited_seconds",
            "How long `flow run --stage enrich` waits for scores of what it sent",
            registry=registry,
        )
        self.scores_lost = Counter(
            "clickgoose_scores_lost_offsets",
            "Offsets of events.raw whose scores were gone from events.outcomes before `enrich` had read them",
            registry=registry,
        )
        self.passed_over = Counter(
            "clickgoose_source_passed_over_records",
            "Records of batches that had been taken already, or come again",
            registry=registry,
        )
        self.model_info = Gauge(
            "clickgoose_model_info", "1 for each model in use", ("version", "role"), registry=registry
        )
        self.model_swaps = Counter("clickgoose_model_swaps", "Times that other models took over", registry=registry)
        self.model_refused = Counter(
            "clickgoose_model_refused", "Reasons not to use a model of the roll-out, each once", registry=registry
        )
        self.policies_info = Gauge(
            "clickgoose_policies_info", "1 for the policies that decide", ("digest",), registry=registry
        )
        self.policies_loads = Counter(
            "clickgoose_policies_loads", "Changes of the policies file", ("outcome",), registry=registry
        )
        self.policies_refused = Gauge(
            "clickgoose_policies_refused", "1 while the policies file as it is now cannot be used", registry=registry
        )
        self.rules = RuleMetrics(registry)
        self.kafka_errors = Counter("clickgoose_source_errors", "Errors that librdkafka reported", registry=registry)

        self._blocks = Lock()
        self._of_blocks: dict[tuple[str, str], tuple[Spread, Tally]] = {}

    def on_score(self, score: Score) -> None:
        """Count the rows of each model: scored for the merchant, shadowed beside it, or failed in the shadow."""
        rows = len(score)
        counted = [rows] if rows and len(score.versions) == 1 else np.bincount(score.model).tolist()
        for version, scored in zip(score.versions, counted, strict=False):
            self.model_rows.labels(version, "scored").inc(scored)
        if score.shadows or score.shadow_score.shape[1]:
            for version, failed in zip(score.shadows, np.isnan(score.shadow_score).sum(axis=0).tolist(), strict=True):
                self.model_rows.labels(version, "shadowed").inc(rows - failed)
                self.model_rows.labels(version, "failed").inc(failed)

    def show_models(self, roles: Mapping[str, Sequence[str]]) -> None:
        """State which versions are in use, by role."""
        self.model_info.clear()
        for role, versions in roles.items():
            for version in versions:
                self.model_info.labels(version, role).set(1)

    def show_policies(self, digest: str) -> None:
        """State which policies decide."""
        self.policies_info.clear()
        self.policies_info.labels(digest).set(1)

    def watch_queue(self, writer: Writer[Any]) -> None:
        """Show a writer's queue at every scrape."""
        self.queue_rows.labels(writer.name).set_function(lambda: writer.rows_held)
        self.queue_bytes.labels(writer.name).set_function(lambda: writer.bytes_held)

    def on_redrive(self, sink: str, written: int, left: int) -> None:
        """Count rows of the backup that were written, and those that stay there."""
        self.redriven.labels(sink).inc(written)
        self.redrive_left.labels(sink).inc(left)

    def on_backup(self, sink: str, waiting: int, oldest_seconds: float) -> None:
        """State what of the backup a redriver has still to look at."""
        self.redrive_lag.labels(sink).set(waiting)
        self.redrive_oldest.labels(sink).set(oldest_seconds)

    def on_block(self, report: Report) -> None:
        """Count what a writer did with a block; writers are several threads."""
        with self._blocks:
            name = report.sink, report.outcome
            known = self._of_blocks.get(name)
            if known is None:
                known = self._of_blocks[name] = (self.sink_seconds.labels(*name), self.sink_rows.labels(*name))
            took, held = known
            took.observe(report.seconds)
            held.inc(report.rows)
