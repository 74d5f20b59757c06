"""``clickgoose capacity``: how large an installation has to be."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("capacity")(capacity)


def capacity(
    rate: Annotated[float, typer.Option(help="Events a second at the peak")] = 50_000.0,
    event_bytes: Annotated[float | None, typer.Option(help="Bytes of a sealed event; unset: full-size ones")] = None,
    average_share: Annotated[float, typer.Option(help="The day's mean rate by the peak rate")] = 1.0,
    result_ttl: Annotated[float, typer.Option(help="Seconds that Redis keeps a result")] = 3_600.0,
    replication: Annotated[int, typer.Option(help="Replicas of Kafka's records")] = 3,
    retention_hours: Annotated[float, typer.Option(help="Hours that Kafka keeps records")] = 24.0,
    hot_days: Annotated[float, typer.Option(help="Days in ClickHouse's hot tier")] = 3.0,
    warm_days: Annotated[float, typer.Option(help="Age in days at which rows leave the warm tier")] = 30.0,
    keep_days: Annotated[float, typer.Option(help="Age in days at which rows are deleted")] = 365.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output")] = False,
) -> None:
    """Size brokers, partitions, flow processes, Redis shards and ClickHouse nodes from measured figures.

    docs/capacity.md has the figures, the formulae and two plans. Exit code 2: a number that cannot be meant.

    Example: clickgoose capacity --rate 50000 --keep-days 90 --json
    """
    from infra.capacity import MEASURED, Demand, plan

    try:
        demand = Demand(
            rate=rate,
            event_bytes=MEASURED["event_bytes"].value if event_bytes is None else event_bytes,
            average_share=average_share,
            result_ttl_seconds=result_ttl,
            replication=replication,
            retention_hours=retention_hours,
            hot_days=hot_days,
            warm_days=warm_days,
            keep_days=keep_days,
        )
    except ValueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    found = plan(demand)
    if as_json:
        typer.echo(json.dumps(found))
        return
    from rich.console import Console
    from rich.table import Table

    from infra.pages.capacity import rows_of

    table = Table("", title=f"{rate:,.0f} events/s", caption="; ".join(found["notes"]))
    table.add_column("size", justify="right")
    for name, value in rows_of(found):
        table.add_row(name, value)
    Console().print(table)
