"""What is told of the rules that a flow asks, under the names that the ingest tier uses too."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from flows.tallies import Tallies
from schemas.batches import Decision, Rules
from schemas.ruling import BY


class RuleMetrics:
    """One set a process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.info = Gauge("clickgoose_rules_info", "1 for the rules in force", ("state",), registry=registry)
        self.loads = Counter("clickgoose_rules_loads", "Changes of what is in force", ("outcome",), registry=registry)
        self.rows = Counter("clickgoose_rules_rows", "Events that rules or lists looked at", registry=registry)
        self.errors = Counter("clickgoose_rules_errors", "Rules that erred on an event", registry=registry)
        self.degraded = Counter(
            "clickgoose_rules_degraded_rows", "Events of which history or lists could not be asked", registry=registry
        )
        self.backlog = Gauge(
            "clickgoose_rules_backlog_rows", "Events that wait to be written to the rules' history", registry=registry
        )
        self.lost = Gauge(
            "clickgoose_rules_lost_rows", "Events that a full backlog never wrote to it", registry=registry
        )
        self.decided = Tallies("clickgoose_decided_rows", "Decided events, by what decided", ("by",), registry)

    def taken(self, state: str) -> None:
        """State which rules are in force."""
        self.loads.labels("taken").inc()
        self.info.clear()
        self.info.labels(state).set(1)

    def refused(self, _sentence: str) -> None:
        """Count a ruleset that cannot be used; the watch logs why."""
        self.loads.labels("refused").inc()

    def on_rules(self, rules: Rules) -> None:
        """Count what rules said of a batch."""
        if rules.said.count(None) == len(rules.said):
            return
        looked = [said for said in rules.said if said is not None] if (rules.ruleset >= 0).any() else []
        if looked:
            self.rows.inc(len(looked))
            self.errors.inc(sum(one.status == "error" for said in looked for one in said.trace))
            self.degraded.inc(int(rules.degraded.sum()))

    def on_decision(self, decision: Decision) -> None:
        """Count who decided."""
        decided = decision.by.tobytes()
        for number in set(decided):
            self.decided.labels(BY[number]).inc(decided.count(number))
