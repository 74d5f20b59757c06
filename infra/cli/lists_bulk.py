"""``clickgoose lists import | restore | verify``: a file of values, and Redis made again from ClickHouse."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    refuse,
    scope_of,
    working,
)

if TYPE_CHECKING:
    from infra.list_work import ListWork, Order, RefusedRow
    from scoring.rules.watchlist_verify import Difference
    from scoring.rules.watchlists import ListName

_SHOWN_REFUSALS = 20


def register(lists_app: typer.Typer) -> None:
    """Add the commands."""
    lists_app.command("import")(import_file)
    lists_app.command("restore")(restore)
    lists_app.command("verify")(verify)


def import_file(
    name: Annotated[str, typer.Argument(help="Name of the list")],
    file: Annotated[Path, typer.Argument(help="One value a line; .csv: a header with value, and kind, until, reason")],
    reason: Reason,
    merchant: Merchant = None,
    everyone: Everyone = False,
    kind: Kind = "",
    mode: ModeOption = None,
    until: Until = None,
    lasting: For = None,
    author: Author = None,
    again: Annotated[bool, typer.Option("--again", help="Begin at the first line, wherever it stopped")] = False,
    as_json: Json = False,
) -> None:
    """Add a file of values to a list. Stopped or failed, the same command goes on where it was.

    Rows that are refused are told by line and reason, never by value, and do not stop the others. Exit codes: 0 all
    rows are in effect; 1 some are refused, or a store is away; 2 wrong use, or the file cannot be read.

    Examples:

      clickgoose lists import bad-cards cards.txt --kind card --mode deny --merchant shop --reason "consortium, May"

      clickgoose lists import vips vips.csv --mode allow --everyone --until 2027-01-01T00:00:00Z --reason "pilot" --json
    """
    from infra.list_work import Importing, Order

    scope, ends, chosen = scope_of(merchant, everyone), end_of(until, lasting), mode_of(mode)
    try:
        with working() as work:
            order = Order(work.named(scope, name, chosen), kind, ends, reason, author_of(author))
            # What --for says is another time at each start, and the same import.
            note = Importing.of(file, order._replace(until=lasting or until), again)
            rows, refused = _bring(work, order, note, file)
    except (OSError, UnicodeDecodeError) as error:
        refuse(f"{file} cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}")
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on where it was", err=True)
        raise typer.Exit(1) from None
    _tell_import(note.line, rows, refused, as_json)


def _bring(work: ListWork, order: Order, note: Any, file: Path) -> tuple[int, list[RefusedRow]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from infra.list_work import lines_of, read_rows

    refused: list[RefusedRow] = []
    last = note.line
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("lines", total=lines_of(file), completed=note.line)
        for line, wrong in work.bring(order, read_rows(file, note.line)):
            refused += wrong
            note.note(line)
            last = line
            progress.update(task, completed=line)
    note.done()
    return last - note.line, refused


def _tell_import(begun: int, lines: int, refused: list[RefusedRow], as_json: bool) -> None:
    if as_json:
        rows = [{"line": one.line, "reason": one.reason.value} for one in refused]
        typer.echo(json.dumps({"after_line": begun, "lines": lines, "refused": rows}))
    else:
        for one in refused[:_SHOWN_REFUSALS]:
            typer.echo(f"line {one.line} is refused: {one.reason.value}", err=True)
        if len(refused) > _SHOWN_REFUSALS:
            counted = Counter(one.reason.value for one in refused)
            every = ", ".join(f"{count:,} {reason}" for reason, count in counted.items())
            typer.echo(f"and more, in all {every} (--json tells every line)", err=True)
        went_on = f", going on after line {begun:,}" if begun else ""
        typer.echo(f"{lines:,} lines are in effect but for {len(refused):,} that are refused{went_on}")
    if refused:
        raise typer.Exit(1)


def restore(as_json: Json = False) -> None:
    """Make the serving copy in Redis again from ClickHouse, take out what ClickHouse has not, and prove it by counts.

    Harmless at any time, and while lists are used and changed. Processes do the same by themselves where Redis lost its
    copy. Exit codes: 0 both say the same; 1 they do not, or a store is away; 2 wrong use.

    Example:

      clickgoose lists restore --json
    """
    from rich.console import Console

    with working() as work, Console(stderr=True).status("restoring"):
        proof = work.restore()
    if as_json:
        said = {name: count for name, count in proof._asdict().items() if name != "lists"}
        typer.echo(json.dumps({**said, "good": proof.good, "lists": _rows(proof.lists)}))
    else:
        _print(proof.lists)
        typer.echo(
            f"{proof.entries:,} entries hold; {proof.brought:,} changes were brought, {proof.removed:,} entries taken "
            f"out that ClickHouse has not, {proof.cleared:,} old ones cleared away"
        )
    if not proof.good:
        raise typer.Exit(1)


def verify(as_json: Json = False) -> None:
    """Compare the serving copy in Redis with ClickHouse, entry by entry. Changes of the last seconds are left out.

    Exit codes: 0 both say the same; 1 they do not, or a store is away; 2 wrong use.

    Example:

      clickgoose lists verify
    """
    with working() as work:
        found = work.verify()
    good = all(one.good for one in found.values())
    if as_json:
        typer.echo(json.dumps({"good": good, "lists": _rows(found)}))
    else:
        _print(found)
        typer.echo("both say the same" if good else "they differ: run `clickgoose lists restore`")
    if not good:
        raise typer.Exit(1)


def _rows(found: dict[ListName, Difference]) -> list[dict[str, Any]]:
    return [{**name._asdict(), **one._asdict()} for name, one in found.items()]


def _print(found: dict[ListName, Difference]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("merchant", "mode", "list", "ClickHouse", "Redis", "missing", "extra", "other end")
    for name, one in found.items():
        table.add_row(*name, *(f"{count:,}" for count in one))
    Console().print(table)
