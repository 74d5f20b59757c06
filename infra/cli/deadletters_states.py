"""``clickgoose deadletters resolve | fixed | reopen``: where letters stand is changed, counted first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

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
    opened,
    refuse,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.letter_states import Move, Plan
    from schemas.letter_state import LetterState

Addresses = Annotated[list[str] | None, typer.Option("--address", help="One letter by address, as `list` shows it")]
Note = Annotated[str, typer.Option(help="Why, for whoever looks at it later")]
Who = Annotated[str | None, typer.Option(help="Who decided it; unset: the user and host of this command")]
All = Annotated[bool, typer.Option("--all", help="Mean all letters, where no filter is given")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without this, only count")]
_ENDS = {"resolved": "resolved", "fixed": "marked as fixed", "new": "reopened"}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("resolve")(resolve)
    app.command("fixed")(fixed)
    app.command("reopen")(reopen)


def resolve(
    note: Note,
    reason: Reasons = None,
    stage: Stages = None,
    merchant: Merchants = None,
    since: Since = None,
    until: Until = None,
    state: States = None,
    event: Event = "",
    cluster: ClusterId = "",
    text: Text = "",
    address: Addresses = None,
    everything: All = False,
    who: Who = None,
    yes: Yes = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Close dead letters: nothing more is to be done about them. Without --yes it only counts.

    What is resolved stays in the tables, with who closed it and why; `reopen` takes it back.

    Exit codes: 0, also where there is none; 2 wrong use, or ClickHouse cannot be read.

    Examples:

      clickgoose deadletters resolve --reason mask.email --merchant demo-shop --note "they removed the field"

      clickgoose deadletters resolve --cluster 4f1d0c9a22 --note "scanner, blocked at the edge" --yes
    """
    asked = Asked(reason, stage, merchant, since, until, state, event, cluster, text, address)
    _change(asked, "resolved", note, who, yes, everything, url, as_json)


def fixed(
    note: Note,
    reason: Reasons = None,
    stage: Stages = None,
    merchant: Merchants = None,
    since: Since = None,
    until: Until = None,
    state: States = None,
    event: Event = "",
    cluster: ClusterId = "",
    text: Text = "",
    address: Addresses = None,
    everything: All = False,
    who: Who = None,
    yes: Yes = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Mark new dead letters as fixed: their cause is gone, and they may be redriven. Without --yes it only counts.

    Exit codes: 0, also where there is none; 2 wrong use, or ClickHouse cannot be read.

    Example:

      clickgoose deadletters fixed --reason decode.unknown_key --note "key 7 is on the flow again" --yes
    """
    asked = Asked(reason, stage, merchant, since, until, state, event, cluster, text, address)
    _change(asked, "fixed", note, who, yes, everything, url, as_json)


def reopen(
    note: Note,
    reason: Reasons = None,
    stage: Stages = None,
    merchant: Merchants = None,
    since: Since = None,
    until: Until = None,
    state: States = None,
    event: Event = "",
    cluster: ClusterId = "",
    text: Text = "",
    address: Addresses = None,
    everything: All = False,
    who: Who = None,
    yes: Yes = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Make dead letters new again: the fix was none, or they were closed by mistake. Without --yes it only counts.

    Exit codes: 0, also where there is none; 2 wrong use, or ClickHouse cannot be read.

    Example:

      clickgoose deadletters reopen --state resolved --since 1d --reason mask.email --note "closed too early" --yes
    """
    asked = Asked(reason, stage, merchant, since, until, state, event, cluster, text, address)
    _change(asked, "new", note, who, yes, everything, url, as_json)


def _change(
    asked: Asked, to: str, note: str, who: str | None, yes: bool, everything: bool, url: str | None, as_json: bool
) -> None:
    from infra.letter_states import Move, move, plan_of
    from schemas.letter_state import LetterState

    wanted = asked.checked()
    if wanted.whole and not asked.cluster and not everything:
        refuse("say which dead letters are meant, by filters as `list` takes them, or give --all")
    try:
        made = Move(LetterState(to), who or _author(), note)
    except ValueError as error:
        refuse(str(error))
    with opened(url) as store:
        wanted = asked.filter(store)
        plan = plan_of(store, wanted, made.to)
        changed = move(store, wanted, made) if yes and plan.total else 0
    if as_json:
        typer.echo(json.dumps(_told(plan, made, changed, yes)))
    else:
        _say(plan, made, changed, yes, nothing(wanted))


def _author() -> str:
    from infra.storages import author

    return author().by


def _told(plan: Plan, made: Move, changed: int, yes: bool) -> dict[str, object]:
    return {
        "to": made.to.value,
        "who": made.who,
        "note": made.note,
        "would_change": {state.value: count for state, count in plan.changes.items()},
        "stay": {state.value: count for state, count in plan.stays.items()},
        "changed": changed,
        "dry_run": not yes,
    }


def _say(plan: Plan, made: Move, changed: int, yes: bool, empty: str) -> None:
    end = _ENDS[made.to.value]
    stays = f"; {_counts(plan.stays)} stay as they are" if plan.stays else ""
    if not plan.total and not plan.stays:
        typer.echo(empty)
    elif not plan.total:
        typer.echo(f"none can be {end}{stays}")
    elif yes:
        typer.echo(f"{changed:,} dead letters are {end}, by {made.who}{stays}")
    else:
        typer.echo(f"{plan.total:,} dead letters would be {end} ({_counts(plan.changes)}){stays}: give --yes to do it")


def _counts(by_state: Mapping[LetterState, int]) -> str:
    return ", ".join(f"{count:,} {state.value}" for state, count in by_state.items())
