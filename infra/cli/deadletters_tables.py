"""Counts and lists of dead letters as tables on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from infra.cli.deadletters_parts import moment, screen, table, visible

if TYPE_CHECKING:
    from rich.console import Console

    from infra.cli.deadletters_backup import Looked
    from infra.dead_letters import Listed
    from infra.letter_stats import ClusterCount, Count, Stats

_BAR = 20  # cells
_RIGHT = ("letters", "last 24 h", "growth", "open", "tries", "merchants")


def print_stats(found: Stats, waiting: Looked, retention: Mapping[str, int], top: int, empty: str) -> None:
    """Print counts, clusters, what waits in Kafka, and how long all of it is kept."""
    console = screen()
    if found.total is None:
        console.print(empty)
    else:
        total = found.total
        console.print(
            f"{total.letters:,} dead letters, {moment(total.oldest)} to {moment(total.newest)} UTC; the last 24 h "
            f"{total.last_day:,}, {growth(total)} against the 24 h before",
            soft_wrap=True,
        )
        for name, counts in found.by.items():
            _print_counts(console, name, counts, top)
        if found.clusters:
            _print_clusters(console, found)
    _print_backup(console, waiting)
    console.print(
        f"kept: events.dead_letter {retention['topic_hours'] / 24:g} days (kafka.retention_hours), the table "
        f"{retention['table_days']} days at most",
        soft_wrap=True,
    )


def growth(count: Count) -> str:
    """Return how much the last day differs from the one before."""
    return _grown(count.last_day, count.day_before)


def _grown(now: int, before: int) -> str:
    if not before:
        return "new" if now else "-"
    return f"{now / before - 1:+.0%}"


def _print_counts(console: Console, name: str, counts: Mapping[str, Count], top: int) -> None:
    made = table(f"by {name}", name, "letters", "", "last 24 h", "growth", "newest (UTC)", right=_RIGHT)
    most = max((count.letters for count in counts.values()), default=1)
    before = day_before(counts) if name == "day" else {}
    for value, count in list(counts.items())[:top]:
        bar = "█" * max(1, round(count.letters / most * _BAR))
        grown = _grown(count.letters, before[value]) if before else growth(count)
        made.add_row(
            visible(value) or "(none)", f"{count.letters:,}", bar, f"{count.last_day:,}", grown, moment(count.newest)
        )
    console.print(made)
    if len(counts) > top:
        console.print(f"and {len(counts) - top:,} more: --top {len(counts)}")


def day_before(counts: Mapping[str, Count]) -> dict[str, int]:
    """Return, for each day as 2026-06-01, the letters of the day before."""
    from datetime import date, timedelta

    letters = {day: count.letters for day, count in counts.items()}
    return {day: letters.get(str(date.fromisoformat(day) - timedelta(1)), 0) for day in counts}


def _print_clusters(console: Console, found: Stats) -> None:
    made = table(
        "alike failures: same reason, stage and detail, numbers and ids masked",
        "cluster", "reason", "letters", "open", "last 24 h", "growth", "merchants", "first (UTC)", "last (UTC)",
        "detail", right=_RIGHT,
    )  # fmt: skip
    for one in found.clusters:
        made.add_row(*_cluster_row(one))
    console.print(made)
    if found.clusters_in_all > len(found.clusters):
        console.print(f"and {found.clusters_in_all - len(found.clusters):,} more clusters: --top")


def _cluster_row(one: ClusterCount) -> list[str]:
    count = one.counted
    where = one.cluster.reason if one.cluster.reason.startswith(one.cluster.stage) else (
        f"{one.cluster.reason} in {one.cluster.stage}"
    )  # fmt: skip
    return [
        one.cluster.id, where, f"{count.letters:,}", f"{one.open:,}", f"{count.last_day:,}", growth(count),
        f"{one.merchants:,}", moment(count.oldest), moment(count.newest), visible(one.cluster.shown),
    ]  # fmt: skip


def _print_backup(console: Console, waiting: Looked) -> None:
    from infra.letter_backup import group_named

    found = waiting.count
    if found is None:
        console.print(f"rows for sinks, in Kafka: not counted, {waiting.why_not}", soft_wrap=True)
        return
    console.print(
        f"rows for sinks, in Kafka alone: among {found.looked_at:,} of {found.records:,} records of events.dead_letter",
        soft_wrap=True,
    )
    for name, one in sorted(found.sinks.items()):
        since = f", the first since {moment(one.oldest)} UTC" if one.oldest is not None and one.waiting else ""
        group = group_named(name)
        dealt = f"{one.dealt:,} dealt with by {group}" if group else "nothing redrives them by itself"
        least = "at least " if found.unread_open else ""
        console.print(f"  {name}: {least}{one.waiting:,} wait{since}; {dealt}", soft_wrap=True)
    if not found.sinks:
        console.print("  none")
    if found.unread:
        console.print(
            f"  {found.unread:,} records were not looked at, {found.unread_open:,} of them not dealt with by every "
            "redrive: --backup all",
            soft_wrap=True,
        )


def print_page(letters: Sequence[Listed], total: int, ends: str | None, empty: str) -> None:
    """Print a page of letters."""
    console = screen()
    if not letters:
        console.print(empty)
        return
    made = table("", "failed (UTC)", "reason", "state", "merchant", "tries", "address", "detail", right=_RIGHT)
    made.title = None
    for one in letters:
        made.add_row(
            moment(one.first_failed_at), one.reason, one.state.value, visible(one.merchant) or "-", str(one.attempts),
            str(one.address), visible(one.detail),
        )  # fmt: skip
    console.print(made)
    console.print(f"{len(letters):,} of {total:,}" + (f"; go on with --cursor {ends}" if ends else ""))
