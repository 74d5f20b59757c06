"""The ``clickgoose`` command: one file per group of commands."""

from __future__ import annotations

import logging
import sys

import typer

from infra.cli import (
    account,
    bench,
    capacity,
    clickhouse,
    data,
    deadletters,
    demo_shop,
    docs,
    explain,
    flow,
    ingest,
    lists,
    model,
    policies,
    replay,
    reputation,
    rules,
    run,
    signals,
    stack,
    traffic,
    wire,
)
from infra.settings_refused import SettingsRefused

GROUPS = (
    run,
    stack,
    ingest,
    flow,
    traffic,
    demo_shop,
    account,
    explain,
    deadletters,
    replay,
    model,
    policies,
    clickhouse,
    reputation,
    rules,
    lists,
    data,
    signals,
    bench,
    capacity,
    wire,
    docs,
)

app = typer.Typer(
    name="clickgoose",
    help="Score browser events for fraud while the payment is still in progress.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

for module in GROUPS:
    module.register(app)


def main() -> None:
    """Run the command line; settings that cannot be used are wrong use of it, whatever the command."""
    # Else the driver prints stack traces where nobody configured logging; commands say in a sentence what it raises.
    logging.getLogger("clickhouse_driver").addHandler(logging.NullHandler())
    try:
        app()
    except SettingsRefused as refused:
        typer.echo(str(refused), err=True)
        sys.exit(2)
