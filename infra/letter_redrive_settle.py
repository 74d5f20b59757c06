"""What became of redriven letters: those whose event has a score now are resolved, and those that failed again.

A letter whose event failed again is resolved, too: the newer letter, which its note names, stands for the event. So an
event has one open letter at most, and the chain from the first to the last can be followed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from infra.dead_letters import DeadLetters
from infra.letter_redrive import parts_of
from infra.letter_redrive_journal import Journal
from infra.letter_states import record_changes
from schemas.letter_state import Change, LetterAddress, LetterState

_POLL_SECONDS: Final = 0.5
_OPEN = """
SELECT s.topic, s.partition, s.at, s.stage, s.tried, l.event_id, l.merchant
FROM
(
    SELECT letter, any(topic) AS topic, any(partition) AS partition, any("offset") AS at, any(stage) AS stage,
        argMax(to_state, changed_at) AS state, argMax(attempts, changed_at) AS tried
    FROM dead_letter_states
    WHERE letter IN (SELECT letter FROM dead_letter_states WHERE command = toUUID(%(command)s))
    GROUP BY letter
) AS s
INNER JOIN (SELECT letter, event_id, merchant FROM dead_letters FINAL) AS l ON s.letter = l.letter
WHERE s.state = 'redriven'
"""
_SCORES = """
SELECT lower(hex(event_id)), merchant, score, decision, model FROM events FINAL
WHERE event_id IN (SELECT toFixedString(unhex(arrayJoin(%(ids)s)), 16))
"""
_AGAIN = """
SELECT event_id, merchant, topic, partition, "offset", stage, attempts FROM dead_letters FINAL
WHERE event_id IN %(ids)s AND attempts > 1 ORDER BY attempts
"""


@dataclass(frozen=True, slots=True)
class _Open:
    address: LetterAddress
    attempts: int
    event: tuple[str, str]  # id and merchant


@dataclass(slots=True)
class Settled:
    """How many letters are resolved because their event is scored, or failed again, and how many still wait."""

    scored: int = 0
    failed_again: int = 0
    waiting: int = 0


def settle(store: DeadLetters, journal: Journal) -> Settled:
    """Resolve what can be resolved now."""
    found = Settled()
    rows = store.execute(_OPEN, {"command": journal.command})
    for part in parts_of(_Open(LetterAddress(*row[:4]), row[4], (row[5], row[6])) for row in rows):
        scores, again = _scores(store, part), _again(store, part)
        changes = []
        for one in part:
            newer = [address for tried, address in again.get(one.event, ()) if tried >= one.attempts]
            if one.event in scores:
                found.scored += 1
                changes.append(_change(one, journal, "scored {:.2f}, {}, by {}".format(*scores[one.event])))
            elif newer:
                found.failed_again += 1
                changes.append(_change(one, journal, f"failed again: {newer[0]}"))
            else:
                found.waiting += 1
        if changes:
            record_changes(store, changes, uuid.UUID(journal.command))
    return found


def wait_settled(
    store: DeadLetters, journal: Journal, seconds: float, clock: Callable[[], float], sleep: Callable[[float], None]
) -> Settled:
    """Settle again and again until none waits, or the time is over."""
    until, whole = clock() + seconds, Settled()
    while True:
        found = settle(store, journal)
        whole.scored += found.scored
        whole.failed_again += found.failed_again
        whole.waiting = found.waiting
        if not found.waiting or clock() >= until:
            return whole
        sleep(_POLL_SECONDS)


def _change(one: _Open, journal: Journal, note: str) -> tuple[LetterAddress, Change]:
    return one.address, Change(LetterState.REDRIVEN, LetterState.RESOLVED, 0, journal.who, note, one.attempts)


def _ids(part: Sequence[_Open]) -> list[str]:
    return sorted({one.event[0] for one in part if one.event[0]})


def _scores(store: DeadLetters, part: Sequence[_Open]) -> dict[tuple[str, str], tuple[float, str, str]]:
    ids = _ids(part)
    rows: list[Any] = store.execute(_SCORES, {"ids": ids}) if ids else []
    return {(event_id, merchant): (score, decision, model) for event_id, merchant, score, decision, model in rows}


def _again(store: DeadLetters, part: Sequence[_Open]) -> dict[tuple[str, str], list[tuple[int, LetterAddress]]]:
    """Return the letters of redriven rows by event, each with how often its row was tried."""
    ids = tuple(_ids(part))
    found: dict[tuple[str, str], list[tuple[int, LetterAddress]]] = {}
    for event_id, merchant, *address, attempts in store.execute(_AGAIN, {"ids": ids}) if ids else ():
        found.setdefault((event_id, merchant), []).append((attempts, LetterAddress(*address)))
    return found
