"""``clickgoose rules preview``: a draft of rules on past events."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.rules_parts import Json, Paths, read_paths, refuse, say_mistakes
from infra.cli.rules_sets import Root, told

if TYPE_CHECKING:
    from infra.rules_preview import PastEvent, Preview
    from infra.rules_preview_events import PastEvents
    from infra.settings import Settings
    from scoring.rules.ruleset import Rulebook

_TOLD_EVERY = 500  # events between two movements of the bar


def register(group: typer.Typer) -> None:
    """Add the command to ``clickgoose rules``."""
    group.command("preview")(preview)


def preview(
    paths: Paths,
    since: Annotated[str, typer.Option("--from", help="7d, 12h or 30m ago, or 2026-06-01T12:30 (UTC)")] = "1d",
    until: Annotated[str | None, typer.Option("--to", help="The same; unset: now")] = None,
    merchant: Annotated[
        str | None, typer.Option(help="The merchant whose own rules they are; only its events are read")
    ] = None,
    warm: Annotated[
        str | None, typer.Option(help="History to read before, as 7d; unset: the longest window of the rules")
    ] = None,
    alone: Annotated[
        bool, typer.Option("--alone", help="Without the rules that are live; unset: other owners' stand beside")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="Write one page")] = None,
    url: Annotated[str | None, typer.Option(help="clickhouse://user:password@host:port/database")] = None,
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Try a draft of rules on past events: what it matches, what it would have decided otherwise, and how well.

    Events of the flow and decisions of POST /v1/decisions are read from ClickHouse in the order of event time; history
    is built anew from them. What was not kept of past events cannot be judged, and is said so.

    Exit codes: 0 tried; 1 the files have mistakes, or ClickHouse cannot be read; 2 wrong use.

    Examples:

      clickgoose rules preview rules --from 7d

      clickgoose rules preview draft.yaml --merchant demo-shop --from 2026-06-01 --to 2026-06-08 --html draft.html

      clickgoose rules preview rules --from 1d --json
    """
    from infra.cli.time_range import range_of
    from infra.rules_preview import longest_window
    from infra.rules_preview_events import Asked, PreviewError
    from infra.settings import Settings

    settings = Settings()
    address = url or settings.clickhouse.url
    if address is None:
        refuse("no ClickHouse: run `clickgoose up`, set CLICKGOOSE_CLICKHOUSE__URL, or name --url", 2)
    try:
        first, last = range_of(since, until, int(time.time() * 1000))
    except ValueError as error:
        refuse(str(error).replace("--since", "--from").replace("--until", "--to"), 2)
    read = read_paths(paths, merchant)
    if read.mistakes:
        if as_json:
            typer.echo(json.dumps({"mistakes": [mistake._asdict() for mistake in read.mistakes]}))
        else:
            say_mistakes(read.mistakes)
        raise typer.Exit(1)
    draft = read.book if alone else _beside_live(read.book, merchant, root)
    longest = longest_window(draft)
    before = _window(warm, longest)
    try:
        found, unread = _try(settings, address, Asked(first, last, before, merchant or ""), draft)
    except PreviewError as error:
        refuse(str(error), 1)
    told_of = {"from": first, "to": last, "merchant": merchant, "warm_ms": before, "longest_window_ms": longest}
    told_of["unread"] = unread
    _tell({**told_of, **found.as_json()}, as_json, html)


def _window(warm: str | None, longest: int) -> int:
    from scoring.rules.times import duration

    if warm is None:
        return longest
    asked = duration(warm)
    if asked is None:
        refuse(f"--warm {warm!r} is no duration: give 30m, 12h or 7d", 2)
    return min(asked, longest)


def _beside_live(draft: Rulebook, merchant: str | None, root: str | None) -> Rulebook:
    """Return the draft with the live rulesets of those whom it does not replace."""
    from infra.cli.rules_sets import opened
    from scoring.rules.ruleset import Rulebook

    with told():
        registry = opened(root)
        state, _ = registry.read_state()
        live = {
            owner: registry.load(digest, owner).ruleset
            for owner in state.owners()
            if (digest := state.of(owner).live) is not None
        }
    silent = merchant is not None or not (draft.everyone.rules or draft.everyone.catalogues)
    everyone = live.get(None, draft.everyone) if silent else draft.everyone
    own = {owner: ruleset for owner, ruleset in live.items() if owner is not None}
    return Rulebook(everyone, {**own, **draft.of_merchant})


def _try(settings: Settings, url: str, asked: Any, draft: Rulebook) -> tuple[Preview, int]:
    from infra.flow_shared import entity_key
    from infra.rules_preview import preview as tried
    from infra.rules_preview_events import PastEvents
    from scoring.rules.history_keys import HistoryKeys

    events = PastEvents(url, asked, draft, HistoryKeys(entity_key(settings)))
    return tried(draft, asked.since, _with_bar(events)), events.unread.total()


def _with_bar(events: PastEvents) -> Iterator[PastEvent]:
    """Give the events, with a bar on standard error where somebody looks."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("past events", total=events.total())
        for number, event in enumerate(events, 1):
            yield event
            if number % _TOLD_EVERY == 0:
                progress.update(bar, completed=number)


def _tell(found: dict[str, Any], as_json: bool, html: Path | None) -> None:
    if html is not None:
        from infra.rules_preview_page import page

        try:
            html.write_text(page(found), "utf-8")
        except OSError as error:
            refuse(f"{html} cannot be written: {error.strerror or error}", 2)
    if as_json:
        typer.echo(json.dumps(found))
        return
    from infra.cli.rules_preview_tables import print_preview

    print_preview(found)
