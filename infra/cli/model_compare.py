"""``clickgoose model compare``: what would change if another model took over, and a gate that a CI can run."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.compare_parts import (
    AllowMissing,
    EventType,
    FailOn,
    Merchant,
    Since,
    Until,
    Url,
    conditions_of,
    refuse,
    side_named,
    stored_events,
    tell_gate,
    with_bar,
)
from infra.cli.model_parts import Json, Root, needs_training

if TYPE_CHECKING:
    from infra.model_compare import Found, Side, Source
    from infra.settings import Settings


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
    since: Since = "24h",
    until: Until = None,
    merchant: Merchant = "",
    event_type: EventType = "",
    sample: Annotated[
        int, typer.Option(min=0, help="At most about so many events, and as many labelled ones; 0: all")
    ] = 200_000,
    files: Annotated[Path | None, typer.Option("--files", help="Directory that export-data wrote")] = None,
    events: Annotated[int, typer.Option(min=1_000, help="Simulated ones")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the simulation and the intervals; not the one a model saw")] = 11,
    fail_on: FailOn = None,
    allow_missing: AllowMissing = False,
    html: Annotated[Path | None, typer.Option(help="Write one page with plots")] = None,
    models: Root = None,
    url: Url = None,
    as_json: Json = False,
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
    from scoring.gate import METRICS
    from scoring.model import ModelError

    conditions = conditions_of(fail_on, METRICS)
    if html is not None or source is From.FILES:
        needs_training()
    settings = Settings()
    try:
        sides = _sides(settings, models, a, b)
        if source is From.CLICKHOUSE:
            where, only = url or settings.clickhouse.url, (merchant, event_type, sample)
            wanted: Source = stored_events(where, (since, until), only, sides[0].policy())
        else:
            wanted = _labelled(source, sides[0], files, (events, seed))
        found = with_bar("comparing", wanted, lambda told: compared(*sides, wanted, progress=told, seed=seed))
    except (CompareError, ModelError) as error:
        refuse(str(error), 1)
    _tell(found, as_json, html)
    tell_gate(found.comparison.values, conditions, allow_missing)


def _sides(settings: Settings, models: str | None, a: str, b: str) -> tuple[Side, Side]:
    from infra.models import registry_of

    registry = registry_of(settings, models)
    sides = side_named(registry, a), side_named(registry, b)
    if sides[0].version == sides[1].version:
        refuse(f"A and B are both {sides[0].version}: name two versions", 2)
    return sides


def _labelled(source: From, a: Side, files: Path | None, simulated: tuple[int, int]) -> Source:
    if source is From.FILES:
        from infra.compare_files import ExportedEvents

        if files is None:
            refuse("--from files needs --files DIRECTORY, as `clickgoose model export-data` wrote it", 2)
        return ExportedEvents(files, a.policy())
    from infra.compare_simulation import SimulatedEvents

    return SimulatedEvents(*simulated, a.runs().policy)


def _tell(found: Found, as_json: bool, html: Path | None) -> None:
    if html is not None:
        from infra.compare_page import page

        try:
            html.write_text(page(found.as_json()), "utf-8")
        except OSError as error:
            refuse(f"{html} cannot be written: {error.strerror or error}", 2)
    if as_json:
        typer.echo(json.dumps(found.as_json()))
        return
    from infra.cli.compare_tables import print_comparison

    print_comparison(found.as_json())
