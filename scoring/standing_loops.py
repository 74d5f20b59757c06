"""The loop of decide, compiled: sessions in a hash table whose entries hang together in the order of their last events.

Entries lie in columns and are found by a table of their places, linear probing from the highest bits of the key. Each
knows the one that was seen before it and the one after, so that the oldest is always at hand. Places that are free hang
together by ``newer``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np

from schemas.batches import I32, I64, U8, U64

F = TypeVar("F", bound=Callable[..., Any])
TIME, COUNT, OLDEST, NEWEST, FREE, USED, WORDS = range(7)  # places in Entries.words
_ALLOW, _REVIEW, _DENY = np.uint8(0), np.uint8(1), np.uint8(2)  # of schemas.result.DECISIONS
NO_NUMBER, OVERRIDDEN, DEGRADED, NO_BATCH = 1, 2, 4, 8  # what ``ask`` says of a batch, bits
_NOTHING, _MOST_POINTS = np.float32(0), np.float32(100)
_FIRST_FACTOR, _SECOND_FACTOR = np.uint64(0x9E37_79B9_7F4A_7C15), np.uint64(0xD6E8_FEB8_6659_FD93)  # odd, of no pattern


class Entries(NamedTuple):
    """The state of a partition, for ``m`` sessions."""

    words: I64  # its time, its entries, the oldest and the newest, the first free place, places that were ever used
    session: U64  # [m]
    seen: I64  # [m]: the partition's time at the session's last event
    offset: I64  # [m]: of that event
    decision: U8  # [m]: of that event; ALLOW where the place is free
    older: I32  # [m]
    newer: I32  # [m]
    table: I32  # [a power of two]: places, -1 where none


class Rows(NamedTuple):
    """The rows of a partition, in the order of their offsets."""

    session: U64  # [n]
    time: I64  # [n]: event time
    offset: I64  # [n]
    outcome: U8  # [n, 3]: what the row is decided after each standing decision


def _kernel(function: F) -> F:
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def _part(function: F) -> F:
    return cast(F, numba.njit(error_model="numpy", inline="always")(function))


@_part
def _home(table: Any, session: Any) -> Any:
    """Return where the search for a session begins: its highest bits, one for each doubling of the table."""
    size, shift = len(table), 64
    while size > 1:
        size >>= 1
        shift -= 1
    return np.intp(session >> np.uint64(shift))


@_part
def _find(entries: Any, session: Any) -> Any:
    """Return the place in the table that names the session's entry, or the free one where it would."""
    table, mask = entries.table, len(entries.table) - 1
    at = _home(table, session)
    while table[at] >= 0 and entries.session[table[at]] != session:
        at = (at + 1) & mask
    return at


@_part
def _unhang(entries: Any, entry: Any) -> None:
    words, older, newer = entries.words, entries.older[entry], entries.newer[entry]
    if older >= 0:
        entries.newer[older] = newer
    else:
        words[OLDEST] = newer
    if newer >= 0:
        entries.older[newer] = older
    else:
        words[NEWEST] = older


@_part
def _hang(entries: Any, entry: Any) -> None:
    words = entries.words
    newest = words[NEWEST]
    entries.older[entry], entries.newer[entry] = newest, -1
    if newest >= 0:
        entries.newer[newest] = entry
    else:
        words[OLDEST] = entry
    words[NEWEST] = entry


@_part
def _leave(entries: Any, at: Any) -> None:
    """Take an entry out; what was put further on because of it moves up."""
    words, table, mask = entries.words, entries.table, len(entries.table) - 1
    entry = table[at]
    _unhang(entries, entry)
    entries.decision[entry] = _ALLOW
    entries.newer[entry] = words[FREE]
    words[FREE] = entry
    words[COUNT] -= 1
    hole = at
    while True:
        at = (at + 1) & mask
        if table[at] < 0:
            break
        home = _home(table, entries.session[table[at]])
        if ((at - home) & mask) >= ((at - hole) & mask):
            table[hole] = table[at]
            hole = at
    table[hole] = -1


@_part
def _enter(entries: Any, at: Any, session: Any) -> Any:
    """Give a session an entry, found at a free place of the table. There must be room."""
    words = entries.words
    entry = words[FREE]
    if entry >= 0:
        words[FREE] = entries.newer[entry]
    else:
        entry = words[USED]
        words[USED] += 1
    entries.session[entry] = session
    entries.table[at] = entry
    words[COUNT] += 1
    return entry


