"""``clickgoose clickhouse``: the tables."""

from __future__ import annotations

import json
from typing import Annotated

import typer

clickhouse_app = typer.Typer(help="The ClickHouse tables.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(clickhouse_app, name="clickhouse")


@clickhouse_app.callback()
def group() -> None:
    """The ClickHouse tables."""


@clickhouse_app.command("migrate")
def migrate_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
    url: Annotated[str | None, typer.Option(help="clickhouse://user:password@host:port/database")] = None,
) -> None:
    """Create the database and the tables that are missing. Harmless when repeated.

    Examples:

      clickgoose clickhouse migrate

      clickgoose clickhouse migrate --url clickhouse://default@127.0.0.1:9000/clickgoose --json
    """
    from infra.clickhouse.migrate import MigrationError, migrate

    try:
        applied = migrate(_address(url))
    except MigrationError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps({"applied": applied}))
    else:
        typer.echo(f"applied {', '.join(applied)}" if applied else "nothing to do: the tables are up to date")


@clickhouse_app.command("tiers")
def tiers_command(
    policy: Annotated[str | None, typer.Option(help="Storage policy with volumes default, warm and cold.")] = None,
    warm_days: Annotated[int | None, typer.Option(help="Age at which rows go to the warm volume.")] = None,
    cold_days: Annotated[int | None, typer.Option(help="Age at which rows go to the cold volume.")] = None,
    keep_days: Annotated[int | None, typer.Option(help="Age at which rows are deleted.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
    url: Annotated[str | None, typer.Option(help="clickhouse://user:password@host:port/database")] = None,
) -> None:
    """Say where rows lie by age. Without this, nothing moves and nothing is deleted. Harmless when repeated.

    Example:

      clickgoose clickhouse tiers --policy tiered --warm-days 7 --cold-days 30 --keep-days 400
    """
    from infra.clickhouse.migrate import MigrationError
    from infra.clickhouse.tiers import Tiers, apply_tiers

    try:
        tiers = Tiers(policy, warm_days, cold_days, keep_days)
    except ValueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    try:
        applied = apply_tiers(_address(url), tiers)
    except MigrationError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(json.dumps({"applied": applied}) if as_json else "\n".join(applied) or "nothing to do")


def _address(url: str | None) -> str:
    from infra.settings import Settings

    where = url or Settings().clickhouse.url
    if where is None:
        typer.echo("no ClickHouse: run `clickgoose up`, or set CLICKGOOSE_CLICKHOUSE__URL", err=True)
        raise typer.Exit(2)
    return where
