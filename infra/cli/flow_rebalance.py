"""``clickgoose flow rebalance``: another number of processes."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from infra.flow_rebalance import Plan, Wanted

_SHOWN_AFTER_BYTES = 64 * 1024 * 1024


def rebalance(
    processes: Annotated[int, typer.Option(min=1, help="How many processes there will be")],
    state: Annotated[Path | None, typer.Option(help="The state of all processes; unset: <home>/flow")] = None,
    source: Annotated[
        list[Path] | None, typer.Option("--from", help="Where processes keep state now; once for each directory")
    ] = None,
    target: Annotated[
        list[Path] | None, typer.Option("--to", help="Where process 0, 1, ... will; once for each, or one for all")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be moved")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output")] = False,
) -> None:
    """Move the state of each partition to the process that will own it. The flow must not run.

    A run that was interrupted, even by kill -9, is completed by running it again with the same directories. Between
    file systems state is copied, synced and compared before the original is deleted.

    Exit codes: 0 done, or nothing to do; 1 in use, or stopped half way; 2 wrong use.

    Examples:

      clickgoose flow rebalance --processes 4 --dry-run

      clickgoose flow rebalance --processes 3 --from /state/0 --from /state/1 --to /state/0 --to /state/1 --to /state/2
    """
    from infra.flow_layout import LayoutRefused
    from infra.flow_rebalance import RebalanceFailed, look, wanted
    from infra.settings import Settings

    if (source is None) != (target is None) or (state and source):
        raise typer.BadParameter("give --state alone, or both --from and --to")
    root = state or Settings().home / "flow"
    try:
        order = wanted(processes, source or [root], target or [root])
        plan = look(order) if dry_run else _carry_out(order)
    except LayoutRefused as refused:
        typer.echo(str(refused), err=True)
        raise typer.Exit(2) from None
    except RebalanceFailed as failed:
        typer.echo(str(failed), err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(_report(plan, dry_run)))
    else:
        _show(plan, dry_run)


def _carry_out(order: Wanted) -> Plan:
    """Move, with a progress bar where it takes long."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from infra.flow_rebalance import rebalance as run
    from infra.flow_rebalance import total_bytes

    total = total_bytes(order)
    columns = (TextColumn("moving state"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    with bar if total > _SHOWN_AFTER_BYTES else nullcontext():
        task = bar.add_task("state", total=total)
        return run(order, lambda count: bar.advance(task, count))


def _report(plan: Plan, dry_run: bool) -> dict[str, object]:
    return {
        "processes_before": plan.before,
        "processes": plan.processes,
        "dry_run": dry_run,
        "resumed": plan.resumes,
        "staying": list(plan.staying),
        "moved": [
            {"partition": move.partition, "from": str(move.source), "to": str(move.target), "bytes": move.bytes}
            for move in plan.moves
        ],
    }


def _show(plan: Plan, dry_run: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if plan.moves:
        table = Table(
            "partition", "from", "to", "KiB", title="would move" if dry_run else "moved", title_justify="left"
        )
        for move in plan.moves:
            table.add_row(str(move.partition), str(move.source), str(move.target), f"{move.bytes / 1024:,.0f}")
        console.print(table)
    verb = "would be" if dry_run else "is"
    console.print(
        f"The state {verb} laid out for {plan.processes} process{'es' if plan.processes > 1 else ''}; "
        f"partitions {'to move' if dry_run else 'moved'}: {len(plan.moves)}, in place: {len(plan.staying)}."
    )
