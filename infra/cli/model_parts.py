"""What the commands of ``clickgoose model`` share: options, a check of what is installed, and printing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

Models = Annotated[Path | None, typer.Option(help="Directory of models; unset: clickgoose's own")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output")]
Version = Annotated[str | None, typer.Argument(help="Version, as goose-1a2b3c4d; unset: the default one")]


def needs_training() -> None:
    """Leave with one sentence where the training extra is not installed."""
    from importlib.util import find_spec

    missing = [name for name in ("xgboost", "onnx") if find_spec(name) is None]
    if missing:
        typer.echo(f"this needs {' and '.join(missing)}: pip install 'clickgoose[train]'", err=True)
        raise typer.Exit(2)


def errors() -> Any:
    """Return a console on standard error."""
    from rich.console import Console

    return Console(stderr=True)


def print_figures(figures: dict[str, Any], as_json: bool) -> None:
    """Print one JSON object, or one figure a line."""
    if as_json:
        typer.echo(json.dumps(figures))
        return
    for name, value in figures.items():
        typer.echo(f"{name.replace('_', ' '):>24}  {value}")
