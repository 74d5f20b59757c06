"""Rows that a destination did not take, redriven by hand to that destination alone.

They lie in the backup topic only. ClickHouse and Redis get theirs back by themselves (flows.redrive): here come those
that the flow has left, and records that Kafka refused. Writing a row twice shows nothing twice, so there is no journal.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec
from confluent_kafka import Message

from flows.redrive import redrive_group
from flows.sinks.destination import RowsRefused
from flows.sinks.kafka import OutputTopics, Record, scored_records
from infra.account_backup import STORES
from infra.dead_letters import DeadLetters, Filter
from infra.letter_redrive import address_of
from infra.letter_states import history_of, record_changes
from infra.topic_reader import TopicReader, committed_offsets
from schemas.dead_letter import DeadLetter, Reason, decode_dead_letter
from schemas.letter_state import Change, LetterState, standing_of
from schemas.result import decode_result

BACKUP: Final = "events.dead_letter"
NOT_DEALT_WITH: Final = "the flow's own redrive has not dealt with it yet"
SENT_BEFORE: Final = "it was redriven or resolved before"
UNREADABLE: Final = "its record is no dead letter of this build"
_REASON: Final = "clickgoose.reason"


class Rewrites(Protocol):
    """A destination that takes rows back."""

    def rewrite(self, letters: Sequence[DeadLetter], /) -> None:
        """Write the rows of letters; RowsRefused where they are answered with an error, else DestinationError."""
        ...


class ScoredAgain:
    """``events.scored`` as a destination of what Kafka refused."""

    def __init__(self, append: Callable[[Sequence[Record]], list[int]], topics: OutputTopics | None = None) -> None:
        self._append = append
        self._topics = topics or OutputTopics()

    def rewrite(self, letters: Sequence[DeadLetter], /) -> None:
        """Append the records of letters."""
        try:
            records = [
                record
                for letter in letters
                for record in scored_records(decode_result(letter.payload), letter.payload, self._topics)
            ]
        except msgspec.MsgspecError as error:
            raise RowsRefused("a result of the backup cannot be read") from error
        if self._append(records):
            raise RowsRefused("Kafka refuses the record: raise the topic's size limit")


def sinks_meant(wanted: Filter) -> frozenset[Reason]:
    """Return the destinations whose rows a filter names: by reason, or by the stage of an address."""
    sinks = [reason for reason in Reason if reason.startswith("sink.")]
    by_reason = {one for one in sinks for text in wanted.reasons if text in (one.value, "sink.")}
    stages = {"clickhouse": Reason.SINK_CLICKHOUSE, "redis": Reason.SINK_REDIS, "scored": Reason.SINK_KAFKA}
    return frozenset(by_reason | {stages[one.stage] for one in wanted.addresses if one.stage in stages})


@dataclass(slots=True)
class SinkRedrive:
    """One pass over the backup. Without ``destinations`` it only counts."""

    store: DeadLetters
    bootstrap: str
    wanted: Filter
    who: str
    note: str
    rate: float
    destinations: Mapping[Reason, Rewrites] = field(default_factory=dict)
    topic: str = BACKUP
    command: uuid.UUID = field(default_factory=uuid.uuid4)
    sent: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        """Read the topic up to its end; AccountError, DestinationError or DeadLettersError where a part is away."""
        reasons = sinks_meant(self.wanted)
        come = {
            reason: committed_offsets(self.bootstrap, redrive_group(reason.partition(".")[2], self.topic), self.topic)
            for reason in reasons & STORES.keys()
        }
        reader = TopicReader(self.bootstrap, self.topic)
        try:
            reader.read(lambda messages: self._visit(messages, reasons, come))
        finally:
            reader.close()

    def _visit(
        self, messages: Sequence[Message], reasons: frozenset[Reason], come: Mapping[Reason, Mapping[int, int]]
    ) -> None:
        due: dict[Reason, list[DeadLetter]] = {}
        for message in messages:
            if _reason(message) not in reasons:
                continue
            try:
                letter = decode_dead_letter(message.value() or b"")
            except msgspec.MsgspecError:
                self.left[UNREADABLE] += 1
                continue
            if not _is_meant(self.wanted, letter):
                continue
            if letter.reason in come and (message.offset() or 0) >= come[letter.reason].get(
                message.partition() or 0, 0
            ):
                self.left[NOT_DEALT_WITH] += 1
            else:
                due.setdefault(letter.reason, []).append(letter)
        for reason, letters in due.items():
            self._deal_with(reason, letters)

    def _deal_with(self, reason: Reason, letters: Sequence[DeadLetter]) -> None:
        fresh = {}
        for letter in letters:
            standing = standing_of(
                (change for _, change in history_of(self.store, address_of(letter))), letter.attempts
            )
            if standing.state in (LetterState.REDRIVEN, LetterState.RESOLVED):
                self.left[SENT_BEFORE] += 1
            else:
                fresh[address_of(letter)] = (letter, standing)
        written = [letter for letter, _ in fresh.values()]
        if self.destinations:
            written = self._written(self.destinations[reason], written)
            self._note(reason, [fresh[address_of(letter)] for letter in written])
            time.sleep(len(written) / self.rate)
        if written:
            self.sent[reason.value] += len(written)

    def _written(self, destination: Rewrites, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Write letters, halving those that are refused together; return what is held."""
        if not letters:
            return []
        try:
            destination.rewrite(letters)
        except RowsRefused as error:
            if len(letters) == 1:
                self.left[f"it is refused: {error}"] += 1
                return []
            half = len(letters) // 2
            return [*self._written(destination, letters[:half]), *self._written(destination, letters[half:])]
        return list(letters)

    def _note(self, reason: Reason, letters: Sequence[tuple[DeadLetter, object]]) -> None:
        """Record both changes, one after the other, so that the newest is the last."""
        for before, after, more in (
            (LetterState.NEW, LetterState.FIXED, 0),
            (LetterState.FIXED, LetterState.REDRIVEN, 1),
        ):
            changes = [
                (address_of(letter), Change(before, after, 0, self.who, self.note, letter.attempts + more))
                for letter, _ in letters
            ]
            if changes:
                record_changes(self.store, changes, self.command)


def _reason(message: Message) -> str:
    for header in message.headers() or ():
        if header[0] == _REASON and isinstance(header[1], bytes):
            return header[1].decode("utf-8", "replace")
    return ""


def _is_meant(wanted: Filter, letter: DeadLetter) -> bool:
    """Tell whether a letter of the backup is one that a filter means; of states and clusters it says nothing."""
    asked = (
        (wanted.stages, letter.stage in wanted.stages),
        (wanted.merchants, letter.merchant in wanted.merchants),
        (wanted.processors, letter.processor in wanted.processors),
        (wanted.event_id, letter.event_id == wanted.event_id),
        (wanted.text, wanted.text.lower() in letter.detail.lower()),
        (wanted.since, wanted.since is not None and letter.first_failed_at >= wanted.since),
        (wanted.until, wanted.until is not None and letter.first_failed_at < wanted.until),
        (wanted.addresses, any(_is_at(one, letter) for one in wanted.addresses)),
    )
    return all(met for given, met in asked if given)


def _is_at(address: tuple[str, int, int, str], letter: DeadLetter) -> bool:
    return address[:3] == (letter.topic, letter.partition, letter.offset) and address[3] in ("", letter.stage)
