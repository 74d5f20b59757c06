"""A redrive at work: blocks of letters are read, sent, and recorded as redriven, in this order, at a bounded rate.

Killed at any moment and resumed, nothing is missing and nothing counted twice: a letter is ``fixed`` until Kafka holds
its record, and a record that is sent again is of the same attempt, which the flow lets pass once.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from flows.sinks.kafka import Record
from infra.dead_letters import DeadLetters
from infra.letter_records import letters_of
from infra.letter_redrive import AT_ONCE, NOT_THERE, Sent, Topics, address_of, parts_of
from infra.letter_redrive_journal import Journal
from infra.letter_repairs import Repaired, repaired
from infra.letter_states import record_changes
from schemas.dead_letter import DeadLetter
from schemas.decision_record import RecordError, decode_record, record_key
from schemas.envelope import ENVELOPE_BYTES, ENVELOPE_MAGIC, sealed_start
from schemas.letter_state import Change, LetterAddress, LetterState
from schemas.redriven import original_of, wrap_redriven
from schemas.sealed import Header, read_header
from schemas.told import read_told

CHANGED: Final = "it was changed meanwhile"
TOO_LARGE: Final = "Kafka refuses the record: it is too large"
OTHER_LAYOUT: Final = "what was counted of it is of another build's layout: redrive it with the build that wrote it"
_SECONDS_AT_ONCE: Final = 0.5  # of the rate, in one block
_STANDS = """
SELECT topic, partition, "offset", stage, argMax(to_state, changed_at), argMax(attempts, changed_at)
FROM dead_letter_states WHERE (topic, partition, "offset", stage) IN %(addresses)s
GROUP BY topic, partition, "offset", stage
"""


class Appends(Protocol):
    """Who appends records to Kafka."""

    def append(self, records: Sequence[Record], /) -> list[int]:
        """Return the places of records that are refused for good; all others are held."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast records are sent. ``clock`` gives monotonic seconds."""

    rate: float
    clock: Callable[[], float]
    sleep: Callable[[float], None]

    @property
    def block(self) -> int:
        """Return how many letters are sent at once."""
        return max(1, min(AT_ONCE, int(self.rate * _SECONDS_AT_ONCE)))


@dataclass(slots=True)
class Outcome:
    """What became of a command's letters."""

    sent: int = 0
    before: int = 0  # by an earlier run of the command
    left: dict[str, int] = field(default_factory=dict)

    def leave(self, why: str) -> None:
        """Count a letter that is not sent."""
        self.left[why] = self.left.get(why, 0) + 1


@dataclass(frozen=True, slots=True)
class Redrive:
    """A command with all that it works with. ``on_progress`` is told how many letters are dealt with."""

    store: DeadLetters
    appender: Appends
    journal: Journal
    pace: Pace
    topics: Topics
    on_progress: Callable[[int], None] = lambda _: None

    def run(self) -> Outcome:
        """Send what is not sent yet; DestinationError and DeadLettersError where a part does not answer."""
        done = self.journal.done(self.store)
        found = Outcome(before=len(done))
        self.on_progress(found.before)
        dealt, began = 0, self.pace.clock()
        for block in parts_of((one for one in self.journal.sent if one.address not in done), self.pace.block):
            ahead = began + dealt / self.pace.rate - self.pace.clock()
            if ahead > 0:
                self.pace.sleep(ahead)
            self._send(block, found)
            dealt += len(block)
            self.on_progress(found.before + dealt)
        return found

    def _send(self, block: Sequence[Sent], found: Outcome) -> None:
        addresses = [one.address for one in block]
        stands = self._stands(addresses)
        letters, mended = letters_of(self.store, addresses), repaired(self.store, addresses)
        records, sent = list[Record](), list[Sent]()
        for one in block:
            made = self._record(one, stands, letters, mended)
            if isinstance(made, str):
                found.leave(made)
            else:
                records.append(made)
                sent.append(one)
        refused = set(self.appender.append(records))
        for _ in refused:
            found.leave(TOO_LARGE)
        held = [one for place, one in enumerate(sent) if place not in refused]
        self._note(held)
        found.sent += len(held)

    def _record(
        self,
        one: Sent,
        stands: Mapping[LetterAddress, tuple[LetterState, int]],
        letters: Mapping[LetterAddress, DeadLetter],
        mended: Mapping[LetterAddress, Repaired],
    ) -> Record | str:
        if stands.get(one.address) != (LetterState.FIXED, one.attempts):
            return CHANGED
        letter = letters.get(one.address)
        if letter is None:
            return NOT_THERE
        if letter.topic == self.topics.decided:
            return _decision(letter)
        return _event(letter, one.attempts, mended.get(one.address))

    def _stands(self, addresses: Sequence[LetterAddress]) -> dict[LetterAddress, tuple[LetterState, int]]:
        rows = self.store.execute(_STANDS, {"addresses": tuple(tuple(one) for one in addresses)})
        return {LetterAddress(*row[:4]): (LetterState(row[4]), row[5]) for row in rows}

    def _note(self, sent: Sequence[Sent]) -> None:
        journal = self.journal
        changes = [
            (
                one.address,
                Change(LetterState.FIXED, LetterState.REDRIVEN, 0, journal.who, journal.note, one.attempts + 1),
            )
            for one in sent
        ]
        if changes:
            record_changes(self.store, changes, uuid.UUID(journal.command))


def _event(letter: DeadLetter, attempt: int, repair: Repaired | None) -> Record | str:
    """Return the redriven record of an event, keyed as the ingest tier keys events."""
    payload, told = original_of(letter.payload), letter.told
    if repair is not None:
        payload = repair.payload
        told = told if repair.counts_unchanged or _names_same(letter, payload) else b""
    if told:
        try:
            read_told(told)
        except ValueError:
            return OTHER_LAYOUT
    header = header_of(payload)
    headers: list[tuple[str, Any]] = [("clickgoose.redriven", str(address_of(letter)).encode())]
    key = header.device_id if header else b""
    return Record(letter.topic, key, wrap_redriven(attempt, told, payload), headers)


def _names_same(letter: DeadLetter, payload: bytes) -> bool:
    """Tell whether a repaired record is of the event that was counted: counted again, it would be taken for a copy."""
    header = header_of(payload)
    merchant = letter.merchant or ""
    named = payload[ENVELOPE_BYTES : ENVELOPE_BYTES + payload[28]] == merchant.encode()
    return header is not None and named and header.event_id.hex() == letter.event_id


def _decision(letter: DeadLetter) -> Record | str:
    try:
        key = record_key(decode_record(letter.payload))
    except RecordError:
        key = str(address_of(letter)).encode()
    return Record(letter.topic, key, letter.payload, [])


def header_of(payload: bytes) -> Header | None:
    """Return the clear header of the event in a record, None where there is none."""
    if len(payload) < ENVELOPE_BYTES or payload[:2] != ENVELOPE_MAGIC:
        return None
    return read_header(payload[sealed_start(payload) :])
