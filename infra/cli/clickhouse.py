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
    from infra.settings import Settings

    where = url or Settings().clickhouse.url
    if where is None:
        typer.echo("no ClickHouse: run `clickgoose up`, or set CLICKGOOSE_CLICKHOUSE__URL", err=True)
        raise typer.Exit(2)
    try:
        applied = migrate(where)
    except MigrationError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps({"applied": applied}))
    else:
        typer.echo(f"applied {', '.join(applied)}" if applied else "nothing to do: the tables are up to date")
