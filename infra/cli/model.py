"""``clickgoose model``: train, verify and show models. One file for each of its jobs."""

from __future__ import annotations

import typer

from infra.cli import model_registry, model_train


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Train, verify and show scoring models.", no_args_is_help=True)
    for part in (model_train, model_registry):
        part.register(group)
    app.add_typer(group, name="model")
