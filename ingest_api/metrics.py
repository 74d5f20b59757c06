"""What the ingest tier counts. Labels come from closed sets, so that no client can make new series."""

from __future__ import annotations

import time
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ingest_api.checks import STATUS_OF, Reason
from ingest_api.clickhouse_link import ClickHouseLink
from ingest_api.decision_metrics import DecisionMetrics
from ingest_api.label_items import Refusal
from ingest_api.spool import SpoolState
from ingest_api.tallies import Seconds
from ingest_api.watchlist_metrics import ListMetrics

ROUTES = (
    "sessions",
    "events",
    "score",
    "explain",
    "labels",
    "decisions",
    "watchlists",
    "healthz",
    "readyz",
    "metrics",
    "openapi",
    "agent",
    "other",
)
SCOPES = ("session", "merchant", "address", "credential", "labels", "explain", "decisions", "lists")
_STATUSES = (200, 201, 202, 204, 304, 400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 429, 500, 501, 503)
_LATENCY = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 2.0, 4.0)


class Metrics:
    """All series of one process, in the registry that it is given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.decisions = DecisionMetrics(registry)
        self.lists = ListMetrics(registry)
        requests = Counter("clickgoose_ingest_requests", "Requests", ["route", "status"], registry=registry)
        self._requests = {(r, s): requests.labels(r, str(s)) for r in ROUTES for s in _STATUSES}
        self._odd_requests = {r: requests.labels(r, "other") for r in ROUTES}
        events = Counter("clickgoose_ingest_events", "Events", ["status", "reason"], registry=registry)
        self._events = {reason: events.labels(status, reason) for reason, status in STATUS_OF.items()}
        self._produce = Seconds(
            "clickgoose_ingest_produce_seconds", "From queueing to Kafka's answer", _LATENCY, registry
        )
        labels = Counter("clickgoose_ingest_labels", "Labels", ["status", "reason"], registry=registry)
        self._stored_labels = labels.labels("stored", "")
        self._refused_labels = {reason: labels.labels("refused", reason.value) for reason in Refusal}
        self._labels_write = Histogram(
            "clickgoose_ingest_labels_write_seconds", "One insert of labels", buckets=_LATENCY, registry=registry
        )
        limited = Counter("clickgoose_ingest_rate_limited", "Requests over a limit", ["scope"], registry=registry)
        self._limited = {scope: limited.labels(scope) for scope in SCOPES}
        self._rows = Gauge("clickgoose_ingest_spool_rows", "Events on disk that wait for Kafka", registry=registry)
        self._parked = Gauge("clickgoose_ingest_spool_parked", "Events on disk that Kafka refuses", registry=registry)
        self._bytes = Gauge("clickgoose_ingest_spool_bytes", "Size of the spool", registry=registry)
        self._age = Gauge("clickgoose_ingest_spool_age_seconds", "Age of the oldest spooled event", registry=registry)
        self._oldest: float | None = None
        self._age.set_function(lambda: 0.0 if self._oldest is None else max(0.0, time.time() - self._oldest))
        self._unmarked = Counter("clickgoose_ingest_unmarked_events", "Events without pending mark", registry=registry)
        self._clickhouse_away = Gauge(
            "clickgoose_ingest_clickhouse_away", "1 while ClickHouse was found away", ["use"], registry=registry
        )
        self._degraded = Gauge(
            "clickgoose_ingest_rate_limiter_degraded", "1 while limits are kept in memory only", registry=registry
        )

    def watch_clickhouse(self, link: ClickHouseLink) -> None:
        """Publish whether one use of ClickHouse found it away, and got no answer since."""
        self._clickhouse_away.labels(link.name).set_function(lambda: float(link.away))

    def request(self, route: str, status: int) -> None:
        """Count a request."""
        (self._requests.get((route, status)) or self._odd_requests[route]).inc()

    def events(self, reason: Reason, count: int) -> None:
        """Count events with one outcome."""
        self._events[reason].inc(count)

    def produced(self, seconds: float) -> None:
        """Note how long Kafka took for a request's events."""
        self._produce.observe(seconds)

    def labels(self, stored: int, refused: Mapping[Refusal, int]) -> None:
        """Count labels that were answered."""
        self._stored_labels.inc(stored)
        for reason, count in refused.items():
            self._refused_labels[reason].inc(count)

    def labels_written(self, seconds: float) -> None:
        """Note how long ClickHouse took for one insert of labels."""
        self._labels_write.observe(seconds)

    def limited(self, scope: str) -> None:
        """Count a refusal."""
        self._limited[scope].inc()

    def unmarked(self, count: int) -> None:
        """Count events that were accepted while Redis was away."""
        self._unmarked.inc(count)

    def limiter_degraded(self, degraded: bool) -> None:
        """Say whether the limits are kept in memory only."""
        self._degraded.set(degraded)

    def spool(self, state: SpoolState) -> None:
        """Publish how full the spool is."""
        self._rows.set(state.rows - state.parked)
        self._parked.set(state.parked)
        self._bytes.set(state.stored_bytes)
        self._oldest = state.oldest