@_kernel
def ask(points: Any, rules: Any, nobody: int, policies: Any, session_id: Any, out: Any) -> int:
    """Write thresholds, what each row is decided after each standing decision, and hashes of session ids.

    ``points``: scores and what rules add, float32[n], together kept within 0 to 100 where they add anything. ``rules``:
    overriding decisions uint8[n], ``nobody`` where none, and whether rows are degraded uint8[n]. ``policies``: review,
    deny and margin float32[k, 3], and the place of each row's among them, int64[n]. ``session_id``: uint64[n, 2]; ids
    are random, nobody chooses theirs. ``out``: thresholds float32[3, n], decisions uint8[n, 3], hashes uint64[n].

    Decisions are those of ``scoring.policy.decide``. Returns NO_NUMBER, OVERRIDDEN and DEGRADED where rows are, and
    NO_BATCH, with nothing written, where columns differ in length.
    """
    score, added = points
    override, degraded = rules
    table, place = policies
    limits, outcome, session = out
    if min(len(added), len(override), len(degraded), len(place), len(session_id)) < len(score):
        return NO_BATCH
    found = 0
    for row in range(len(score)):
        total = score[row]
        if added[row] != _NOTHING:
            total = min(max(total + added[row], _NOTHING), _MOST_POINTS)
        if np.isnan(score[row]) or np.isnan(added[row]):
            found |= NO_NUMBER
        if override[row] != nobody:
            found |= OVERRIDDEN
        if degraded[row]:
            found |= DEGRADED
        review, deny, margin = table[place[row], 0], table[place[row], 1], table[place[row], 2]
        limits[0, row], limits[1, row], limits[2, row] = review, deny, margin
        for stood in range(outcome.shape[1]):
            denied = total >= (deny - margin if stood >= _DENY else deny)
            reviewed = total >= (review - margin if stood >= _REVIEW else review)
            outcome[row, stood] = _DENY if denied else (_REVIEW if reviewed else _ALLOW)
        mixed = (session_id[row, 0] * _FIRST_FACTOR + session_id[row, 1]) * _SECOND_FACTOR
        session[row] = mixed
    return found


@_kernel
def follow(entries: Any, rows: Any, first: int, end: int, idle: int, before: Any, decided: Any, changed: Any) -> int:
    """Decide rows from ``first`` to ``end`` one after the other; return how many entries came, went or moved.

    ``before`` and ``decided`` uint8[n] get the standing decision that each row finds, and its own; ``changed`` uint64
    of twice as many as these rows the sessions of those entries.
    """
    words, count = entries.words, 0
    for row in range(first, end):
        now = max(words[TIME], rows.time[row])
        words[TIME] = now
        session = rows.session[row]
        at = _find(entries, session)
        entry = entries.table[at]
        stood = _ALLOW
        if entry >= 0 and now - entries.seen[entry] < idle:
            stood = entries.decision[entry]
        decision = rows.outcome[row, stood]
        before[row], decided[row] = stood, decision
        if decision == _ALLOW:
            if entry >= 0:
                _leave(entries, at)
                changed[count] = session
                count += 1
            continue
        if entry >= 0:
            _unhang(entries, entry)
        else:
            if words[COUNT] == len(entries.session):
                oldest = entries.session[words[OLDEST]]
                changed[count] = oldest
                count += 1
                _leave(entries, _find(entries, oldest))
                at = _find(entries, session)  # places may have moved up
            entry = _enter(entries, at, session)
        _hang(entries, entry)
        entries.seen[entry], entries.offset[entry], entries.decision[entry] = now, rows.offset[row], decision
        changed[count] = session
        count += 1
    while words[COUNT] and words[TIME] - entries.seen[words[OLDEST]] >= idle:
        _leave(entries, _find(entries, entries.session[words[OLDEST]]))  # time forgets it in a copy as well
    return count


@_kernel
def fill(entries: Any, sessions: Any, seen: Any, offset: Any, decision: Any) -> None:
    """Enter different sessions, the oldest first. There must be room for all."""
    for row in range(len(sessions)):
        entry = _enter(entries, _find(entries, sessions[row]), sessions[row])
        _hang(entries, entry)
        entries.seen[entry], entries.offset[entry], entries.decision[entry] = seen[row], offset[row], decision[row]


@_kernel
def places(entries: Any, sessions: Any, out: Any) -> None:
    """Find sessions; ``out`` int32 gets the places of their entries, -1 where they have none."""
    for row in range(len(sessions)):
        out[row] = entries.table[_find(entries, sessions[row])]
