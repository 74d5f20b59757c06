"""What the live table shows: read from ClickHouse, not from counters in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from clickhouse_driver import Client
from clickhouse_driver.errors import Error
from rich.console import Group, RenderableType
from rich.table import Table

_BARS = " ▁▂▃▄▅▆▇█"
_DECISION_STYLES = {"allow": "green", "review": "yellow", "deny": "red"}

_SCORED = """
SELECT uniqExact(event_id), quantiles(0.5, 0.99)(greatest(0, scored_us / 1000 - toUnixTimestamp64Milli(appended_at)))
FROM (SELECT event_id, appended_at, ledger_micros[-1] AS scored_us FROM events WHERE polled_at >= %(since)s)
"""
_DECISIONS = "SELECT decision, uniqExact(event_id) FROM events WHERE polled_at >= %(since)s GROUP BY decision"
_HISTOGRAM = """
SELECT least(9, toUInt8(floor(score / 10))) AS bucket, uniqExact(event_id)
FROM events WHERE polled_at >= %(since)s GROUP BY bucket
"""
_DEGRADED = "SELECT uniqExact(event_id) FROM events WHERE polled_at >= %(since)s AND notEmpty(degraded)"
_DEAD = """
SELECT reason, uniqExact(partition, offset) AS letters FROM dead_letters WHERE first_failed_at >= %(since)s
GROUP BY reason ORDER BY letters DESC
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at the stores."""

    scored: int = 0
    latency_p50_ms: float = 0.0
    latency_p99_ms: float = 0.0
    decisions: dict[str, int] = field(default_factory=dict)
    histogram: tuple[int, ...] = (0,) * 10
    dead: dict[str, int] = field(default_factory=dict)
    degraded: int = 0


class Looker:
    """Asks ClickHouse what became of the run's events."""

    def __init__(self, url: str, since_ms: int) -> None:
        self._client = Client.from_url(url)
        self._since = {"since": since_ms / 1000}
        self._last = Seen()

    def look(self) -> Seen:
        """Return what is there now; the last look where ClickHouse does not answer."""
        try:
            self._last = self._ask()
        except (Error, OSError, EOFError):
            self._client.disconnect()
        return self._last

    def _ask(self) -> Seen:
        ((scored, quantiles),) = self._client.execute(_SCORED, self._since)
        ((degraded,),) = self._client.execute(_DEGRADED, self._since)
        histogram = dict(self._client.execute(_HISTOGRAM, self._since))
        p50, p99 = (0.0 if value != value else float(value) for value in quantiles)  # noqa: PLR0124 - NaN of no row
        return Seen(
            scored=scored,
            latency_p50_ms=p50,
            latency_p99_ms=p99,
            decisions=dict(self._client.execute(_DECISIONS, self._since)),
            histogram=tuple(int(histogram.get(bucket, 0)) for bucket in range(10)),
            dead=dict(self._client.execute(_DEAD, self._since)),
            degraded=degraded,
        )


def render(seen: Seen, seconds: float, offered: dict[str, float], addresses: dict[str, str]) -> RenderableType:
    """Draw one frame."""
    head = Table.grid(padding=(0, 2))
    for name, address in addresses.items():
        head.add_row(f"[dim]{name}[/dim]", address)
    numbers = Table(title=f"clickgoose, {seconds:.0f} s", title_justify="left", expand=False)
    numbers.add_column("what")
    numbers.add_column("value", justify="right")
    for name, value in offered.items():
        numbers.add_row(name, f"{value:,.0f}")
    numbers.add_row("scored (in ClickHouse)", f"{seen.scored:,}")
    numbers.add_row("scored a second", f"{seen.scored / seconds:,.0f}" if seconds else "0")
    numbers.add_row("append to score p50 / p99", f"{seen.latency_p50_ms:.1f} / {seen.latency_p99_ms:.1f} ms")
    numbers.add_row("score 0 to 100", f"[cyan]{bars(seen.histogram)}[/cyan]")
    for decision, style in _DECISION_STYLES.items():
        numbers.add_row(f"[{style}]{decision}[/{style}]", f"{seen.decisions.get(decision, 0):,}")
    if seen.degraded:
        numbers.add_row("[yellow]scored degraded[/yellow]", f"{seen.degraded:,}")
    dead = Table(title="dead letters", title_justify="left")
    dead.add_column("reason")
    dead.add_column("events", justify="right")
    for reason, letters in seen.dead.items():
        dead.add_row(reason, f"{letters:,}")
    return Group(head, numbers, dead) if seen.dead else Group(head, numbers)


def bars(counts: tuple[int, ...]) -> str:
    """Return a histogram of one line, one character a bucket; what is not empty is never drawn empty."""
    top = max(counts) or 1
    return "".join(_BARS[0 if not count else max(1, round(count / top * 8))] for count in counts)
