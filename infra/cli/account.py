"""``clickgoose account``: does every accepted event show up, once, where it belongs?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from infra.account import Account


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(account)


def account(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
    since: Annotated[Path | None, typer.Option(help="Count only what came after this file's offsets.")] = None,
    mark_file: Annotated[
        Path | None, typer.Option("--mark", help="Only write the present offsets to a file, for --since.")
    ] = None,
    accepted_ids: Annotated[
        Path | None, typer.Option(help="Event ids whose sender was told ok, in hex, one a line.")
    ] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for the flow to catch up.")] = 0.0,
) -> None:
    """Check that accepted == scored + dead-lettered + deduplicated, and that every decision is recorded.

    Read back from Kafka, ClickHouse and Redis. Exit code 0: it balances; 1: it does not; 2: it cannot be taken.
    Rows that wait in the backup for a store that was away are counted, and are no difference.

    Examples:

      clickgoose account --wait 30

      clickgoose account --mark before.json && clickgoose traffic --for 60s && clickgoose account --since before.json
    """
    from infra.account import AccountError, bootstrap_of, load_start, read_start, wait_settled
    from infra.settings import Settings

    settings = Settings()
    try:
        if mark_file is not None:
            _write_mark(mark_file, read_start(bootstrap_of(settings)))
            return
        starts = None if since is None else load_start(since)
        found = wait_settled(settings, starts, wait, accepted_ids)
    except AccountError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    if as_json:
        typer.echo(json.dumps(found.as_dict()))
    else:
        _show(found)
    raise typer.Exit(0 if found.balanced else 1)


def _write_mark(file: Path, start: dict[str, dict[int, int]]) -> None:
    try:
        file.write_text(json.dumps(start), "utf-8")
    except OSError as error:
        typer.echo(f"cannot write {file}: {error.strerror}", err=True)
        raise typer.Exit(2) from None


def _show(found: Account) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "events", title="Account", title_justify="left")
    for name in ("accepted", "scored", "dead_lettered", "deduplicated", "lost"):
        table.add_row(name.replace("_", "-"), f"{getattr(found, name):,}")
    table.add_section()
    table.add_row("scored, in ClickHouse", _count(found.clickhouse_scored))
    table.add_row("dead-lettered, in ClickHouse", _count(found.clickhouse_dead))
    table.add_row("results in Redis", _count(found.redis_results))
    table.add_row("shown twice", f"{found.duplicated_for_users:,}")
    table.add_row("sent again by redrives by hand", f"{found.redrives:,}")
    table.add_section()
    for name, asked in found.asked.items():
        table.add_row(f"decisions asked for: {name.replace('_', '-')}", _count(asked))
    backup = (("waiting in the backup", found.waiting), ("redriven", found.redriven))
    for title, counts in (("dead", found.dead_by_reason), *backup, ("decided", found.decisions)):
        table.add_section()
        for name, count in counts.items():
            table.add_row(f"{title}: {name}", f"{count:,}")
    console = Console()
    console.print(table)
    console.print(f"latency p50 {found.latency_ms['p50']:g} ms, p99 {found.latency_ms['p99']:g} ms")
    for problem in found.problems:
        console.print(f"[red]{problem}[/red]")
    console.print("[green]It balances.[/green]" if found.balanced else "[red]It does not balance.[/red]")


def _count(value: Any) -> str:
    return "not compared" if value is None else f"{value:,}"
