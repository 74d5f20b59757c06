"""Repaired payloads in ClickHouse: written by a recovery file, read by a redrive.

A repair stands for a letter while the letter's newest change to ``fixed`` is of the same command. So payloads are
written first, and one statement makes all of them stand; what a killed command left behind never stands, and a letter
that was reopened, or fixed by hand since, is redriven as it was received.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from infra.dead_letters import STANDING, DeadLetters
from schemas.letter_state import LetterAddress, checked_note

_AT_ONCE = 1_000  # addresses of one query
_LETTERS = """
SELECT sipHash64(toString(a.1), toInt32(a.2), toInt64(a.3), toString(a.4))
FROM (SELECT arrayJoin(%(addresses)s) AS a)
"""
_REPAIRED = """
SELECT r.topic, r.partition, r."offset", r.stage, r.payload, r.counts_unchanged, r.file, r.who,
    toUnixTimestamp64Milli(r.made_at)
FROM (SELECT letter, * FROM dead_letter_repairs WHERE letter IN ({letters})) AS r
INNER JOIN
(
    SELECT letter, argMax(command, changed_at) AS by FROM dead_letter_states
    WHERE to_state = 'fixed' AND letter IN ({letters}) GROUP BY letter
) AS s ON r.letter = s.letter AND r.command = s.by
ORDER BY r.made_at
"""
_COLUMNS = (
    "topic", "partition", "offset", "stage", "command", "who", "file", "attempts", "counts_unchanged",
    "payload_sha256", "payload",
)  # fmt: skip
_FILE_COLUMNS = ("file", "name", "author", "why", "text")
_KNOWN_FILE = "SELECT count() FROM recovery_files WHERE file = %(file)s"
_STAND = """
INSERT INTO dead_letter_states
    (topic, partition, "offset", stage, from_state, to_state, attempts, who, note, command)
SELECT topic, partition, at, stage, 'new', 'fixed',
    if(w.state = '', r.attempts, w.tried), who, %(note)s, command
FROM
(
    SELECT letter, topic, partition, "offset" AS at, stage, attempts, who, command FROM dead_letter_repairs
    WHERE command = %(command)s
) AS r
LEFT JOIN ({standing}) AS w ON r.letter = w.letter
WHERE w.state IN ('', 'new')
"""
_STANDING_NOW = "SELECT count() FROM dead_letter_states WHERE command = %(command)s"


class Repaired(NamedTuple):
    """What is redriven instead of the payload as received.

    ``counts_unchanged``: what counts look at (merchant, ids, times) is as it was received, so what was counted of the
    event before it failed still holds. ``file``: SHA-256 of the recovery file, hex. ``made_at`` in ms since the epoch.
    """

    payload: bytes
    counts_unchanged: bool
    file: str
    who: str
    made_at: int


class Repair(NamedTuple):
    """One repaired letter, to be written; ``attempts``: how often its row was tried until now."""

    address: LetterAddress
    payload: bytes
    counts_unchanged: bool
    attempts: int


class Applied(NamedTuple):
    """What one command writes under: its id, who runs it, and the recovery file that it applies."""

    command: UUID
    who: str
    file: str  # SHA-256, hex


class FileText(NamedTuple):
    """A recovery file as it is kept."""

    file: str  # SHA-256, hex
    name: str
    author: str
    why: str
    text: str


def repaired(client: DeadLetters, addresses: Sequence[LetterAddress]) -> dict[LetterAddress, Repaired]:
    """Return the repaired payloads that stand, of those letters that have one. Each address needs its stage."""
    found: dict[LetterAddress, Repaired] = {}
    query = _REPAIRED.format(letters=_LETTERS)
    for part in _parts(addresses):
        rows = client.execute(query, {"addresses": [tuple(address) for address in part]}, strings_as_bytes=True)
        for topic, partition, offset, stage, payload, unchanged, file, who, made_at in rows:
            address = LetterAddress(topic.decode(), partition, offset, stage.decode())
            found[address] = Repaired(payload, bool(unchanged), file.decode(), who.decode("utf-8", "replace"), made_at)
    return found


def _parts(addresses: Sequence[LetterAddress]) -> Iterator[Sequence[LetterAddress]]:
    for at in range(0, len(addresses), _AT_ONCE):
        yield addresses[at : at + _AT_ONCE]


def write_file(store: DeadLetters, kept: FileText) -> None:
    """Keep the text of a recovery file, if it is not kept already."""
    if not store.execute(_KNOWN_FILE, {"file": kept.file})[0][0]:
        store.insert("recovery_files", _FILE_COLUMNS, [tuple(kept)])


def write_repairs(store: DeadLetters, applied: Applied, repairs: Sequence[Repair]) -> None:
    """Append repaired payloads. None of them stands before ``let_stand``."""
    rows = [
        (
            *repair.address, applied.command, applied.who, applied.file, repair.attempts, repair.counts_unchanged,
            hashlib.sha256(repair.payload).hexdigest(), repair.payload,
        )
        for repair in repairs
    ]  # fmt: skip
    if rows:
        store.insert("dead_letter_repairs", _COLUMNS, rows)


def let_stand(store: DeadLetters, applied: Applied, note: str) -> int:
    """Mark the letters of a command as fixed: all by one statement. Return how many were still new, and are fixed."""
    given = {"command": applied.command, "note": checked_note(note)}
    store.execute(_STAND.format(standing=STANDING), given)
    return int(store.execute(_STANDING_NOW, given)[0][0])
