"""``clickgoose reputation``: what merchants' labels say of addresses, networks and autonomous systems."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from flows.lookups.labelled_fraud import ReputationFile

reputation_app = typer.Typer(
    help="Make and show the file of labelled fraud that flows read (flow.reputation_file).", no_args_is_help=True
)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
_SINCE = re.compile(r"([1-9][0-9]{0,4})([hd])")
_MILLISECONDS = {"h": 3_600_000, "d": 86_400_000}


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(reputation_app, name="reputation")


@reputation_app.command("build")
def build(
    out: Annotated[Path, typer.Option(help="The file to write; flows read it at their start.")],
    since: Annotated[str, typer.Option(help="Count events of so long: 90d, 12h.")] = "90d",
    url: Annotated[str | None, typer.Option(help="clickhouse://user:password@host:port/database")] = None,
    as_json: Json = False,
) -> None:
    """Count labelled events by address, network and AS, as far back as --since, and write them to a file.

    Exit codes: 0 the file is written; 1 ClickHouse cannot be read; 2 wrong use, or the file cannot be written.

    Examples:

      clickgoose reputation build --out reputation.bin

      clickgoose reputation build --out /var/lib/clickgoose/reputation.bin --since 180d --json
    """
    import time

    from infra.reputation import ReputationError, build_reputation
    from infra.settings import Settings

    match = _SINCE.fullmatch(since)
    if match is None:
        _refuse(f"--since {since!r} is no duration: give 90d or 12h", 2)
    where = url or Settings().clickhouse.url
    if where is None:
        _refuse("no ClickHouse: run `clickgoose up`, or set CLICKGOOSE_CLICKHOUSE__URL", 2)
    now = int(time.time() * 1000)
    try:
        built = build_reputation(where, out, now, now - int(match[1]) * _MILLISECONDS[match[2]])
    except ReputationError as error:
        _refuse(str(error), 1)
    except OSError as error:
        _refuse(f"{out} cannot be written: {error.strerror or error}", 2)
    if as_json:
        typer.echo(json.dumps({"file": str(out), **built._asdict()}))
        return
    rows = ", ".join(f"{count:,} of {kind}" for kind, count in built.rows.items())
    typer.echo(f"{out}: {built.events:,} labelled events, {built.fraud:,} of them fraud; entities: {rows}")
    if not built.events:
        typer.echo("no label fits an event of that time: flows will know nothing from this file")


@reputation_app.command("show")
def show(
    file: Annotated[Path, typer.Argument(help="A file that `clickgoose reputation build` wrote")], as_json: Json = False
) -> None:
    """Show what a file of labelled fraud holds. Exit code 1 where it cannot be used.

    Example:

      clickgoose reputation show reputation.bin --json
    """
    from flows.lookups.labelled_fraud import ReputationFileError, read_reputation

    try:
        found = read_reputation(file)
    except ReputationFileError as error:
        _refuse(str(error), 1)
    said = _said(found)
    if as_json:
        typer.echo(json.dumps({"file": str(file), **said}))
    else:
        _print(said)


def _said(found: ReputationFile) -> dict[str, Any]:
    from schemas.recognition import REPUTED

    described, tables, version = found
    return {
        "version": version,
        "made_at": _moment(described.made_at),
        "since": _moment(described.since),
        "half_life_days": described.half_life_days,
        "kinds": {
            kind: {
                "entities": len(table.keys),
                "decayed_events": round(float(table.events.sum(dtype=float)), 3),
                "decayed_fraud": round(float(table.fraud.sum(dtype=float)), 3),
            }
            for kind, table in zip(REPUTED, tables, strict=True)
        },
    }


def _moment(milliseconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def _print(said: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    title = (
        f"version {said['version']}, made {said['made_at']} of events since {said['since']}, "
        f"half-life {said['half_life_days']:g} days"
    )
    table = Table(title=title, title_justify="left")
    for name in ("", "entities", "decayed events", "decayed fraud", "share"):
        table.add_column(name, justify="right" if name else "left")
    for kind, counts in said["kinds"].items():
        events, fraud = counts["decayed_events"], counts["decayed_fraud"]
        share = f"{fraud / events:.1%}" if events else ""
        table.add_row(kind, f"{counts['entities']:,}", f"{events:,.1f}", f"{fraud:,.1f}", share)
    Console().print(table)


def _refuse(sentence: str, code: int) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(code)
