"""What the commands of ``clickgoose bench`` share: options, progress, the table, and the refusal to state a rate.

A command is written as::

    with measuring("pipeline", total=1.0, as_json=as_json) as measure:
        measure.show(bench_pipeline(..., advance=measure.advance))

``measuring`` turns RowsLost (and a stack that does not start) into one sentence and exit code 1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID
    from rich.table import Table

    from infra.bench.measure import Figures

Events = Annotated[int, typer.Option(min=1_000, help="Events to measure with")]
Batch = Annotated[int, typer.Option(min=1, max=4096, help="Events a batch")]
Seed = Annotated[int, typer.Option(help="Seed of the generator")]
Seconds = Annotated[float, typer.Option(min=0, help="Measure at least so long; 0: each event once")]
Processes = Annotated[int, typer.Option(min=1, max=64, help="Processes that work at the same time")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output")]

_TOP = ("events", "seconds", "events_per_s", "cpu_us_per_event", "rss_peak_mb", "batch")
_APART = ("runs", "ratios", "rounds", "rss_mb_by_events")  # in a table of their own, or in the JSON alone
_UNITS = {
    "events_per_s": "events/s",
    "cpu_us_per_event": "CPU µs/event",
    "rss_peak_mb": "peak memory MiB",
}


@dataclass(slots=True)
class Measuring:
    """A measurement that is running."""

    as_json: bool
    progress: Progress
    task: TaskID

    def advance(self, share: float = 1.0) -> None:
        """Move the bar by so much of its total."""
        self.progress.advance(self.task, share)

    def say(self, words: str) -> None:
        """Name the part that is measured now."""
        self.progress.update(self.task, description=words)

    def show(self, found: Figures | Mapping[str, Any]) -> None:
        """Print the report: one JSON object, or a table."""
        self.progress.stop()
        show(found, self.as_json)


@contextmanager
def measuring(name: str, total: float = 1.0, as_json: bool = False) -> Iterator[Measuring]:
    """Show a bar with ETA on standard error; exit code 1 with one sentence where there is no rate to print."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from infra.bench.measure import RowsLost
    from infra.stack.child import StackError

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TimeElapsedColumn(),
    )
    try:
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            yield Measuring(as_json, progress, progress.add_task(name, total=total))
    except (RowsLost, StackError) as lost:
        typer.echo(f"There is no rate to print: {lost}", err=True)
        raise typer.Exit(1) from None


def show(found: Figures | Mapping[str, Any], as_json: bool) -> None:
    """Print one JSON object, or a table of the same figures."""
    report: Mapping[str, Any] = found if isinstance(found, Mapping) else found.report()
    if as_json:
        typer.echo(json.dumps(report))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("figure", title=str(report["name"]), caption=_where(report.get("machine", {})))
    table.add_column("value", justify="right")
    for name, value in table_rows(report):
        table.add_row(name, value)
    Console().print(table)
    if "runs" in report:
        Console().print(_runs(report))


def _runs(report: Mapping[str, Any]) -> Table:
    """Return one line for each measurement of a run that had several, and their ratios."""
    from rich.table import Table

    names = ("events_per_s", "cpu_us_per_event", "rss_peak_mb")
    ratios = ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in report.get("ratios", {}).items())
    table = Table("measured in this run", *(_UNITS[name] for name in names), caption=ratios)
    for label, one in report["runs"].items():
        table.add_row(label, *(_text(one[name]) for name in names))
    return table


def table_rows(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of a report's table: the rate first, then processes, stages, batch sizes and details."""
    rows = [(_UNITS.get(name, name), _text(report[name])) for name in _TOP if name in report]
    processes: Sequence[Mapping[str, Any]] = report.get("processes", ())
    if len(processes) > 1:
        for one in processes:
            rows.append((f"  {one['name']}: CPU µs/event", _text(one["cpu_us_per_event"])))
            rows.append((f"  {one['name']}: peak memory MiB", _text(one["rss_peak_mb"])))
    rows += [
        (f"  {name}: CPU µs/event", _text(us)) for name, us in report.get("cpu_us_per_event_of_stages", {}).items()
    ]
    rows += [(f"  batches of {size}", _text(count)) for size, count in report.get("batch_sizes", {}).items()]
    done = {*_TOP, "name", "processes", "cpu_us_per_event_of_stages", "batch_sizes", "details", "machine", *_APART}
    rows += _nested({name: value for name, value in report.items() if name not in done}, "")
    details = {name: value for name, value in report.get("details", {}).items() if name not in _APART}
    return rows + _nested(details, "")


def _nested(values: Mapping[str, Any], indent: str) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        label = indent + str(name).replace("_", " ")
        if isinstance(value, Mapping):
            rows += [(label, ""), *_nested(value, indent + "  ")]
        elif isinstance(value, (list, tuple)):
            rows.append((label, ", ".join(_text(one) for one in value)))
        else:
            rows.append((label, _text(value)))
    return rows


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _where(machine: Mapping[str, Any]) -> str:
    if not machine:
        return ""
    commit = f", commit {machine['commit']}" if machine.get("commit") else ""
    return f"{machine['cpu']}, {machine['cores']} cores, load {machine['load']}, Python {machine['python']}{commit}"
