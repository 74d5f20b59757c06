"""``clickgoose flow state``: what the state logs hold, without touching them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flows.state_report import StateReport


def state(
    root: Annotated[Path | None, typer.Option("--state", help="Where state is kept; unset: <home>/flow")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Show the state log of every partition: where a flow would resume, how large it is, and whether it is whole.

    Nothing is locked or written, so it may be run beside a flow.

    Exit codes: 0 all are whole; 1 one is damaged; 2 there is nothing to look at.

    Examples:

      clickgoose flow state

      clickgoose flow state --state /var/lib/clickgoose/flow --json
    """
    from infra.settings import Settings

    where = root or Settings().home / "flow"
    try:
        reports = _reports(where)
    except OSError as error:
        typer.echo(f"the state in {where} cannot be read: {error.strerror or error}", err=True)
        raise typer.Exit(2) from None
    if not reports:
        typer.echo(f"there is no state in {where}: no flow has run with it", err=True)
        raise typer.Exit(2)
    if as_json:
        typer.echo(json.dumps({"state": str(where), "partitions": [asdict(report) for report in reports]}))
    else:
        _show(where, reports)
    raise typer.Exit(1 if any(report.problems for report in reports) else 0)


def _reports(root: Path) -> list[StateReport]:
    """Look at all partitions, also of a root of the version that knew no processes, and say how far that is."""
    from rich.console import Console
    from rich.progress import track

    from flows.state_report import report_of
    from infra.flow_layout import partitions_in

    found = [(held.partition, held.path) for held in partitions_in(root)]
    found += [(int(path.name[10:]), path) for path in sorted(root.glob("partition-" + "[0-9]" * 5))]
    steps = track(found, "reading state logs", console=Console(stderr=True), transient=True, disable=not _watched())
    return [report_of(path, partition) for partition, path in steps]


def _watched() -> bool:
    return sys.stderr.isatty()


def _show(root: Path, reports: list[StateReport]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"State in {root}", title_justify="left")
    columns = ("partition", "process", "resumes at", "newest", "acknowledged", "frames", "MiB", "slices", "in use by")
    for name in columns:
        table.add_column(name, justify="right")
    for report in reports:
        table.add_row(
            str(report.partition),
            Path(report.directory).parent.relative_to(root).name.removeprefix("process-"),
            "the earliest" if report.resume_offset is None else f"{report.resume_offset:,}",
            "" if report.newest_offset is None else f"{report.newest_offset:,}",
            "" if report.watermark < 0 else f"{report.watermark:,}",
            f"{report.frames:,} ({report.run_frames:,} needed)",
            f"{report.bytes / (1 << 20):,.1f}",
            str(report.slices),
            "nobody" if report.holder is None else str(report.holder),
        )
    console = Console()
    console.print(table)
    for report in reports:
        for problem in report.problems:
            console.print(f"[red]partition {report.partition}: {problem}[/red]", soft_wrap=True)
