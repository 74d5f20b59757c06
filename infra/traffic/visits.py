"""What a visit is: who comes, and the events that the browser would seal, not sealed yet."""

from __future__ import annotations

from dataclasses import dataclass, field

from infra.traffic.signals import Signals

LogEntry = tuple[int, int, float, int]  # ms since the page opened, code, value, target
HONEST = 0
FRAUD = 1


@dataclass(frozen=True, slots=True)
class Planned:
    """One event: when (ms after the visit's start), the browser's signals, what changed in them, and the log."""

    offset: int
    signals: Signals
    changes: Signals
    log: list[LogEntry]

    def all_signals(self) -> Signals:
        """Return the signals with the changes."""
        return {**self.signals, **self.changes}


@dataclass(frozen=True, slots=True)
class Visit:
    """One session of one browser at one merchant's page."""

    kind: str
    label: int
    merchant: str
    transaction: str
    linked_id: str
    device_id: bytes
    address: bytes
    events: tuple[Planned, ...]
    card_token: str = ""
    client: str = ""  # the recorded client that this is: infra.traffic.recorded
    spoil: str | None = None  # infra.traffic.attackers.malformed: how the events are spoilt
    repeats: int = 0  # how often each sealed event is sent again, byte for byte
    together: int = field(default=1)  # how many events the agent sends in one request


Campaign = list[tuple[int, Visit]]  # visits with their starts, ms after the campaign's
