"""One dead letter in full: its payload, what became of it, and the score that its event got in the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from infra.dead_letters import DeadLetters, Filter
from infra.letter_clusters import Cluster, cluster_of
from infra.letter_repairs import Repaired, repaired
from infra.letter_states import history_of
from schemas.dead_letter import DeadLetter, PayloadFormat, Reason, dead_letter_headers
from schemas.letter_state import Change, LetterAddress, Standing, standing_of

_MOST = 20  # letters of one record or event
_WHOLE = """
SELECT reason, stage, detail, topic, partition, "offset", toUnixTimestamp64Milli(received_at),
    toUnixTimestamp64Milli(first_failed_at), payload, payload_format, payload_sha256, event_id, merchant, processor,
    attempts, told
FROM dead_letters FINAL WHERE {where} ORDER BY first_failed_at, stage LIMIT {most}
"""
_ONES = """
SELECT reason, stage, detail, topic, partition, "offset", toUnixTimestamp64Milli(received_at),
    toUnixTimestamp64Milli(first_failed_at), payload, payload_format, payload_sha256, event_id, merchant, processor,
    attempts, told
FROM dead_letters FINAL WHERE (topic, partition, "offset", stage) IN %(addresses)s
"""
_SCORE = """
SELECT score, decision, model, merchant, toUnixTimestamp64Milli(occurred_at) FROM events
WHERE event_id = toFixedString(unhex(%(event_id)s), 16) AND {whose} ORDER BY merchant, stands DESC LIMIT 1 BY merchant
LIMIT 1
"""
_OTHERS = """
SELECT topic, partition, "offset", stage FROM dead_letters FINAL
WHERE event_id = %(event_id)s ORDER BY first_failed_at LIMIT {most}
"""


class FinalScore(NamedTuple):
    """What the event of a letter was scored in the end."""

    score: float
    decision: str
    model: str
    merchant: str
    occurred_at: int  # ms since the epoch


@dataclass(frozen=True, slots=True)
class Record:
    """A letter with all that is known. ``backup``: its partition and offset in the backup topic, where it was read."""

    letter: DeadLetter
    headers: Sequence[tuple[str, str]]
    history: Sequence[Change]
    score: FinalScore | None
    others: Sequence[LetterAddress]
    backup: tuple[int, int] | None = None
    repair: Repaired | None = None  # that stands, whether it was redriven yet or not

    @property
    def address(self) -> LetterAddress:
        """Return where the record lies, and the stage."""
        letter = self.letter
        return LetterAddress(letter.topic, letter.partition, letter.offset, letter.stage)

    @property
    def standing(self) -> Standing:
        """Return where the letter stands."""
        return standing_of(self.history, self.letter.attempts)

    @property
    def cluster(self) -> Cluster:
        """Return its cluster of alike failures."""
        return cluster_of(self.letter.reason.value, self.letter.stage, self.letter.detail)


def records_of(store: DeadLetters, wanted: Filter) -> list[Record]:
    """Return up to 20 letters of a filter in full, oldest failure first."""
    sql, parameters = wanted.where()
    rows = store.execute(_WHOLE.format(where=sql, most=_MOST), parameters, strings_as_bytes=True)
    return [record_of(store, letter) for letter in map(_letter, rows)]


def letters_of(store: DeadLetters, addresses: Sequence[LetterAddress]) -> dict[LetterAddress, DeadLetter]:
    """Return these letters, each address with its stage, as far as they are there."""
    given = {"addresses": tuple(tuple(address) for address in addresses)}
    found = map(_letter, store.execute(_ONES, given, strings_as_bytes=True) if addresses else ())
    return {LetterAddress(one.topic, one.partition, one.offset, one.stage): one for one in found}


def record_of(
    store: DeadLetters,
    letter: DeadLetter,
    headers: Iterable[tuple[str, str]] | None = None,
    backup: tuple[int, int] | None = None,
) -> Record:
    """Return a letter with what became of it; ``headers``: those that Kafka has, else the same made anew."""
    address = LetterAddress(letter.topic, letter.partition, letter.offset, letter.stage)
    made = [(name, value.decode("utf-8", "replace")) for name, value in dead_letter_headers(letter)]
    changes = [change for _, change in history_of(store, address)]
    shown = tuple(headers or made)
    repair = repaired(store, [address]).get(address)
    return Record(letter, shown, changes, _score(store, letter), _others(store, letter, address), backup, repair)


def _letter(row: Sequence[Any]) -> DeadLetter:
    texts: list[Any] = [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in row]
    reason, stage, detail, topic, partition, offset, received_at, failed_at = texts[:8]
    payload_format, sha256, event_id, merchant, processor, attempts, _ = texts[9:]
    return DeadLetter(
        reason=Reason(reason),
        stage=stage,
        detail=detail,
        topic=topic,
        partition=partition,
        offset=offset,
        received_at=received_at,
        first_failed_at=failed_at,
        payload=row[8],
        payload_format=cast("PayloadFormat", payload_format),
        payload_sha256=sha256,
        event_id=event_id or None,
        merchant=merchant or None,
        processor=processor,
        attempts=attempts,
        told=row[-1],
    )


def _score(store: DeadLetters, letter: DeadLetter) -> FinalScore | None:
    if letter.event_id is None:
        return None
    whose = "merchant = %(merchant)s" if letter.merchant else "1"
    rows = store.execute(_SCORE.format(whose=whose), {"event_id": letter.event_id, "merchant": letter.merchant or ""})
    return FinalScore(*rows[0]) if rows else None


def _others(store: DeadLetters, letter: DeadLetter, address: LetterAddress) -> list[LetterAddress]:
    if letter.event_id is None:
        return []
    rows = store.execute(_OTHERS.format(most=_MOST), {"event_id": letter.event_id})
    return [one for one in (LetterAddress(*row) for row in rows) if one != address]
