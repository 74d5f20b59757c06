"""Rows that wait in the backup topic for a destination (``sink.*``): ClickHouse cannot list what it did not take.

Their headers are read, never their values: bounded in records and time, so what was not looked at is said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from confluent_kafka import Message

from flows.redrive import redrive_group
from infra.account_backup import STORES
from infra.topic_reader import TopicReader, committed_offsets
from schemas.dead_letter import DeadLetter, decode_dead_letter
from schemas.letter_state import LetterAddress

DEAD_LETTER = "events.dead_letter"
_PREFIX = "clickgoose."
_SINK = b"sink."


class _Enough(Exception):
    """The time is over, or what was looked for is found."""


@dataclass(slots=True)
class Waiting:
    """Rows of one reason. ``waiting``: the redrive has not dealt with them; ``dealt``: it has, or left them."""

    waiting: int = 0
    dealt: int = 0
    oldest: int | None = None  # ms since the epoch, when the first of those that wait failed


@dataclass(slots=True)
class BackupCount:
    """What the newest records of the backup topic say.

    ``unread`` records lie before the first that was looked at, or came after the time was over; ``unread_open`` of
    them a redrive has not dealt with, so that some may be rows that wait.
    """

    records: int = 0
    looked_at: int = 0
    unread: int = 0
    unread_open: int = 0
    sinks: dict[str, Waiting] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "topic": DEAD_LETTER,
            "records": self.records,
            "looked_at": self.looked_at,
            "unread": self.unread,
            "unread_not_dealt_with": self.unread_open,
            "sinks": {
                name: {"waiting": one.waiting, "dealt_with": one.dealt, "oldest": one.oldest}
                for name, one in sorted(self.sinks.items())
            },
        }


class Limits(NamedTuple):
    """How much of the topic is read: the newest records, and for how long."""

    records: int | None = 50_000
    seconds: float = 5.0


def count_backup(
    bootstrap: str, limits: Limits, on_progress: Callable[[int, int], None], topic: str = DEAD_LETTER
) -> BackupCount:
    """Count rows for sinks by their headers. AccountError says what cannot be read.

    ``on_progress`` is told how many records were looked at, of how many.
    """
    ends = time.monotonic() + limits.seconds
    come = {
        reason.value: committed_offsets(bootstrap, redrive_group(reason.value.partition(".")[2], topic), topic)
        for reason in STORES
    }
    reader = TopicReader(bootstrap, topic, newest=limits.records)
    found = BackupCount()
    total = sum(reader.ends().values()) - sum(reader.first.values())
    last = dict(reader.first)  # what was looked at ends here

    def visit(messages: Sequence[Message]) -> None:
        for message in messages:
            _count(found, message, come)
            last[message.partition() or 0] = (message.offset() or 0) + 1
        on_progress(found.looked_at, total)
        if time.monotonic() > ends:
            raise _Enough

    try:
        _read(reader, visit)
        for partition, low in reader.beginnings.items():
            high = max(reader.ends()[partition], last[partition])
            _leave_out(found, (low, reader.first[partition], last[partition], high), _behind(come, partition))
    finally:
        reader.close()
    return found


def _read(reader: TopicReader, visit: Callable[[Sequence[Message]], None]) -> None:
    try:
        reader.read(visit)
    except _Enough:
        return


def _behind(come: Mapping[str, Mapping[int, int]], partition: int) -> int:
    """Return the first offset of a partition that not every redrive has dealt with."""
    return min(offsets.get(partition, 0) for offsets in come.values())


def _leave_out(found: BackupCount, span: tuple[int, int, int, int], behind: int) -> None:
    """Count what was not looked at: from the topic's beginning, and after the last record up to its end."""
    low, first, last, high = span
    found.records += high - low
    found.unread += (first - low) + (high - last)
    found.unread_open += max(0, first - max(low, behind)) + max(0, high - max(last, behind))


def _count(found: BackupCount, message: Message, come: Mapping[str, Mapping[int, int]]) -> None:
    found.looked_at += 1
    headers = _headers(message)
    reason = headers.get("reason", b"")
    if not reason.startswith(_SINK):
        return
    name = reason.decode("utf-8", "replace")
    one = found.sinks.setdefault(name, Waiting())
    if (message.offset() or 0) < come.get(name, {}).get(message.partition() or 0, 0):
        one.dealt += 1
        return
    one.waiting += 1
    failed = headers.get("first_failed_at", b"")
    if failed.isdigit():
        one.oldest = int(failed) if one.oldest is None else min(one.oldest, int(failed))


def _headers(message: Message) -> dict[str, bytes]:
    """Return our headers without their prefix."""
    found = {header[0].removeprefix(_PREFIX): header[1] for header in message.headers() or ()}
    return {name: value for name, value in found.items() if isinstance(value, bytes)}


class BackupRecord(NamedTuple):
    """A letter as the backup topic holds it, with its place there."""

    letter: DeadLetter
    headers: tuple[tuple[str, str], ...]
    partition: int
    offset: int


def find_in_backup(
    bootstrap: str, wanted: LetterAddress | str, limits: Limits, topic: str = DEAD_LETTER
) -> list[BackupRecord]:
    """Return the letters of an address or an event id (32 hex digits), newest last. AccountError."""
    ends = time.monotonic() + limits.seconds
    found: list[BackupRecord] = []

    def visit(messages: Sequence[Message]) -> None:
        found.extend(_record(message) for message in messages if _is(wanted, _headers(message)))
        if time.monotonic() > ends:
            raise _Enough

    reader = TopicReader(bootstrap, topic, newest=limits.records)
    try:
        _read(reader, visit)
    finally:
        reader.close()
    return found


def _is(wanted: LetterAddress | str, headers: Mapping[str, bytes]) -> bool:
    if isinstance(wanted, str):
        return headers.get("event_id", b"").decode("ascii", "replace") == wanted
    asked = {name: str(value) for name, value in wanted._asdict().items() if value != ""}
    return all(headers.get(name, b"").decode("utf-8", "replace") == value for name, value in asked.items())


def _record(message: Message) -> BackupRecord:
    letter = decode_dead_letter(message.value() or b"")
    headers = tuple((header[0], _text(header[1])) for header in message.headers() or ())
    return BackupRecord(letter, headers, message.partition() or 0, message.offset() or 0)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def group_named(reason: str) -> str | None:
    """Return the consumer group that redrives a reason by itself, or None."""
    return redrive_group(reason.partition(".")[2]) if reason in {one.value for one in STORES} else None
