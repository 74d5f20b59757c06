"""What is counted of decisions. Labels come from closed sets, but for rules, of which a bounded number has one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from ingest_api.spool import SpoolState
from ingest_api.tallies import Seconds, Tally

MOST_RULES: Final = 500
"""Rules with a label of their own; the matches of all others are counted together."""
OTHERS: Final = "others"
_LATENCY = (0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 0.010, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 2.0)


class DecisionMetrics:
    """The series of one process, in the registry that it is given. A merchant's own rules are counted as ``own``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        name = "clickgoose_decisions"
        self._made = Tally(name, "Decisions about events of merchants", ("decision", "by"), registry)
        self._replayed = Counter(f"{name}_replayed", "Answers that stood already", registry=registry)
        self._conflicts = Counter(f"{name}_conflicts", "Event ids used with another body", registry=registry)
        self._degraded = Counter(f"{name}_degraded", "Decisions without some answers", ["what"], registry=registry)
        self._matches = Tally(f"{name}_rule_matches", "Matches of live rules", ("scope", "rule"), registry)
        self._errors = Counter(f"{name}_rule_errors", "Rules that erred", registry=registry)
        self._uncounted = Counter(f"{name}_uncounted", "Events that history did not take", ["why"], registry=registry)
        self._seconds = Seconds(f"{name}_seconds", "From the request to the answer", _LATENCY, registry)
        self._append = Seconds(f"{name}_append_seconds", "From queueing to Kafka's answer", _LATENCY, registry)
        self._rows = Gauge(f"{name}_spool_rows", "Decisions on disk that wait for Kafka", registry=registry)
        self._parked = Gauge(f"{name}_spool_parked", "Decisions on disk that Kafka refuses", registry=registry)
        self._bytes = Gauge(f"{name}_spool_bytes", "Size of the decisions' spool", registry=registry)

    def decided(self, decision: str, by: str, degraded: Iterable[str], seconds: float) -> None:
        """Count a decision."""
        self._made.count((decision, by))
        self._seconds.observe(seconds)
        for what in degraded:
            self._degraded.labels(what).inc()

    def replayed(self, seconds: float) -> None:
        """Count an answer that stood already."""
        self._replayed.inc()
        self._seconds.observe(seconds)

    def conflict(self) -> None:
        """Count an event id that another body has."""
        self._conflicts.inc()

    def rules(self, matched: Iterable[tuple[str, str]], errors: int) -> None:
        """Count matches of live rules, each as its scope and id, and rules that erred."""
        if errors:
            self._errors.inc(errors)
        for scope, rule in matched:
            named = scope, rule if scope == "global" else "own"
            if named not in self._matches and len(self._matches) >= MOST_RULES:
                named = scope, OTHERS
            self._matches.count(named)

    def uncounted(self, why: str) -> None:
        """Count a catalogue that did not take an event."""
        self._uncounted.labels(why).inc()

    def produced(self, seconds: float) -> None:
        """Note how long Kafka took."""
        self._append.observe(seconds)

    def spool(self, state: SpoolState) -> None:
        """Publish how full the spool is."""
        self._rows.set(state.rows - state.parked)
        self._parked.set(state.parked)
        self._bytes.set(state.stored_bytes)
