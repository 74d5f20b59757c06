"""``clickgoose run``: what ``make run`` starts."""

from __future__ import annotations

import json
import re
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from infra.live.run import Outcome

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run)


def run(
    duration: Annotated[str | None, typer.Option("--for", help="End after 60s, 5m or 1h; unset: until Ctrl-C")] = None,
    rate: Annotated[float, typer.Option(min=1, help="Events a second to offer")] = 600.0,
    seed: Annotated[int, typer.Option(help="Seed of the traffic")] = 1,
    home: Annotated[Path | None, typer.Option(help="Data directory; unset: CLICKGOOSE_HOME or .clickgoose")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output at the end")] = False,
) -> None:
    """Start stack, ingest tier, flow and traffic; show a live table; end with an account read back from the stores.

    Exit code 0 only if the account balances: accepted == scored + dead-lettered + deduplicated.

    Example: clickgoose run --for 60s --json
    """
    from infra.account import AccountError
    from infra.clickhouse.migrate import MigrationError
    from infra.live.run import Plan
    from infra.live.run import run as run_all
    from infra.settings import Settings
    from infra.stack.child import StackError

    seconds = _seconds(duration)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    plan = Plan(home or Settings().home, seconds, rate, seed)
    try:
        outcome = run_all(plan, stopping, _say)
    except (StackError, MigrationError, AccountError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(outcome.report()))
    else:
        _print(outcome)
    raise typer.Exit(0 if outcome.balanced else 1)


def _say(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if match is None:
        raise typer.BadParameter("give a time as 60s, 5m or 1h")
    return float(match[1]) * _UNITS[match[2] or "s"]


def _print(outcome: Outcome) -> None:
    from rich.console import Console
    from rich.table import Table

    account = outcome.account
    table = Table(title="the account, read back from Kafka, ClickHouse and Redis", title_justify="left")
    table.add_column("")
    table.add_column("events", justify="right")
    for name in ("accepted", "scored", "dead_lettered", "deduplicated", "lost"):
        table.add_row(name.replace("_", "-"), f"{getattr(account, name):,}")
    console = Console()
    console.print(table)
    for problem in account.problems:
        console.print(f"[red]{problem}[/red]")
    console.print(f"{outcome.seconds:.0f} s, {account.accepted / outcome.seconds:,.0f} events/s accepted")
    console.print("[green]it balances[/green]" if outcome.balanced else "[red]it does not balance[/red]")
