"""``clickgoose model report``: what training measured, as it lies with the model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.model_parts import Json, Root, Version, opened, told

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_BAR = 24  # characters
_SHOWN = 12  # features, groups and moved features
_BLOCKS = " ▁▂▃▄▅▆▇█"


def register(group: typer.Typer) -> None:
    """Add the command to ``clickgoose model``."""
    group.command("report", epilog="Example: clickgoose model report goose-1a2b3c4d --html report.html")(report)


def report(
    version: Version = None,
    models: Root = None,
    html: Annotated[Path | None, typer.Option(help="Write the page with plots there; needs no network to read")] = None,
    as_json: Json = False,
) -> None:
    """Show the report of a model's training: figures of the hold-out, thresholds, attackers, factors, drift.

    The hold-out is the last part of the time split, without attack campaigns that began before it.

    Exit codes: 0 shown, and every goal is met; 1 a goal is missed, or there is no report; 2 wrong use.

    Examples:

      clickgoose model report

      clickgoose model report goose-1a2b3c4d --json | jq .figures
    """
    from scoring.model import read_file, read_manifest
    from scoring.report_file import PAGE_FILE, read_report

    with told():
        registry = opened(models)
        name = version or registry.rollout().roles.live
        directory = registry.path(name, trusted=False)
        found = read_report(directory)
        page = read_file(directory, read_manifest(directory), PAGE_FILE) if html else b""
    if html:
        _write(html, page)
    if as_json:
        typer.echo(json.dumps({"version": name, **found}))
    else:
        _show(name, found)
    if not all(goal["met"] for goal in found["goals"]):
        raise typer.Exit(1)


def _write(path: Path, page: bytes) -> None:
    try:
        path.write_bytes(page)
    except OSError as error:
        typer.echo(f"{path} cannot be written: {error.strerror or error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(f"{path} is written", err=True)


def _show(version: str, found: Mapping[str, Any]) -> None:
    from rich.console import Console

    from scoring.words import moment

    console = Console()
    facts, figures = found["training"], found["figures"]
    parts = facts["parts"]
    sources = ", ".join(f"{rows:,} {name}" for name, rows in facts["sources"].items())
    console.print(f"[bold]{version}[/bold]: {facts['trees']} trees of depth {facts['depth']}, seed {facts['seed']}")
    console.print(f"{facts['rows']:,} events ({sources}), {moment(facts['first'])} to {moment(facts['last'])}")
    console.print(
        f"hold-out: {parts['hold_out']['events']:,} events, {parts['hold_out']['fraud']:,} of them fraud; "
        f"{parts['left_out_of_hold_out']:,} left out, of campaigns that began before it"
    )
    _show_goals(console, found["goals"])
    others = {name: value for name, value in figures.items() if name not in {goal["figure"] for goal in found["goals"]}}
    console.print(", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in others.items()))
    _show_curves(console, found)
    _show_thresholds(console, found)
    _show_attackers(console, found["attackers"])
    _show_false_positives(console, found["false_positives"])
    _show_rests_on(console, found)
    _show_drift(console, found["drift"])


def _table(title: str, names: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    for place, name in enumerate(names):
        is_bar = not name and place == len(names) - 1
        table.add_column(name, justify="left" if is_bar or not place else "right")
    for row in rows:
        table.add_row(*row)
    return table


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"


def bar(value: float, most: float) -> str:
    """Return a bar of a value that fills the width at ``most``."""
    return "█" * round(_BAR * value / most) if most > 0 else ""


def sparkline(values: Sequence[float]) -> str:
    """Return one character a value, by its height; what is not 0 is seen."""
    most = max(values, default=0.0)
    top = len(_BLOCKS) - 1
    return "".join(_BLOCKS[max(round(top * value / most), 1) if value > 0 else 0] for value in values)


def _show_goals(console: Console, goals: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (
            goal["figure"].replace("_", " "),
            f"{goal['value']:.4f}",
            f">= {goal['least']:g}" if goal["most"] is None else f"<= {goal['most']:g}",
            "[green]met[/green]" if goal["met"] else "[red]missed[/red]",
        )
        for goal in goals
    ]
    console.print(_table("Goals, on the hold-out", ("", "is", "goal", ""), rows))


def _show_curves(console: Console, found: Mapping[str, Any]) -> None:
    """Show the counts by score on a logarithmic scale, and calibration as pairs."""
    from math import log1p

    for name in ("honest", "fraud"):
        counts = found["scores"][name]
        console.print(f"  scores, {name:<6} 0 |{sparkline([log1p(count) for count in counts])}| 100 (log)")
    happened = " ".join(f"{one['predicted']:.0%}:{one['happened']:.0%}" for one in found["calibration"])
    console.print(f"  calibration, predicted:happened {happened}")


def _show_thresholds(console: Console, found: Mapping[str, Any]) -> None:
    columns = ("precision", "recall", "false_positive_rate", "flagged")
    rows = [
        (f"{one['threshold']:g}", *(_share(one[name]) for name in columns), one["decides"])
        for one in found["thresholds"]
    ]
    console.print(_table("Thresholds", ("score", "precision", "recall", "false positives", "flagged", ""), rows))
    rates = [
        (
            f"{one['at_most']:.1%}",
            "" if one["threshold"] is None else f"{one['threshold']:.2f}",
            _share(one["recall"]),
            _share(one["precision"]),
            bar(one["recall"], 1.0),
        )
        for one in found["at_false_positive_rates"]
    ]
    console.print(_table("At a rate of false positives", ("at most", "score", "recall", "precision", ""), rates))


def _show_attackers(console: Console, attackers: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (
            one["kind"],
            f"{one['events']:,}",
            *(_share(one[name]) for name in ("review", "deny", "at_1pct_fpr")),
            bar(one["review"], 1.0),
        )
        for one in attackers
    ]
    console.print(_table("Recall", ("attacker", "events", "at review", "at deny", "at 1% false positives", ""), rows))


def _show_false_positives(console: Console, found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    for by, rates in found.items():
        most = max((one["false_positive_rate"] for one in rates), default=0.0)
        rows = [
            (
                one["name"],
                f"{one['events']:,}",
                _share(one["false_positive_rate"]),
                bar(one["false_positive_rate"], most),
            )
            for one in rates
        ]
        console.print(_table(f"False positives by {by}", (by, "honest events", "reviewed", ""), rows))


def _show_rests_on(console: Console, found: Mapping[str, Any]) -> None:
    for title, rows, name, size in (
        ("Features by share of gain", found["features"][:_SHOWN], "name", "gain"),
        ("Factor groups by mean size, log-odds", found["groups"][:_SHOWN], "code", "mean_contribution"),
    ):
        most = max((one[size] for one in rows), default=0.0)
        shown = [(one[name], f"{one[size]:.4f}", bar(one[size], most)) for one in rows]
        console.print(_table(title, ("", "", ""), shown))
    factors = found["factors"]
    console.print(
        f"first factor is exact TreeSHAP's on {factors['agreement']:.1%} of {factors['events']:,} flagged events; of "
        f"the first three, {factors['top_3_overlap']:.1%} are the same"
    )


def _show_drift(console: Console, drift: Mapping[str, Any] | None) -> None:
    if drift is None:
        console.print("drift: there was no earlier model to compare with")
        return
    rows = [
        (name.replace("_", " "), f"{one['before']:g}", f"{one['now']:g}", f"{one['by']:+g}")
        for name, one in drift["metrics"].items()
    ]
    console.print(_table(f"Drift since {drift['since']}", ("", "before", "now", "by"), rows))
    moved = ", ".join(f"{one['name']} {one['psi']:.3f}" for one in drift["features"][:_SHOWN])
    console.print(
        f"stability index: scores {drift['score_psi']:.4f}; {drift['features_moved']} of {len(drift['features'])} "
        f"features moved (0.25 and more): {moved}"
    )
