"""``clickgoose model compare``: what would change if another model took over, and a gate that a CI can run."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from infra.cli.model_parts import errors
from infra.cli.time_range import range_of

if TYPE_CHECKING:
    from infra.model_compare import Found, Side, Source
    from infra.settings import Settings
    from scoring.gate import Condition
    from scoring.registry import Registry


class From(StrEnum):
    """Where events come from."""

    CLICKHOUSE = "clickhouse"
    FILES = "files"
    SIMULATION = "simulation"


def register(group: typer.Typer) -> None:
    """Add the commands to ``clickgoose model``."""
    from scoring.gate import metrics_by_family

    lines = [f"{name}: {said}" for name, said in metrics_by_family()]
    group.command("compare", epilog="\n\n".join(["Metrics for --fail-on (delta: B less A):", *lines]))(compare)


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="Version in use, a model's directory, or `live`")],
    b: Annotated[str, typer.Argument(metavar="B", help="Version that may follow it, a directory, or `candidate`")],
    source: Annotated[From, typer.Option("--from", help="Where events come from")] = From.CLICKHOUSE,
    since: Annotated[str, typer.Option(help="7d, 12h or 30m ago, or 2026-06-01T12:30 (UTC)")] = "24h",
    until: Annotated[str | None, typer.Option(help="The same; unset: now")] = None,
    merchant: Annotated[str, typer.Option(help="Only of this merchant")] = "",
    event_type: Annotated[str, typer.Option(help="Only of this event type, as payment")] = "",
    sample: Annotated[
        int, typer.Option(min=0, help="At most about so many events, and as many labelled ones; 0: all")
    ] = 200_000,
    files: Annotated[Path | None, typer.Option("--files", help="Directory that export-data wrote")] = None,
    events: Annotated[int, typer.Option(min=1_000, help="Simulated ones")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the simulation and the intervals; not the one a model saw")] = 11,
    fail_on: Annotated[
        list[str] | None, typer.Option("--fail-on", metavar="CONDITION", help="As 'flip_share>0.02'; repeat it")
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="A metric without a value does not fail the gate")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="Write one page with plots")] = None,
    models: Annotated[str | None, typer.Option(help="Registry of models; unset: that of the settings")] = None,
    url: Annotated[str | None, typer.Option(help="clickhouse://user:password@host:port/database")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output")] = False,
) -> None:
    """Compare two models on the same events: flips, scores, reasons, and what labels say of both.

    Events are scored again by both models from their stored features. A model that does not fit this build speaks by
    its stored scores, live or shadow, and the output says so. Flips are by the thresholds in force for each event.

    Exit codes: 0 compared, and the gate is open; 1 a condition of --fail-on holds, or there is nothing to compare;
    2 wrong use.

    Examples:

      clickgoose model compare live goose-1a2b3c4d --since 7d --html compare.html

      clickgoose model compare live candidate --fail-on 'flip_share>0.02' --fail-on 'recall_at_1pct_fpr.delta.high<0'

      clickgoose model compare goose-1a2b3c4d goose-5e6f7a8b --from simulation --events 10000 --json
    """
    from infra.model_compare import CompareError
    from infra.model_compare import compare as compared
    from infra.settings import Settings
    from scoring.gate import failures
    from scoring.model import ModelError

    conditions = _conditions(fail_on or [])
    asked = (since, until, merchant, event_type, sample)
    settings = Settings()
    try:
        sides = _sides(settings, models, a, b)
        wanted = _source(source, sides[0], asked, url or settings.clickhouse.url, files, (events, seed))
        found = _with_progress(lambda told: compared(*sides, wanted, progress=told, seed=seed), wanted)
    except (CompareError, ModelError) as error:
        _refuse(str(error), 1)
    _tell(found, as_json, html)
    failed = failures(found.comparison.values, conditions, allow_missing=allow_missing)
    for sentence in failed:
        typer.echo(f"gate: {sentence}", err=True)
    if failed:
        raise typer.Exit(1)
    if conditions:
        typer.echo(f"gate: open, none of {len(conditions)} conditions holds", err=True)


def _conditions(texts: list[str]) -> list[Condition]:
    from scoring.gate import Condition, GateError

    try:
        return [Condition.read(text) for text in texts]
    except GateError as error:
        _refuse(f"--fail-on: {error}", 2)


def _sides(settings: Settings, models: str | None, a: str, b: str) -> tuple[Side, Side]:
    from infra.models import registry_of

    registry = registry_of(settings, models)
    sides = _side(registry, a), _side(registry, b)
    if sides[0].version == sides[1].version:
        _refuse(f"A and B are both {sides[0].version}: name two versions", 2)
    return sides


def _side(registry: Registry, name: str) -> Side:
    """Return a model by version, by role or by directory; without the model where it cannot be loaded here."""
    from infra.model_compare import Side, side_of
    from scoring.model import Model, ModelError

    if name in ("live", "candidate"):
        roles = registry.rollout().roles
        if name == "candidate" and roles.candidate is None:
            _refuse("there is no candidate: name a version, see `clickgoose model list`", 2)
        name = roles.candidate.version if name == "candidate" and roles.candidate else roles.live
    if "/" in name or Path(name).is_dir():
        return side_of(Model.load(Path(name)))  # a model is compared before it is signed
    try:
        return side_of(registry.load(name))
    except ModelError as refused:
        return Side(name, None, str(refused))


def _source(
    source: From, a: Side, asked: Any, url: str | None, files: Path | None, simulated: tuple[int, int]
) -> Source:
    if source is From.CLICKHOUSE:
        return _stored(a, asked, url)
    if source is From.FILES:
        from infra.compare_files import ExportedEvents

        if files is None:
            _refuse("--from files needs --files DIRECTORY, as `clickgoose model export-data` wrote it", 2)
        return ExportedEvents(files, a.policy())
    from infra.compare_simulation import SimulatedEvents

    return SimulatedEvents(*simulated, a.runs().policy)


def _stored(a: Side, asked: Any, url: str | None) -> Source:
    import time

    from infra.compare_clickhouse import Asked, StoredEvents

    since, until, *others = asked
    if url is None:
        _refuse("no ClickHouse: run `clickgoose up`, set CLICKGOOSE_CLICKHOUSE__URL, or compare --from simulation", 2)
    try:
        span = range_of(since, until, int(time.time() * 1000))
    except ValueError as error:
        _refuse(str(error), 2)
    return StoredEvents(url, Asked(*span, *others), a.policy())


def _with_progress(work: Any, source: Source) -> Found:
    from rich.progress import Progress

    console, total = errors(), source.total()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("comparing on events", total=total)
        found: Found = work(lambda done: progress.update(bar, completed=done))
    return found


def _tell(found: Found, as_json: bool, html: Path | None) -> None:
    if html is not None:
        from infra.compare_page import page

        try:
            html.write_text(page(found.as_json()), "utf-8")
        except OSError as error:
            _refuse(f"{html} cannot be written: {error.strerror or error}", 2)
    if as_json:
        typer.echo(json.dumps(found.as_json()))
        return
    from infra.cli.compare_tables import print_comparison

    print_comparison(found.as_json())


def _refuse(sentence: str, code: int) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(code)
