"""``clickgoose docs``: write the generated files, or check that they are current."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("docs")(docs)


def docs(
    root: Annotated[Path, typer.Option(help="The repository")] = Path(),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if a file is not current")] = False,
) -> None:
    """Write the files that are generated from the code, or check that they are current.

    Example: clickgoose docs --check
    """
    from infra.pages.registry import stale_pages, write_pages

    if not check:
        for name in write_pages(root):
            typer.echo(f"wrote {root / name}")
        return
    stale = stale_pages(root)
    for name in stale:
        typer.echo(f"{root / name} is not what the code says; run `make docs` and commit it", err=True)
    raise typer.Exit(1 if stale else 0)
