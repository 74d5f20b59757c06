"""``clickgoose signals``: measure the smart signals, and learn the weights of those that learn."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

signals_app = typer.Typer(help="Measure the smart signals, and learn what their clues are worth.", no_args_is_help=True)
Seed = Annotated[int, typer.Option(help="Seed of the simulated traffic")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(signals_app, name="signals")


@signals_app.command("measure", epilog="Example: clickgoose signals measure --events 20000")
def measure_signals(
    events: Annotated[int, typer.Option(min=100, help="Events of people; attackers come beside them")] = 20_000,
    seed: Seed = 5,
    out: Annotated[Path | None, typer.Option(help="File to write; unset: clickgoose's own")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write no file, but JSON to standard output")] = False,
) -> None:
    """Count how often each smart signal is true of people and of attackers, and not computable."""
    from enrichers.measured import MEASURED
    from infra.signals.measure import NotEnoughTraffic, measure

    try:
        with _bar("judging", events) as advance:
            found = measure(events, seed, advance)
    except NotEnoughTraffic as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(found))
        return
    where = out or MEASURED
    where.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    people = found["events"]["honest"]
    for name, count in found["true"]["honest"].items():
        typer.echo(f"{name:22}{count / people:9.3%} of people's events true{found['null'][name] / people:9.2%} null")
    typer.echo(f"wrote {where}; run `make docs` to print it in docs/smart-signals.md")


@signals_app.command("learn", epilog="Example: clickgoose signals learn --events 30000")
def learn_weights(
    events: Annotated[int, typer.Option(min=100, help="Events to learn from")] = 30_000,
    seed: Seed = 11,
    out: Annotated[Path | None, typer.Option(help="File to write; unset: clickgoose's own")] = None,
) -> None:
    """Count which clues of behaviour attackers' and people's sessions show: what their weights are made of."""
    import enrichers.learned
    from infra.signals.behaviour import learn, module_of

    with _bar("counting", events) as advance:
        found = learn(events, seed, advance)
    where = out or Path(enrichers.learned.__file__)
    where.write_text(module_of(found), "utf-8")
    typer.echo(f"wrote {where}: {found.programs:,} sessions of attackers and {found.people:,} of people")


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda events: progress.advance(task, events)
