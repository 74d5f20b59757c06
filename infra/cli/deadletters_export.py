"""``clickgoose deadletters export``: letters to a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from infra.cli.deadletters_parts import (
    Asked,
    ClusterId,
    Event,
    Json,
    Merchants,
    Reasons,
    Since,
    Stages,
    States,
    Text,
    Until,
    Url,
    opened,
    progress,
    refuse,
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(export)


def export(
    file: Annotated[Path, typer.Argument(help="Where to; readable by you alone")],
    reason: Reasons = None,
    stage: Stages = None,
    merchant: Merchants = None,
    since: Since = None,
    until: Until = None,
    state: States = None,
    event: Event = "",
    cluster: ClusterId = "",
    text: Text = "",
    form: Annotated[
        str | None, typer.Option("--format", help="jsonl or csv; unset: csv where the name ends so, else jsonl")
    ] = None,
    payloads: Annotated[bool, typer.Option("--payloads", help="With payloads as kept, sealed, in base64")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Write dead letters to a file, one a line, newest failure first; with payloads, in the order of the table.

    The file is written whole or not at all.

    Exit codes: 0, also where there is none: the file is then empty; 2 wrong use, or it cannot be read or written.

    Examples:

      clickgoose deadletters export bugs.jsonl --reason internal.bug --since 7d

      clickgoose deadletters export leaks.csv --reason mask. --merchant demo-shop
    """
    from infra.letter_export import export_letters

    chosen = _form(form, file)
    asked = Asked(reason, stage, merchant, since, until, state, event, cluster, text)
    asked.checked()
    with opened(url) as store:
        wanted = asked.filter(store)
        with progress() as bar:
            task = bar.add_task("exporting", total=store.count(wanted))
            written = export_letters(
                store, wanted, file, chosen, payloads=payloads, force=force,
                on_progress=lambda done: bar.update(task, completed=done),
            )  # fmt: skip
    if as_json:
        typer.echo(json.dumps({"file": str(file), "format": chosen, "letters": written, "payloads": payloads}))
    else:
        typer.echo(f"{written:,} dead letters are in {file}")


def _form(text: str | None, file: Path) -> Literal["jsonl", "csv"]:
    if text is None:
        return "csv" if file.suffix.lower() == ".csv" else "jsonl"
    if text == "csv":
        return "csv"
    if text != "jsonl":
        refuse(f"--format {text} is none: give jsonl or csv")
    return "jsonl"
