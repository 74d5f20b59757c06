"""The ``clickgoose`` command: one file per group of commands."""

from __future__ import annotations

import typer

from infra.cli import account, clickhouse, ingest, stack

app = typer.Typer(
    name="clickgoose",
    help="Score browser events for fraud while the payment is still in progress.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

account.register(app)
clickhouse.register(app)
ingest.register(app)
stack.register(app)


def main() -> None:
    """Run the command line."""
    app()
