"""What the commands of ``clickgoose model`` share: options, a check of what is installed, and printing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from scoring.registry import Registry

Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output")]
Version = Annotated[str | None, typer.Argument(help="Version, as goose-1a2b3c4d; unset: the live one")]
WantedVersion = Annotated[str, typer.Argument(help="Version, as goose-1a2b3c4d")]
Root = Annotated[
    str | None,
    typer.Option("--models", help="Root of models: a directory, or s3://, gs://, az://; unset: of the settings"),
]


def needs_training() -> None:
    """Leave with one sentence where the training extra is not installed."""
    from importlib.util import find_spec

    missing = [name for name in ("xgboost", "onnx", "matplotlib", "pyarrow") if find_spec(name) is None]
    if missing:
        typer.echo(f"this needs {' and '.join(missing)}: pip install 'clickgoose[train]'", err=True)
        raise typer.Exit(2)


def opened(root: str | None) -> Registry:
    """Return the registry of a root, else of the settings."""
    from infra.models import registry_of
    from infra.settings import Settings

    return registry_of(Settings(), root)


@contextmanager
def told(code: int = 1) -> Iterator[None]:
    """End with one sentence where a model or a registry is refused."""
    from scoring.model import ModelError

    try:
        yield
    except ModelError as refused:
        typer.echo(str(refused), err=True)
        raise typer.Exit(code) from None


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
