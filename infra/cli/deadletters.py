"""``clickgoose deadletters``: what could not be processed, reviewed and settled."""

from __future__ import annotations

import typer

from infra.cli import (
    deadletters_export,
    deadletters_read,
    deadletters_redrive,
    deadletters_repair,
    deadletters_show,
    deadletters_states,
)

deadletters_app = typer.Typer(help="Review what could not be processed, and settle it.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(deadletters_app, name="deadletters")


@deadletters_app.callback()
def group() -> None:
    """Review what could not be processed, and settle it: see docs/dead-letters.md."""


for part in (
    deadletters_read,
    deadletters_show,
    deadletters_export,
    deadletters_states,
    deadletters_repair,
    deadletters_redrive,
):
    part.register(deadletters_app)
