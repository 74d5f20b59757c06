"""``clickgoose replay plan``: what a replay would read from where, and what its state would know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli import replay_parts as parts

if TYPE_CHECKING:
    from infra.replay_plan import Planned


def register(group: typer.Typer) -> None:
    """Add the command to ``clickgoose replay``."""
    group.command("plan")(plan)


def plan(
    name: Annotated[str, typer.Argument(help="Of the run to be, and of its namespace: small letters, digits and '_'")],
    since: parts.From = None,
    until: parts.To = None,
    last: parts.Last = None,
    offsets: parts.OffsetRanges = None,
    partitions: parts.Partitions = None,
    merchants: parts.Merchants = None,
    sessions: parts.Sessions = None,
    reasons: parts.Reasons = None,
    sample: parts.Sample = None,
    start: parts.StartAt = "sealed",
    warm: parts.Warm = None,
    snapshot: parts.Snapshot = None,
    store: parts.StoreChoice = "auto",
    save: Annotated[
        Path | None, typer.Option(help="Keep the plan in a file, for `clickgoose replay run --plan`")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output")] = False,
) -> None:
    """Say what a replay would read, from Kafka or past its retention from the archive, and what its state would know.

    All rows of the range run, as counts and states need them; merchant, session, reason and sample choose whose
    outcomes are written. --reason alone replays from the first such letter to the last. Nothing is written but the file
    of --save, and no time means anything but when Kafka took a record.

    Exit codes: 0 planned; 2 nothing can be replayed so, and why.

    Examples:

      clickgoose replay plan june --from 2026-06-01 --to 2026-06-02

      clickgoose replay plan again --last 1h --merchant demo --json

      clickgoose replay plan fixed --reason internal.bug --save fixed.json

      clickgoose replay plan part --offsets 0:1000-2000 --offsets 1:900-1900 --warm all
    """
    from infra.replay_plan import planned
    from infra.settings import Settings
    from replay.plan import encode_plan
    from replay.ranges import PlanRefused

    wanted = parts.Wanted(
        name,
        since,
        until,
        last,
        offsets,
        partitions,
        merchants,
        sessions,
        reasons,
        sample,
        start,
        warm,
        snapshot,
        store,
    )
    try:
        found = planned(wanted.asked(), Settings())
        if save is not None:
            save.write_bytes(encode_plan(found.plan))
    except PlanRefused as refused:
        typer.echo(str(refused), err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        typer.echo(f"cannot keep the plan in {save}: {error.strerror or error}", err=True)
        raise typer.Exit(2) from None
    if as_json:
        typer.echo(json.dumps(as_object(found)))
    else:
        _show(found)


def as_object(found: Planned) -> dict[str, Any]:
    """Return a plan and what it says of itself, for JSON."""
    from dataclasses import asdict

    from replay.plan import encode_plan

    return {
        "begins_at": found.begins_at,
        "plan": json.loads(encode_plan(found.plan)),
        "pieces": [
            {
                "partition": line.piece.partition, "first": line.piece.first, "next": line.piece.next,
                "rows": line.rows, "store": line.piece.store.value, "part": "warm" if line.warm else "range",
            }
            for line in found.lines
        ],
        "known": [asdict(one) for one in found.known],
        "lost": list(found.lost),
        "estimate": asdict(found.estimate),
    }  # fmt: skip


def _show(found: Planned) -> None:
    from infra.cli.deadletters_parts import screen, table
    from infra.replay_told import moment, span

    out = screen()
    title = f"Replay {found.plan.name}, from {moment(found.begins_at)} on"
    numbers = ("partition", "rows about")
    said = table(title, "partition", "part", "offsets", "rows about", "from", right=numbers)
    for line in found.lines:
        piece = line.piece
        part = "warm" if line.warm else "range"
        said.add_row(
            str(piece.partition), part, f"{piece.first} to {piece.next - 1}", f"{line.rows:,}", piece.store.value
        )
    out.print(said)
    state = table("The state at the beginning of the range", "what", "exact", "why")
    for one in found.known:
        state.add_row(one.what, "yes" if one.exact else "no", one.why)
    out.print(state)
    for sentence in found.lost:
        out.print(f"Cannot be replayed: {sentence}.")
    if (places := found.plan.selection.places) is not None:
        out.print(f"Only what comes of {len(places):,} records that died is written.")
    cost = found.estimate
    time = span(int(cost.seconds * 1000))
    out.print(
        f"About {cost.range_rows:,} rows after {cost.warm_rows:,} to warm up: {time} on one core, and at most "
        f"{cost.memory_bytes / 1024**3:.1f} GiB with counts in memory. --into files takes {_disk(cost.files_bytes)}."
    )


def _disk(size: int) -> str:
    return (
        f"{size / 1024**3:.1f} GiB of disk" if size >= 1024**3 / 10 else f"{max(1, round(size / 1024**2))} MiB of disk"
    )
