"""``clickgoose model``: train, verify, roll out and compare models. One file for each of its jobs."""

from __future__ import annotations

import typer

from infra.cli import model_compare, model_drift, model_files, model_registry, model_report, model_train


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Train, verify, sign and roll out scoring models.", no_args_is_help=True)
    for part in (model_train, model_report, model_registry, model_files, model_compare, model_drift):
        part.register(group)
    app.add_typer(group, name="model")
