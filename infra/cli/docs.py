"""``clickgoose docs``: write the generated pages, or check that they are current."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("docs")(docs)


def docs(
    folder: Annotated[Path, typer.Option(help="Where the pages are")] = Path("docs"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if a page is not current")] = False,
) -> None:
    """Write the pages of docs/ that are generated from the code, or check that they are current.

    Example: clickgoose docs --check
    """
    from infra.pages.registry import stale_pages, write_pages

    if not check:
        for name in write_pages(folder):
            typer.echo(f"wrote {folder / name}")
        return
    stale = stale_pages(folder)
    for name in stale:
        typer.echo(f"{folder / name} is not what the code says; run `make docs` and commit it", err=True)
    raise typer.Exit(1 if stale else 0)
