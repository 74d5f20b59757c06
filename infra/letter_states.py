"""Changes of where dead letters stand: counted first, then appended by one statement, and read back as history."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from infra.dead_letters import STANDING, DeadLetters, DeadLettersError, Filter
from schemas.letter_state import Change, LetterAddress, LetterState, changeable, checked_note
from schemas.personal_data import find_personal_data

_JOINED = """
SELECT l.topic AS topic, l.partition AS partition, l."offset" AS at, l.stage AS stage,
    if(w.state = '', 'new', w.state) AS stands, if(w.state = '', l.attempts, w.tried) AS tried
FROM (SELECT topic, partition, "offset", stage, attempts, letter FROM dead_letters FINAL WHERE {where}) AS l
LEFT JOIN ({standing}) AS w ON l.letter = w.letter
"""
_BY_STATE = "SELECT stands, count() FROM ({joined}) GROUP BY stands"
_APPEND = """
INSERT INTO dead_letter_states
    (topic, partition, "offset", stage, from_state, to_state, attempts, who, note, command)
SELECT topic, partition, at, stage, stands, %(to)s, tried + %(more)s, %(who)s, %(note)s, toUUID(%(command)s)
FROM ({joined}) WHERE stands IN %(from)s
"""
_APPENDED = "SELECT count() FROM dead_letter_states WHERE command = toUUID(%(command)s)"
_HISTORY = """
SELECT stage, from_state, to_state, toUnixTimestamp64Micro(changed_at) AS at, who, note, attempts
FROM dead_letter_states
WHERE topic = %(topic)s AND partition = %(partition)s AND "offset" = %(offset)s ORDER BY at
"""
_COLUMNS = ("topic", "partition", "offset", "stage", "from_state", "to_state", "attempts", "who", "note", "command")


@dataclass(frozen=True, slots=True)
class Move:
    """A change of many letters: to which state, by whom, and why."""

    to: LetterState
    who: str
    note: str

    def __post_init__(self) -> None:
        """Refuse a note that says nothing, or says too much (ValueError)."""
        checked_note(self.note)
        held = find_personal_data(self.note)
        if held is not None:
            raise ValueError(f"the note holds what passes for personal data ({held.value}): leave it out")


class Plan(NamedTuple):
    """How many letters a move would change, and how many stay because the change may not follow, by state."""

    changes: Mapping[LetterState, int]
    stays: Mapping[LetterState, int]

    @property
    def total(self) -> int:
        """Return how many would change."""
        return sum(self.changes.values())


def plan_of(store: DeadLetters, wanted: Filter, to: LetterState) -> Plan:
    """Count, without changing anything."""
    sql, parameters = wanted.where()
    joined = _JOINED.format(where=sql, standing=STANDING)
    rows = store.execute(_BY_STATE.format(joined=joined), parameters)
    found = {LetterState(state): int(count) for state, count in rows}
    legal = changeable(to)
    return Plan(
        {state: found[state] for state in LetterState if state in found and state in legal},
        {state: found[state] for state in LetterState if state in found and state not in legal},
    )


def move(store: DeadLetters, wanted: Filter, made: Move) -> int:
    """Change all letters of a filter that may change; return how many did. One statement: all, or none.

    Of two who change one letter at the same moment, the later change stands, and the record has both.
    """
    sql, parameters = wanted.where()
    command = {"command": str(uuid.uuid4())}
    more = int(made.to is LetterState.REDRIVEN)
    given = {
        **parameters,
        **command,
        "to": made.to.value,
        "more": more,
        "who": made.who,
        "note": checked_note(made.note),
        "from": tuple(state.value for state in changeable(made.to)),
    }
    store.execute(_APPEND.format(joined=_JOINED.format(where=sql, standing=STANDING)), given)
    return int(store.execute(_APPENDED, command)[0][0])


def record_changes(
    store: DeadLetters, changes: Sequence[tuple[LetterAddress, Change]], command: uuid.UUID | None = None
) -> None:
    """Append changes of single letters, as a redrive makes them. Whether they may follow, ``Standing.after`` says."""
    if any(not address.stage for address, _ in changes):
        raise DeadLettersError("a change belongs to one letter: its address needs the stage")
    command = command or uuid.uuid4()
    rows: list[tuple[Any, ...]] = [
        (*address, change.before.value, change.after.value, change.attempts, change.who, change.note, command)
        for address, change in changes
    ]
    store.insert("dead_letter_states", _COLUMNS, rows)


def history_of(store: DeadLetters, address: LetterAddress) -> list[tuple[str, Change]]:
    """Return the changes of a record's letters with their stages, oldest first."""
    rows = store.execute(_HISTORY, address._asdict())
    return [
        (stage, Change(LetterState(before), LetterState(after), at, who, note, attempts))
        for stage, before, after, at, who, note, attempts in rows
        if address.stage in ("", stage)
    ]
