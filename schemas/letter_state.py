"""Where a dead letter stands: new, fixed, redriven or resolved, and which change may follow which.

    new --> fixed --> redriven --> resolved
     |        |          |             |
     |        '----------|---> resolved (closed without a redrive: the note says why)
     '-------------------|---> resolved
    fixed, redriven, resolved --> new (reopened: the fix was none)

A row that fails again has a letter of its own, with one attempt more, where the redriven record lies; the older letter
becomes resolved, and its note names the newer one. So an event has one open letter at most.

A letter of which no change is known is new. The newest change says where it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

_TOPIC = r"[A-Za-z0-9._-]{1,249}"  # what Kafka takes as a name
_ADDRESS = re.compile(rf"({_TOPIC})/([0-9]{{1,10}})/([0-9]{{1,18}})(?:/([a-z0-9_.-]{{1,64}}))?")


class LetterState(StrEnum):
    """Where a letter stands."""

    NEW = "new"  # nobody has dealt with it
    FIXED = "fixed"  # the cause is gone, or a recovery file repairs it: it may be redriven
    REDRIVEN = "redriven"  # sent again to where it failed
    RESOLVED = "resolved"  # done with


NEXT: Mapping[LetterState, frozenset[LetterState]] = {
    LetterState.NEW: frozenset({LetterState.FIXED, LetterState.RESOLVED}),
    LetterState.FIXED: frozenset({LetterState.NEW, LetterState.REDRIVEN, LetterState.RESOLVED}),
    LetterState.REDRIVEN: frozenset({LetterState.NEW, LetterState.RESOLVED}),
    LetterState.RESOLVED: frozenset({LetterState.NEW}),
}
MEANINGS: Mapping[LetterState, str] = {
    LetterState.NEW: "Nobody has dealt with it.",
    LetterState.FIXED: "The cause is gone, or a recovery file repairs it: it may be redriven.",
    LetterState.REDRIVEN: "It was sent again to where it failed; `attempts` counts how often.",
    LetterState.RESOLVED: "It is done with; the note says why: its score, or the newer letter if it failed again.",
}
NOTE_CHARACTERS = 500


class IllegalChange(ValueError):
    """A change that may not follow; the text is one sentence."""


class LetterAddress(NamedTuple):
    """Which record failed, and in which stage: one letter. Without a stage, all letters of the record."""

    topic: str
    partition: int
    offset: int
    stage: str = ""

    def __str__(self) -> str:
        place = f"{self.topic}/{self.partition}/{self.offset}"
        return f"{place}/{self.stage}" if self.stage else place

    @classmethod
    def read(cls, text: str) -> LetterAddress:
        """Read ``topic/partition/offset[/stage]``. ValueError in one sentence."""
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no address of a dead letter: give topic/partition/offset[/stage]")
        return cls(found[1], int(found[2]), int(found[3]), found[4] or "")


class Change(NamedTuple):
    """One change of one letter, as the audit record has it. ``at`` is in microseconds since the epoch."""

    before: LetterState
    after: LetterState
    at: int
    who: str
    note: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a letter stands, and how often its row was tried."""

    state: LetterState = LetterState.NEW
    attempts: int = 1

    def after(self, state: LetterState) -> Standing:
        """Return where it stands after a change. IllegalChange where the change may not follow."""
        if state not in NEXT[self.state]:
            legal = " or ".join(sorted(NEXT[self.state]))
            raise IllegalChange(f"a letter that is {self.state} cannot become {state}, only {legal}")
        return Standing(state, self.attempts + (state is LetterState.REDRIVEN))


def standing_of(changes: Iterable[Change], attempts: int = 1) -> Standing:
    """Return where a letter stands after its changes, in whatever order; ``attempts``: those before any change.

    Two people may change one letter at the same moment: then the later change stands, whatever it followed.
    """
    newest = max(changes, key=lambda change: change.at, default=None)
    return Standing(attempts=attempts) if newest is None else Standing(newest.after, newest.attempts)


def changeable(to: LetterState) -> tuple[LetterState, ...]:
    """Return the states from which a letter may come to a state, in the order of their life."""
    return tuple(state for state in LetterState if to in NEXT[state])


def checked_note(note: str) -> str:
    """Return a note as it is kept. ValueError where there is none, or too much of it."""
    kept = " ".join(note.split())
    if not kept:
        raise ValueError("the note is empty: say why, for whoever looks at it later")
    if len(kept) > NOTE_CHARACTERS:
        raise ValueError(f"the note has {len(kept)} characters: {NOTE_CHARACTERS} are enough")
    return kept
