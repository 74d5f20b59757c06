"""``clickgoose deadletters show``: one letter with all that is known."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.deadletters_parts import Json, Url, address_named, moment, opened, refuse, screen, visible

if TYPE_CHECKING:
    from rich.console import Console

    from infra.dead_letters import DeadLetters
    from infra.letter_records import Record
    from schemas.keys import KeyRing
    from schemas.letter_state import LetterAddress

_EVENT = re.compile(r"[0-9a-f]{32}")
_SHOWN_TEXTS = 40


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("show")(show)


def show(
    letter: Annotated[str, typer.Argument(help="A letter by address, as `list` shows it, or an event id")],
    open_payload: Annotated[
        bool, typer.Option("--open", help="Open a sealed payload with the master keys; its texts are redacted")
    ] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show a dead letter: why, what to do, its headers, what may be seen of its payload, and what became of it.

    A letter that ClickHouse does not have is looked for among the newest records of the backup topic: rows for sinks
    are only there.

    Exit codes: 0; 2 wrong use, nobody knows the letter, or something cannot be read.

    Examples:

      clickgoose deadletters show events.raw/3/1817/verify_mask

      clickgoose deadletters show 0190f3a5c1d27b3e8f4a6d5c4b3a2918 --open --json
    """
    from infra.letter_payload import payload_view

    wanted = letter if _EVENT.fullmatch(letter) else address_named(letter)
    keys = _keys() if open_payload else None
    with opened(url) as store:
        found = _records(store, wanted)
    if not found:
        refuse(f"neither ClickHouse nor the newest records of the backup have a dead letter {letter}")
    views = [payload_view(record.letter, keys) for record in found]
    if as_json:
        told = [{**_told(record), "payload": view} for record, view in zip(found, views, strict=True)]
        typer.echo(json.dumps({"letters": told}))
        return
    console = screen()
    for place, (record, view) in enumerate(zip(found, views, strict=True)):
        if place:
            console.print()
        _print(console, record, view)


def _keys() -> KeyRing:
    from infra.keys import key_ring
    from infra.settings import Settings

    try:
        return key_ring(Settings())
    except ValueError as error:
        refuse(f"--open needs the master keys: {error}")


def _records(store: DeadLetters, wanted: LetterAddress | str) -> list[Record]:
    from infra.dead_letters import Filter
    from infra.letter_records import records_of

    meant = Filter(event_id=wanted) if isinstance(wanted, str) else Filter(addresses=(wanted,))
    return records_of(store, meant) or _from_backup(store, wanted)


def _from_backup(store: DeadLetters, wanted: LetterAddress | str) -> list[Record]:
    from infra.letter_backup import Limits, find_in_backup
    from infra.letter_records import record_of
    from infra.settings import Settings
    from infra.topic_reader import AccountError

    bootstrap = Settings().kafka.bootstrap
    if bootstrap is None:
        return []
    try:
        found = find_in_backup(bootstrap, wanted, Limits())
    except AccountError as error:
        refuse(f"ClickHouse has no such dead letter, and the backup cannot be read: {error}")
    return [record_of(store, one.letter, one.headers, (one.partition, one.offset)) for one in found]


def _told(record: Record) -> dict[str, Any]:
    from schemas.dead_letter import REASONS

    letter, facts, standing = record.letter, REASONS[record.letter.reason], record.standing
    return {
        "address": str(record.address),
        "reason": letter.reason.value,
        "stage": letter.stage,
        "detail": letter.detail,
        "fault": facts.fault,
        "disposition": facts.disposition,
        "meaning": facts.meaning,
        "what_to_do": facts.remedy,
        "cluster": record.cluster.id,
        "state": standing.state.value,
        "attempts": standing.attempts,
        "merchant": letter.merchant,
        "event_id": letter.event_id,
        "processor": letter.processor,
        "received_at": letter.received_at,
        "first_failed_at": letter.first_failed_at,
        "headers": dict(record.headers),
        "repair": _repair(record),
        "backup": None if record.backup is None else dict(zip(("partition", "offset"), record.backup, strict=True)),
        "history": [
            {
                "at_us": change.at,
                "from": change.before.value,
                "to": change.after.value,
                "who": change.who,
                "note": change.note,
                "attempts": change.attempts,
            }
            for change in record.history
        ],
        "final_score": record.score._asdict() if record.score else None,
        "other_letters": [str(address) for address in record.others],
    }


def _repair(record: Record) -> dict[str, Any] | None:
    found = record.repair
    if found is None:
        return None
    return {
        "recovery_file": found.file,
        "who": found.who,
        "made_at": found.made_at,
        "payload_bytes": len(found.payload),
    }


def _print(console: Console, record: Record, view: dict[str, Any]) -> None:
    told = _told(record)
    rows = {
        "letter": f"{told['address']}: {told['state']}, attempts: {told['attempts']}",
        "reason": f"{told['reason']} ({told['disposition']}; fault of: {told['fault']}), cluster {told['cluster']}",
        "detail": told["detail"],
        "meaning": told["meaning"],
        "what to do": told["what_to_do"],
        "event": f"{told['event_id'] or 'unknown'} of {told['merchant'] or 'an unknown merchant'}",
        "times": f"received {moment(told['received_at'])}, failed {moment(told['first_failed_at'])} UTC",
        "score": _score(record),
        **({"repair": _repair_said(told["repair"])} if told["repair"] else {}),
        **({"in backup": "events.dead_letter partition {} offset {}".format(*record.backup)} if record.backup else {}),
        **({"others": ", ".join(told["other_letters"])} if told["other_letters"] else {}),
    }
    for name, text in rows.items():
        console.print(f"{name:>10}  {visible(text)}", soft_wrap=True)
    console.print("\nheaders")
    for name, value in record.headers:
        console.print(f"  {visible(name)}: {visible(value)}", soft_wrap=True)
    console.print("\npayload")
    _print_payload(console, view)
    console.print("\nhistory")
    for change in record.history:
        console.print(
            f"  {moment(change.at // 1000)}  {change.before} -> {change.after}  {visible(change.who)}: "
            f"{visible(change.note)}",
            soft_wrap=True,
        )
    if not record.history:
        console.print("  none: it is new")


def _repair_said(repair: dict[str, Any]) -> str:
    made = f"by recovery file {repair['recovery_file']}, {repair['who']}, {moment(repair['made_at'])} UTC"
    return f"{made}; a redrive sends its {repair['payload_bytes']:,} bytes"


def _score(record: Record) -> str:
    found = record.score
    if found is None:
        return "the event was not scored" if record.letter.event_id else "unknown: no event id could be read"
    return f"{found.score:.2f}, {found.decision}, by {found.model}"


def _print_payload(console: Console, view: dict[str, Any], indent: str = "  ") -> None:
    """Print a view; of an event in nested form its texts and how much else there is."""
    for name, value in view.items():
        if name == "signals" and isinstance(value, dict):
            texts = {key: text for key, text in value.items() if isinstance(text, str)}
            console.print(f"{indent}signals: {len(value)}, of them {len(texts)} texts (--json has all)")
            _print_payload(console, dict(list(texts.items())[:_SHOWN_TEXTS]), indent + "  ")
        elif name == "activity" and isinstance(value, list):
            console.print(f"{indent}activity: {len(value)} entries (--json has them)")
        elif isinstance(value, dict):
            console.print(f"{indent}{visible(str(name))}:")
            _print_payload(console, value, indent + "  ")
        else:
            console.print(f"{indent}{visible(str(name))}: {visible(_plain(value))}", soft_wrap=True)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
