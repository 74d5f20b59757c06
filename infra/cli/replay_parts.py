"""What the commands of ``clickgoose replay`` share: the options that say what is replayed, and what they mean."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from infra.dead_letters import Filter
    from infra.replay_plan import Asked, Choice
    from replay.plan import Plan, Start

From = Annotated[
    str | None,
    typer.Option("--from", metavar="TIME", help="Appended at or after: 7d, 12h ago, or 2026-06-01T12:30 (UTC)"),
]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Appended before: the same; unset: up to the end")]
Last = Annotated[str | None, typer.Option(metavar="DURATION", help="The last 1h, 30m or 7d, up to the end")]
OffsetRanges = Annotated[
    list[str] | None,
    typer.Option(
        "--offsets", metavar="P:FIRST-NEXT", help="Of a partition, NEXT excluded or left out; repeat it for more"
    ),
]
Partitions = Annotated[str | None, typer.Option(help="Only these partitions, as 0,1,2")]
Merchants = Annotated[
    list[str] | None, typer.Option("--merchant", help="Write only what comes of this merchant; repeat it for more")
]
Sessions = Annotated[
    list[str] | None,
    typer.Option("--session", help="Write only what comes of this session, 32 hexadecimal digits; repeat it for more"),
]
Reasons = Annotated[
    list[str] | None,
    typer.Option(
        "--reason", help="Write only what comes of records that died of this, as internal.bug or mask.; repeat it"
    ),
]
Sample = Annotated[
    str | None,
    typer.Option(metavar="SHARE", help="Write only a share of devices, as 10% or 0.1: the same ones in every run"),
]
StartAt = Annotated[
    str,
    typer.Option("--start", help="sealed: all stages run; extracted: from normalize on; enriched: from the score on"),
]
Warm = Annotated[
    str | None,
    typer.Option(
        metavar="all|DURATION|0", help="How much before the range builds up state; unset: as far as anything looks"
    ),
]
Snapshot = Annotated[
    Path | None,
    typer.Option("--from-snapshot", metavar="DIR", help="Begin with the states of a flow, copied at rest, or of a run"),
]
StoreChoice = Annotated[
    str, typer.Option("--store", help="auto: Kafka, and below its retention the archive; kafka or archive: only that")
]

_MERCHANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # as the ingest tier takes it
_SESSION = re.compile(r"[0-9a-f]{32}")
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)(%?)")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options as they were typed."""

    name: str
    since: str | None = None
    until: str | None = None
    last: str | None = None
    offsets: Sequence[str] | None = None
    partitions: str | None = None
    merchants: Sequence[str] | None = None
    sessions: Sequence[str] | None = None
    reasons: Sequence[str] | None = None
    sample: str | None = None
    start: str = "sealed"
    warm: str | None = None
    snapshot: Path | None = None
    store: str = "auto"

    def asked(self, now_ms: int | None = None) -> Asked:
        """Return what is asked for; PlanRefused where an option cannot be meant."""
        from infra.replay_plan import Asked
        from replay.ranges import read_offsets, read_partitions

        now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        since, until = self._times(now)
        warm = self._warm()
        return Asked(
            name=self.name,
            since=since,
            until=until,
            offsets=read_offsets(self.offsets or ()),
            partitions=read_partitions(self.partitions) if self.partitions is not None else None,
            merchants=_of_form(
                self.merchants, _MERCHANT, "is no merchant: give its id, as letters, digits, '.', '_', '-'"
            ),
            sessions=_of_form(self.sessions, _SESSION, "is no session: give 32 hexadecimal digits in lower case"),
            letters=self._letters(),
            sample=_share(self.sample) if self.sample is not None else 1.0,
            start=self._start(),
            warm_ms=warm,
            warm_all=self.warm == "all",
            snapshot=self.snapshot,
            store=self._store(),
        )

    def _times(self, now: int) -> tuple[int | None, int | None]:
        from infra.cli.time_range import moment_of

        if self.offsets and (self.since or self.until or self.last):
            raise _unreadable("name --offsets or times, not both")
        if self.last and (self.since or self.until):
            raise _unreadable("--last is up to the end: use --from and --to for another range")
        if self.until and not self.since and not self.reasons:
            raise _unreadable(f"--to {self.until} has no --from: name where the range begins")
        try:
            if self.last:
                return now - _duration(self.last, "--last"), None
            return tuple(moment_of(text, now) if text else None for text in (self.since, self.until))  # type: ignore[return-value] # two of them
        except ValueError as error:
            raise _unreadable(str(error)) from None

    def _warm(self) -> int | None:
        if self.warm is None or self.warm == "all":
            return None
        return 0 if self.warm == "0" else _duration(self.warm, "--warm")

    def _letters(self) -> Filter | None:
        from infra.cli.deadletters_parts import Asked as AskedLetters

        return AskedLetters(reasons=self.reasons).checked() if self.reasons else None

    def _start(self) -> Start:
        from replay.plan import Start

        try:
            return Start(self.start)
        except ValueError:
            raise _unreadable(f"--start {self.start} is none of {', '.join(Start)}") from None

    def _store(self) -> Choice:
        from typing import get_args

        from infra.replay_plan import Choice

        for choice in get_args(Choice):
            if choice == self.store:
                return choice
        raise _unreadable(f"--store {self.store} is none of {', '.join(get_args(Choice))}")


def read_plan(path: Path) -> Plan:
    """Return a plan that ``clickgoose replay plan --save`` wrote. PlanRefused where it cannot be read."""
    from replay.namespace import BadName, check_name
    from replay.plan import PlanUnreadable, decode_plan

    try:
        plan = decode_plan(path.read_bytes())
        check_name(plan.name)
    except OSError as error:
        raise _unreadable(f"cannot read the plan {path}: {error.strerror or error}") from None
    except (PlanUnreadable, BadName) as error:
        raise _unreadable(f"{path}: {error}") from None
    return plan


def _of_form(texts: Sequence[str] | None, form: re.Pattern[str], fault: str) -> tuple[str, ...]:
    for text in texts or ():
        if not form.fullmatch(text):
            raise _unreadable(f"{text!r} {fault}")
    return tuple(dict.fromkeys(texts or ()))


def _share(text: str) -> float:
    match = _SHARE.fullmatch(text)
    share = float(match[1]) / (100 if match[2] else 1) if match else 0.0
    if not 0 < share <= 1:
        raise _unreadable(f"--sample {text} is no share of devices: give 10% or 0.1")
    return share


def _duration(text: str, option: str) -> int:
    from scoring.rules.times import duration

    found = duration(text)
    if not found:
        raise _unreadable(f"{option} {text} is no duration: give 30m, 1h or 7d")
    return found


def _unreadable(sentence: str) -> Exception:
    from replay.ranges import PlanRefused, Refusal

    return PlanRefused(Refusal.UNREADABLE, sentence)
