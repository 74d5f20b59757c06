"""``clickgoose model drift``: how far live traffic has moved from what a model was trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

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
from infra.cli.model_parts import Json, Root, Version, opened

_SHOWN = 15


def register(group: typer.Typer) -> None:
    """Add the command to ``clickgoose model``."""
    group.command("drift")(drift)


def drift(
    version: Version = None,
    since: Since = "24h",
    until: Until = None,
    merchant: Merchant = "",
    event_type: EventType = "",
    sample: Annotated[int, typer.Option(min=0, help="At most about so many events; 0: all")] = 50_000,
    fail_on: FailOn = None,
    allow_missing: AllowMissing = False,
    models: Root = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Compare stored features, and their scores by a model, with what the model saw in its training.

    As population stability indices: below 0.1 stable, from 0.25 on another population. A small sample drifts by
    chance: some 0.01 at 2,000 rows. Conditions are on score_psi, largest_feature_psi, features_moved, rows, events
    and with_features_share.

    Exit codes: 0 measured, and the gate is open; 1 a condition of --fail-on holds, or there is nothing to measure;
    2 wrong use.

    Examples:

      clickgoose model drift --since 1d

      clickgoose model drift goose-1a2b3c4d --since 7d --fail-on 'score_psi>0.25' --fail-on 'features_moved>10'
    """
    from infra.model_compare import CompareError
    from infra.model_drift import METRICS, live_drift
    from infra.settings import Settings
    from scoring.model import ModelError

    conditions = conditions_of(fail_on, METRICS)
    try:
        side = side_named(opened(models), version or "live")
        where, only = url or Settings().clickhouse.url, (merchant, event_type, sample)
        source = stored_events(where, (since, until), only, side.policy())
        found = with_bar("measuring drift", source, lambda told: live_drift(side.runs(), source, told))
    except (CompareError, ModelError) as error:
        refuse(str(error), 1)
    if as_json:
        typer.echo(json.dumps({**found.figures, "metrics": found.values}))
    else:
        _show(found.figures)
    tell_gate(found.values, conditions, allow_missing)


def _show(found: Mapping[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    typer.echo(
        f"{found['version']} on {found['rows']:,} rows that stand for {found['events']:,.0f} of {found['asked']:,.0f} "
        f"events, {found['first']} to {found['last']}"
    )
    typer.echo(
        f"scores: {found['score_psi']:.4f}; {found['features_moved']} of {len(found['features'])} features have moved"
    )
    table = Table(title="Population stability index, the features that moved most", title_justify="left")
    for name in ("feature", "index", "absent in training", "absent now"):
        table.add_column(name, justify="left" if name == "feature" else "right")
    for one in found["features"][:_SHOWN]:
        table.add_row(one["name"], f"{one['psi']:.4f}", *(f"{one[key]:.1%}" for key in ("absent_before", "absent_now")))
    Console().print(table)
