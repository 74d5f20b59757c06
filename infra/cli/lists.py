"""``clickgoose lists``: watchlists and snoozes, of a merchant or of all."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli import lists_bulk
from infra.cli.lists_parts import (
    Author,
    Everyone,
    For,
    Json,
    Kind,
    Merchant,
    ModeOption,
    Reason,
    Until,
    author_of,
    end_of,
    mode_of,
    moment,
    refuse,
    scope_of,
    working,
)

if TYPE_CHECKING:
    from ingest_api.watchlist_items import Refusal
    from scoring.rules.watchlist_desk import Status

lists_app = typer.Typer(
    help="Change and show watchlists (allow, deny, and those that rules name) and snoozes (docs/watchlists.md).",
    no_args_is_help=True,
)
Values = Annotated[list[str], typer.Argument(help="Values as events name them; - reads them from standard input")]
_SHOWN_REFUSALS = 20


def register(app: typer.Typer) -> None:
    """Add the group."""
    lists_bulk.register(lists_app)
    app.add_typer(lists_app, name="lists")


@lists_app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Name of the list")],
    values: Values,
    reason: Reason,
    merchant: Merchant = None,
    everyone: Everyone = False,
    kind: Kind = "",
    mode: ModeOption = None,
    until: Until = None,
    lasting: For = None,
    author: Author = None,
    as_json: Json = False,
) -> None:
    """Add values to a list; one that it has already gets the new end and reason. In effect everywhere within a second.

    Exit codes: 0 all are taken; 1 some are refused, or a store is away; 2 wrong use.

    Examples:

      clickgoose lists add bad-cards tok_81c2 --kind card --mode deny --merchant shop --reason "chargeback 1204"

      clickgoose lists add vips - --kind account --mode allow --everyone --for 30d --reason "pilot" < accounts.txt
    """
    _change(name, values, "list", False, (merchant, everyone, kind, mode, until, lasting), (reason, author), as_json)


@lists_app.command("remove")
def remove(
    name: Annotated[str, typer.Argument(help="Name of the list")],
    values: Values,
    reason: Reason,
    merchant: Merchant = None,
    everyone: Everyone = False,
    kind: Kind = "",
    author: Author = None,
    as_json: Json = False,
) -> None:
    """Remove values from a list.

    Exit codes: 0 they are not in it any more; 1 some are refused, or a store is away; 2 wrong use.

    Example:

      clickgoose lists remove bad-cards tok_81c2 --kind card --merchant shop --reason "won the dispute"
    """
    _change(name, values, "list", True, (merchant, everyone, kind, None, None, None), (reason, author), as_json)


@lists_app.command("snooze")
def snooze(
    rule: Annotated[str, typer.Argument(help="Id of the rule")],
    values: Values,
    reason: Reason,
    merchant: Merchant = None,
    everyone: Everyone = False,
    kind: Kind = "",
    until: Until = None,
    lasting: For = None,
    author: Author = None,
    as_json: Json = False,
) -> None:
    """Silence a rule for entities until an event time, at most a year ahead.

    Exit codes: 0 all are taken; 1 some are refused, or a store is away; 2 wrong use.

    Example:

      clickgoose lists snooze many-addresses customer-42 --kind account --merchant shop --for 14d --reason "moves house"
    """
    if until is None and lasting is None:
        refuse("a snooze has an end: give --until or --for")
    _change(rule, values, "rule", False, (merchant, everyone, kind, None, until, lasting), (reason, author), as_json)


@lists_app.command("unsnooze")
def unsnooze(
    rule: Annotated[str, typer.Argument(help="Id of the rule")],
    values: Values,
    reason: Reason,
    merchant: Merchant = None,
    everyone: Everyone = False,
    kind: Kind = "",
    author: Author = None,
    as_json: Json = False,
) -> None:
    """End snoozes now.

    Exit codes: 0 they are ended; 1 some are refused, or a store is away; 2 wrong use.

    Example:

      clickgoose lists unsnooze many-addresses customer-42 --kind account --merchant shop --reason "has moved"
    """
    _change(rule, values, "rule", True, (merchant, everyone, kind, None, None, None), (reason, author), as_json)


@lists_app.command("show")
def show(
    name: Annotated[str | None, typer.Argument(help="Name of a list, to ask it about values")] = None,
    values: Annotated[list[str] | None, typer.Argument(help="Values; - reads them from standard input")] = None,
    merchant: Merchant = None,
    everyone: Everyone = False,
    kind: Kind = "",
    as_json: Json = False,
) -> None:
    """Show all lists with their sizes, or what one says of values and who changed that last.

    Values are kept as digests, so that a list cannot be listed. Exit codes: 0 shown; 1 a store is away; 2 wrong use.

    Examples:

      clickgoose lists show

      clickgoose lists show --merchant shop --json

      clickgoose lists show bad-cards tok_81c2 --kind card --merchant shop
    """
    with working() as work:
        if name is None:
            scope = None if merchant is None and not everyone else scope_of(merchant, everyone)
            found = work.summaries(scope)
            rows = [{**one.name._asdict(), "entries": one.entries} for one in found]
            _table(rows, ("merchant", "mode", "name", "entries"), as_json, "lists")
            return
        listed = work.named(scope_of(merchant, everyone), name, None)
        texts = _texts(values or [])
        if not texts:
            refuse("name the values to ask about; a list cannot be listed, it holds digests")
        digests = work.digests(listed, kind, texts)
        kept, lives = work.kept(listed, digests), work.truth.newest(listed, digests)
        rows = [
            {
                "value": number,
                "listed": one.until >= 0,
                "until": moment(one.until) if one.until >= 0 else "",
                **_life(lives.get(digest)),
            }
            for number, (one, digest) in enumerate(zip(kept, digests, strict=True), 1)
        ]
        _table(rows, ("value", "listed", "until", "changed", "author", "reason"), as_json, "values")


@lists_app.command("history")
def history(
    name: Annotated[str, typer.Argument(help="Name of the list; of a snooze the id of the rule")],
    value: Annotated[str, typer.Argument(help="The value; - reads it from standard input")],
    merchant: Merchant = None,
    everyone: Everyone = False,
    kind: Kind = "",
    snoozed: Annotated[bool, typer.Option("--snooze", help="NAME is a rule, and its snoozes are asked for")] = False,
    as_json: Json = False,
) -> None:
    """Show the whole life of an entry: who changed what, when, why, and what held before.

    Exit codes: 0 shown; 1 there is none, or ClickHouse is away; 2 wrong use.

    Example:

      clickgoose lists history bad-cards tok_81c2 --kind card --merchant shop --json
    """
    from scoring.rules.watchlists import ListName

    with working() as work:
        scope = scope_of(merchant, everyone)
        listed = ListName(scope, "snooze", name) if snoozed else work.named(scope, name, None)
        (digest,) = work.digests(listed, kind, _texts([value])[:1])
        life = work.truth.history(listed, digest)
    rows = [
        {**_life(one), "action": one["action"], "until": moment(one["until"]), "before": moment(one["before"]),
         "source": one["source"]}
        for one in life
    ]  # fmt: skip
    _table(rows, ("changed", "action", "until", "before", "author", "reason", "source"), as_json, "changes")
    if not rows:
        typer.echo("this value was never in this list", err=True)
        raise typer.Exit(1)


def _change(
    name: str,
    values: Sequence[str],
    what: str,
    removing: bool,
    said: tuple[str | None, bool, str, str | None, str | None, str | None],
    why: tuple[str, str | None],
    as_json: bool,
) -> None:
    from infra.list_work import Order
    from scoring.rules.watchlists import ListName

    merchant, everyone, kind, mode, until, lasting = said
    reason, author = why
    scope, ends, texts = scope_of(merchant, everyone), end_of(until, lasting), _texts(values)
    if not texts:
        refuse("there are no values on standard input")
    chosen = mode_of(mode)
    with working() as work:
        listed = ListName(scope, "snooze", name) if what == "rule" else work.named(scope, name, chosen)
        order = Order(listed, kind, ends, reason, author_of(author))
        outcomes = work.change(order, texts, removing)
    _tell(outcomes, as_json)


def _tell(outcomes: Sequence[Status | Refusal], as_json: bool) -> None:
    from ingest_api.watchlist_items import Refusal

    refused = [(number, str(one)) for number, one in enumerate(outcomes, 1) if isinstance(one, Refusal)]
    done = Counter(str(one) for one in outcomes if not isinstance(one, Refusal))
    if as_json:
        rows = [{"value": number, "reason": reason} for number, reason in refused]
        typer.echo(json.dumps({"done": dict(done), "refused": rows}))
    else:
        for number, reason in refused[:_SHOWN_REFUSALS]:
            typer.echo(f"value {number} is refused: {reason}", err=True)
        typer.echo(", ".join(f"{count:,} {status}" for status, count in done.items()) or "nothing was changed")
    if refused:
        raise typer.Exit(1)


def _texts(values: Sequence[str]) -> list[str]:
    return [line.strip() for line in sys.stdin if line.strip()] if list(values) == ["-"] else list(values)


def _life(life: Any) -> dict[str, Any]:
    if life is None:
        return {"changed": "", "author": "", "reason": ""}
    return {"changed": moment(life["version"] // 1_000), "author": life["author"], "reason": life["reason"]}


def _table(rows: Sequence[dict[str, Any]], columns: Sequence[str], as_json: bool, key: str) -> None:
    if as_json:
        typer.echo(json.dumps({key: rows}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns)
    for row in rows:
        table.add_row(*(f"{row[name]:,}" if type(row[name]) is int else str(row[name]) for name in columns))
    Console().print(table)
