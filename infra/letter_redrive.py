"""What a redrive would send, and what it leaves out and why: settled before anything is sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

from infra.dead_letters import STANDING, DeadLetters, Filter
from infra.letter_repairs import repaired
from infra.letter_states import plan_of
from schemas.dead_letter import DeadLetter, Reason
from schemas.letter_state import LetterAddress, LetterState
from schemas.redriven import MOST_ATTEMPTS

T = TypeVar("T")
AT_ONCE: Final = 500
NOT_THERE: Final = "it is not in ClickHouse any more"
SCORED_ALREADY: Final = "its event is scored already"
REDACTED: Final = "its payload was redacted, and no recovery file repaired it"
TRIED_OUT: Final = "it was tried as often as --attempts allows"
TOO_OLD: Final = "its event is older than flow.lateness_seconds, and was not counted: it would be velocity.too_late"
ELSEWHERE: Final = "it failed in a topic that nobody redrives to"
_FIXED = """
SELECT l.topic, l.partition, l.at, l.stage, l.reason, l.payload_format, l.event_id, l.merchant, l.received, l.told,
    w.tried
FROM
(
    SELECT letter, topic, partition, "offset" AS at, stage, reason, payload_format, event_id, merchant,
        toUnixTimestamp64Milli(received_at) AS received, notEmpty(told) AS told, first_failed_at
    FROM dead_letters FINAL WHERE {where}
) AS l
INNER JOIN ({standing}) AS w ON l.letter = w.letter
WHERE w.state = 'fixed'
ORDER BY l.first_failed_at, l.topic, l.partition, l.at, l.stage LIMIT {most}
"""
_SCORED = """
SELECT DISTINCT lower(hex(event_id)), merchant FROM events
WHERE event_id IN (SELECT toFixedString(unhex(arrayJoin(%(ids)s)), 16))
"""


class Fixed(NamedTuple):
    """A letter that is fixed. ``attempts``: how often its row was tried until now; ``told``: it was counted."""

    address: LetterAddress
    reason: Reason
    payload_format: str
    event_id: str
    merchant: str
    received_at: int  # ms since the epoch
    told: bool
    attempts: int


class Sent(NamedTuple):
    """A letter that is to be sent, as a command's journal keeps it."""

    address: LetterAddress
    attempts: int


@dataclass(frozen=True, slots=True)
class Topics:
    """Where records of stages and of decisions go back to, and where scored ones belong."""

    raw: str = "events.raw"
    decided: str = "events.decisions"


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be sent. ``now`` and ``lateness_ms``: an older event that was not counted is left out."""

    now: int  # ms since the epoch
    lateness_ms: int
    attempts: int = 5
    letters: int = 100_000
    late: bool = False  # send those, too


@dataclass(slots=True)
class RedrivePlan:
    """What would be done. ``left_out``: sentences with counts; ``more``: there are fixed ones beyond the limit."""

    letters: list[Sent] = field(default_factory=list)
    destinations: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    more: bool = False


def plan_redrive(store: DeadLetters, wanted: Filter, limits: Limits, topics: Topics = Topics()) -> RedrivePlan:
    """Return what a redrive of these letters would do; nothing is changed."""
    plan = RedrivePlan()
    for state, count in plan_of(store, wanted, LetterState.REDRIVEN).stays.items():
        plan.left_out[_stays(state)] = count
    fixed = list(_fixed(store, wanted, limits.letters + 1))
    plan.more = len(fixed) > limits.letters
    for part in parts_of(fixed[: limits.letters]):
        known = _scored(store, part)
        mended = repaired(store, [one.address for one in part])
        for one in part:
            repair = mended.get(one.address)
            told = one.told and (repair is None or repair.counts_unchanged)
            why = _why_not(one._replace(told=told), limits, topics, known, repair is not None)
            if why is None:
                plan.letters.append(Sent(one.address, one.attempts))
                plan.destinations[one.address.topic] += 1
            else:
                plan.left_out[why] += 1
    return plan


def _stays(state: LetterState) -> str:
    hint = {
        LetterState.NEW: ": mark what is fixed by `clickgoose deadletters fixed`",
        LetterState.REDRIVEN: ": `clickgoose deadletters reopen` takes it back",
    }
    return f"it is {state.value}{hint.get(state, '')}"


def _why_not(
    one: Fixed, limits: Limits, topics: Topics, scored: frozenset[tuple[str, str]], mended: bool
) -> str | None:
    """Return why a letter is left out, None where it is not."""
    if one.address.topic not in (topics.raw, topics.decided):
        return ELSEWHERE
    if one.attempts >= min(limits.attempts, MOST_ATTEMPTS):
        return TRIED_OUT
    if one.payload_format == "redacted" and not mended:
        return REDACTED
    if (one.event_id, one.merchant) in scored:
        return SCORED_ALREADY
    uncounted = one.address.topic == topics.raw and not one.told
    if uncounted and not limits.late and one.received_at < limits.now - limits.lateness_ms:
        return TOO_OLD
    return None


def _fixed(store: DeadLetters, wanted: Filter, most: int) -> Iterator[Fixed]:
    sql, parameters = wanted.where()
    for row in store.execute(_FIXED.format(where=sql, standing=STANDING, most=most), parameters):
        topic, partition, offset, stage, reason, payload_format, event_id, merchant, received_at, told, tried = row
        address = LetterAddress(topic, partition, offset, stage)
        yield Fixed(address, Reason(reason), payload_format, event_id, merchant, received_at, bool(told), tried)


def _scored(store: DeadLetters, letters: Sequence[Fixed]) -> frozenset[tuple[str, str]]:
    """Return those events of letters that ClickHouse shows a score of, with their merchants."""
    ids = sorted({one.event_id for one in letters if one.event_id})
    rows: list[Any] = store.execute(_SCORED, {"ids": ids}) if ids else []
    return frozenset((event_id, merchant) for event_id, merchant in rows)


def parts_of(items: Iterable[T], size: int = AT_ONCE) -> Iterator[list[T]]:
    """Cut something into lists of a bounded length."""
    left = iter(items)
    while part := list(islice(left, size)):
        yield part


def address_of(letter: DeadLetter) -> LetterAddress:
    """Return a letter's address."""
    return LetterAddress(letter.topic, letter.partition, letter.offset, letter.stage)
