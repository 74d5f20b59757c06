"""``clickgoose deadletters stats | list``: how many of what, and which."""

from __future__ import annotations

import json
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.deadletters_parts import (
    Asked,
    ClusterId,
    Event,
    Json,
    Merchants,
    Reasons,
    Since,
    Stages,
    States,
    Text,
    Until,
    Url,
    nothing,
    now_ms,
    opened,
    refuse,
)

if TYPE_CHECKING:
    from infra.dead_letters import DeadLetters, Filter


class Look(StrEnum):
    """How much of the backup topic is looked at."""

    newest = "newest"
    whole = "all"
    none = "none"


By = Annotated[
    list[str] | None,
    typer.Option(
        "--by",
        help="reason, stage, merchant, day, version, state, fault, disposition or cluster; repeat it; unset: all",
    ),
]
FailOver = Annotated[int | None, typer.Option(min=0, help="Exit code 1 where more letters than that are not resolved")]
Backup = Annotated[
    Look, typer.Option(help="Rows for sinks wait in Kafka: count among the newest records, all, or none")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("stats")(stats)
    app.command("list")(list_letters)


def stats(
    by: By = None,
    reason: Reasons = None,
    stage: Stages = None,
    merchant: Merchants = None,
    since: Since = None,
    until: Until = None,
    state: States = None,
    event: Event = "",
    cluster: ClusterId = "",
    text: Text = "",
    top: Annotated[int, typer.Option(min=1, max=1000, help="Rows of each table, and clusters")] = 15,
    backup: Backup = Look.newest,
    fail_over: FailOver = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Count dead letters: by reason, stage, merchant, day, version, state, fault, disposition, and alike failures.

    Growth is the last 24 hours against the 24 before. Rows that wait for ClickHouse or Redis are not in ClickHouse:
    they are counted in Kafka, by their headers.

    Exit codes: 0; 1 where --fail-over says so; 2 wrong use, or something cannot be read.

    Examples:

      clickgoose deadletters stats

      clickgoose deadletters stats --by reason --by merchant --since 24h

      clickgoose deadletters stats --reason internal.bug --fail-over 0 --json
    """
    from infra.cli.deadletters_backup import counting
    from infra.cli.deadletters_tables import print_stats
    from infra.letter_stats import DIMENSIONS, letter_stats, summary

    wrong = next((name for name in by or () if name not in DIMENSIONS), None)
    if wrong is not None:
        refuse(f"--by {wrong} is none of {', '.join(DIMENSIONS)}")
    asked = Asked(reason, stage, merchant, since, until, state, event, cluster, text)
    asked.checked()
    with counting(backup.value) as rows_for_sinks, opened(url) as store:
        wanted = asked.filter(store)
        found = letter_stats(store, wanted, by or DIMENSIONS, now_ms(), top)
        still_open = None if fail_over is None else store.count(_open(wanted))
    waiting = rows_for_sinks()
    if as_json:
        told: dict[str, Any] = {**summary(found), "backup": waiting.as_json(), "retention": _retention()}
        typer.echo(json.dumps(told | ({} if still_open is None else {"not_resolved": still_open})))
    else:
        print_stats(found, waiting, _retention(), top, nothing(wanted))
    if fail_over is not None and still_open is not None and still_open > fail_over:
        refuse(f"{still_open:,} dead letters are not resolved, more than {fail_over:,}", 1)


def _open(wanted: Filter) -> Filter:
    """Return the filter without what is resolved."""
    from schemas.letter_state import LetterState

    states = wanted.states or tuple(LetterState)
    return replace(wanted, states=tuple(state for state in states if state is not LetterState.RESOLVED))


def _retention() -> dict[str, int]:
    from infra.clickhouse.tiers import KEPT_AT_MOST
    from infra.settings import Settings
    from infra.topics import TOPICS

    hours = Settings().kafka.retention_hours
    (topic,) = (topic for topic in TOPICS if topic.name == "events.dead_letter")
    return {"topic_hours": hours * topic.retention, "table_days": KEPT_AT_MOST["dead_letters"]}


def list_letters(
    reason: Reasons = None,
    stage: Stages = None,
    merchant: Merchants = None,
    since: Since = None,
    until: Until = None,
    state: States = None,
    event: Event = "",
    cluster: ClusterId = "",
    text: Text = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="So many")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on where a page ended: what it printed at its end")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List dead letters, newest failure first, in pages.

    Exit codes: 0, also where there is none; 2 wrong use, or ClickHouse cannot be read.

    Examples:

      clickgoose deadletters list --reason mask. --merchant demo-shop --since 7d

      clickgoose deadletters list --cluster 4f1d0c9a22 --state new --limit 200 --json
    """
    from infra.cli.deadletters_tables import print_page
    from infra.dead_letters import Cursor

    asked = Asked(reason, stage, merchant, since, until, state, event, cluster, text)
    asked.checked()
    try:
        after = Cursor.read(cursor) if cursor else None
    except ValueError as error:
        refuse(str(error))
    with opened(url) as store:
        wanted = asked.filter(store)
        page = store.page(wanted, limit, after)
        total = _total(store, wanted, len(page.letters), page.next is None and after is None)
    ends = str(page.next) if page.next else None
    if as_json:
        typer.echo(json.dumps({"total": total, "next": ends, "letters": [one.as_json() for one in page.letters]}))
    else:
        print_page(page.letters, total, ends, nothing(wanted))


def _total(store: DeadLetters, wanted: Filter, shown: int, whole: bool) -> int:
    return shown if whole else store.count(wanted)
