"""What became of the traffic: counters that a live table reads as the run goes, and that the summary is made of."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

_KEPT = 20_000


@dataclass(slots=True)
class TrafficStats:
    """Counts of one run. An *offered* event is one copy of a sealed event handed to the ingest tier."""

    started: float = field(default_factory=time.monotonic)
    offered: int = 0
    ok: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    sessions: int = 0
    requests: int = 0
    unanswered: int = 0
    scores_polled: int = 0
    scores_missed: int = 0
    behind_seconds: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)

    def scored(self, latency_ms: float, decision: str) -> None:
        """Count a score that was polled, and how long after the sealing it was there."""
        self.scores_polled += 1
        self.decisions[decision] += 1
        if len(self.latencies_ms) < _KEPT:
            self.latencies_ms.append(latency_ms)

    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self.started

    def in_flight(self) -> int:
        """Return how many copies have no answer yet."""
        return self.offered - self.ok - self.dropped.total() - self.unanswered

    def snapshot(self) -> dict[str, Any]:
        """Return all figures as plain JSON values."""
        seconds = self.elapsed()
        return {
            "seconds": round(seconds, 2), "offered": self.offered, "ok": self.ok,
            "events_per_s": round(self.ok / seconds, 1) if seconds else 0.0,
            "dropped": dict(self.dropped.most_common()), "retries": dict(self.retries.most_common()),
            "unanswered": self.unanswered, "in_flight": self.in_flight(), "sessions": self.sessions,
            "requests": self.requests, "statuses": {str(s): n for s, n in sorted(self.statuses.items())},
            "errors": dict(self.errors.most_common()), "kinds": dict(self.kinds.most_common()),
            "scores": {
                "polled": self.scores_polled, "missed": self.scores_missed, "decisions": dict(self.decisions),
                "latency_ms": {"p50": self.latency(0.5), "p99": self.latency(0.99)},
            },
            "behind_seconds": round(self.behind_seconds, 2),
        }  # fmt: skip

    def latency(self, share: float) -> float | None:
        """Return a quantile of the latencies in ms, None before the first."""
        ordered = sorted(self.latencies_ms)
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else None
