"""What the commands on lists share: their options, and how a failure is said."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from infra.list_work import ListWork
    from scoring.rules.watchlists import Mode

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Merchant = Annotated[str | None, typer.Option(help="The merchant whose list it is")]
Everyone = Annotated[bool, typer.Option("--everyone", help="A global list: it holds for every merchant")]
Kind = Annotated[
    str, typer.Option(help="What the values are, as events call it under `entities`: card, account; named lists: none")
]
ModeOption = Annotated[str | None, typer.Option(help="What a new list does: allow, deny or named")]
Reason = Annotated[str, typer.Option(help="Why, for the audit; without personal data")]
Author = Annotated[str | None, typer.Option(help="Who, for the audit; unset: the user of this machine")]
Until = Annotated[str | None, typer.Option(help="Event time at which it ends, as 2027-06-01T00:00:00Z; unset: never")]
For = Annotated[str | None, typer.Option("--for", help="The same from now on: 12h, 30d")]
_LASTING = re.compile(r"([1-9][0-9]{0,4})([mhd])\Z")
_MILLISECONDS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}


def refuse(sentence: str, code: int = 2) -> NoReturn:
    """Say why, and exit."""
    typer.echo(sentence, err=True)
    raise typer.Exit(code)


def scope_of(merchant: str | None, everyone: bool) -> str:
    """Return the merchant, empty for a global list."""
    if (merchant is None) != everyone:
        refuse("say whose list it is: --merchant <id>, or --everyone for a global one")
    if merchant == "":
        refuse("--merchant is empty: give an id, or --everyone for a global list")
    return merchant or ""


def mode_of(text: str | None) -> Mode | None:
    """Return what a list does, where it is said."""
    from scoring.rules.watchlists import LIST_MODES

    found = next((mode for mode in LIST_MODES if mode == text), None)
    if text is not None and found is None:
        refuse(f"--mode {text} is none: take one of {', '.join(LIST_MODES)}")
    return found


def end_of(until: str | None, lasting: str | None) -> str | None:
    """Return when entries end, as text; None: never."""
    if lasting is None:
        return until
    match = _LASTING.match(lasting)
    if match is None or until is not None:
        refuse(f"--for {lasting!r} is no duration: give 12h or 30d" if match is None else "give --until or --for")
    return str(time.time_ns() // 1_000_000 + int(match[1]) * _MILLISECONDS[match[2]])


def author_of(author: str | None) -> str:
    """Return who changes something."""
    import getpass

    if author is not None:
        return author
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        refuse("this user has no name: give --author")


def moment(milliseconds: int) -> str:
    """Return a time, or what stands for it."""
    from datetime import UTC, datetime

    from scoring.rules.watchlists import FOREVER, REMOVED

    if milliseconds in (FOREVER, REMOVED):
        return "never" if milliseconds == FOREVER else "not there"
    try:
        return datetime.fromtimestamp(milliseconds / 1_000, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError):
        return f"{milliseconds} ms"


@contextmanager
def working() -> Iterator[ListWork]:
    """Give the stores of the settings; what is wrong with them is said, with exit code 1 or 2."""
    from infra.list_work import ListsRefused, ListWork
    from infra.settings import Settings
    from ingest_api.errors import ApiError
    from scoring.rules.watchlist_copy import StoreAway
    from scoring.rules.watchlist_store import TruthAway

    try:
        work = ListWork(Settings())
    except ListsRefused as error:
        refuse(str(error))
    try:
        yield work
    except ListsRefused as error:
        refuse(str(error))
    except ApiError as error:
        refuse(error.detail or str(error))
    except (StoreAway, TruthAway) as error:
        refuse(f"{error}; nothing is lost: run the same command again later", 1)
    finally:
        work.close()
