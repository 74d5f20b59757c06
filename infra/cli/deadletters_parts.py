"""What the commands of ``clickgoose deadletters`` share: which letters are meant, where they are, and how it ends."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from infra.dead_letters import DeadLetters, Filter
    from schemas.letter_state import LetterAddress, LetterState

_EVENT, _CLUSTER = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{4,10}")
_WIDE = 240  # characters of a line that no terminal cuts

Reasons = Annotated[
    list[str] | None, typer.Option("--reason", help="A reason, or how it begins, as mask.; repeat it for more")
]
Stages = Annotated[list[str] | None, typer.Option("--stage", help="The stage that failed; repeat it for more")]
Merchants = Annotated[list[str] | None, typer.Option("--merchant", help="Of this merchant; repeat it for more")]
Since = Annotated[str | None, typer.Option(help="Failed at or after: 7d, 12h, 30m ago, or 2026-06-01T12:30 (UTC)")]
Until = Annotated[str | None, typer.Option(help="Failed before: the same")]
States = Annotated[
    list[str] | None, typer.Option("--state", help="new, fixed, redriven or resolved; repeat it for more")
]
Event = Annotated[str, typer.Option("--event", help="Of this event id, 32 hexadecimal digits")]
ClusterId = Annotated[str, typer.Option("--cluster", help="Of this cluster, as `stats` names it")]
Text = Annotated[str, typer.Option("--text", help="With this text in the detail, in upper or lower case")]
Url = Annotated[str | None, typer.Option(help="clickhouse://user:password@host:port/database")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output")]


def refuse(sentence: str, code: int = 2) -> NoReturn:
    """End with a sentence and an exit code."""
    typer.echo(sentence, err=True)
    raise typer.Exit(code)


def now_ms() -> int:
    """Return the time in ms since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of a command that say which letters are meant."""

    reasons: Sequence[str] | None = None
    stages: Sequence[str] | None = None
    merchants: Sequence[str] | None = None
    since: str | None = None
    until: str | None = None
    states: Sequence[str] | None = None
    event: str = ""
    cluster: str = ""
    text: str = ""
    addresses: Sequence[str] | None = None
    versions: Sequence[str] | None = None

    def checked(self) -> Filter:
        """Return the filter but for the cluster, which is looked up; exit code 2 where an option cannot be meant."""
        from infra.dead_letters import Filter

        if self.event and not _EVENT.fullmatch(self.event):
            refuse(f"{self.event!r} is no event id: give 32 hexadecimal digits in lower case")
        if self.cluster and not _CLUSTER.fullmatch(self.cluster):
            refuse(f"{self.cluster!r} is no cluster: give four to ten hexadecimal digits in lower case")
        since, until = self._span()
        return Filter(
            reasons=tuple(map(_reason, self.reasons or ())),
            stages=tuple(self.stages or ()),
            merchants=tuple(self.merchants or ()),
            processors=tuple(self.versions or ()),
            states=tuple(map(state_named, self.states or ())),
            since=since,
            until=until,
            event_id=self.event,
            text=self.text,
            addresses=tuple(map(address_named, self.addresses or ())),
        )

    def filter(self, store: DeadLetters) -> Filter:
        """Return the whole filter."""
        from infra.letter_stats import cluster_named

        found = self.checked()
        return replace(found, cluster=cluster_named(store, self.cluster, now_ms())) if self.cluster else found

    def _span(self) -> tuple[int | None, int | None]:
        from infra.cli.time_range import moment_of

        try:
            since, until = (moment_of(text, now_ms()) if text else None for text in (self.since, self.until))
        except ValueError as error:
            refuse(str(error))
        if since is not None and until is not None and since >= until:
            refuse(f"--since {self.since} is not before --until {self.until}")
        return since, until


def _reason(text: str) -> str:
    from schemas.dead_letter import Reason

    known = [reason.value for reason in Reason]
    if text in known or (text.endswith(".") and any(reason.startswith(text) for reason in known)):
        return text
    near = [reason for reason in known if text and text.rstrip(".") in reason]
    hint = f": did you mean {' or '.join(near[:3])}?" if near else ": docs/dead-letters.md lists them"
    refuse(f"{text!r} is no reason, nor the beginning of one up to its dot{hint}")


def state_named(text: str) -> LetterState:
    """Return a state by its name; exit code 2 where it is none."""
    from schemas.letter_state import LetterState

    try:
        return LetterState(text)
    except ValueError:
        refuse(f"{text!r} is no state: give {', '.join(LetterState)}")


def address_named(text: str) -> LetterAddress:
    """Return an address; exit code 2 where it is none."""
    from schemas.letter_state import LetterAddress

    try:
        return LetterAddress.read(text)
    except ValueError as error:
        refuse(str(error))


@contextmanager
def opened(url: str | None) -> Iterator[DeadLetters]:
    """Give the letters of the settings' ClickHouse, or of an address; exit code 2 where they cannot be read."""
    from infra.dead_letters import DeadLetters, DeadLettersError
    from infra.settings import Settings

    where = url or Settings().clickhouse.url
    if where is None:
        refuse("no ClickHouse: run `clickgoose up`, set CLICKGOOSE_CLICKHOUSE__URL, or name --url")
    try:
        with DeadLetters(where) as store:
            yield store
    except DeadLettersError as error:
        refuse(str(error))


def screen() -> Console:
    """Return a console on standard output; where no terminal is, lines are as long as they need to be."""
    import sys

    from rich.console import Console

    width = None if sys.stdout.isatty() else _WIDE
    return Console(width=width, highlight=False, markup=False, emoji=False)


def table(title: str, *columns: str, right: Sequence[str] = ()) -> Any:
    """Return an empty table."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return made


def moment(milliseconds: int) -> str:
    """Return a time as people read it, in UTC, to the second."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(min(max(milliseconds, 0), 253_402_300_799_000) / 1000, UTC).strftime(
        "%Y-%m-%d %H:%M:%S"
    )


def nothing(wanted: Filter) -> str:
    """Return the sentence for an empty answer."""
    sinks = any(reason.startswith("sink") for reason in wanted.reasons)
    where = (
        "; rows for sinks wait in Kafka: `clickgoose deadletters stats` counts them, `show ADDRESS` shows one"
        if sinks
        else ""
    )
    return f"no dead letter {'is there' if wanted.whole else 'is of that kind'}{where}"


def progress() -> Any:
    """Return a progress bar with the time that is left, on standard error, shown where somebody looks."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def visible(text: str) -> str:
    """Return a text without what a terminal would obey: it may have come from a browser."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
