"""Which rows a diff compares: those that both sides ran, of both their selections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from infra.replay_diff_clickhouse import DiffError
from infra.replay_diff_sql import Chosen
from replay.plan import Piece, Plan, Selection, Start

HISTORY = "history"
_BEFORE_NORMALIZE = ("decode", "verify_mask")
_BEFORE_SCORE = (*_BEFORE_NORMALIZE, "normalize", "velocity", "recognize", "relate", "enrich")
_NOT_RUN: Mapping[Start, tuple[str, ...]] = {
    Start.SEALED: (),
    Start.EXTRACTED: _BEFORE_NORMALIZE,
    Start.ENRICHED: _BEFORE_SCORE,
}


@dataclass(frozen=True, slots=True)
class Side:
    """A run, or history: where it is, how far it is, and what it ran; None: whatever it is compared with.

    ``files``: the run's directory where its results in there are read, and not the database.
    """

    name: str
    database: str
    state: str = "live"
    plan: Plan | None = None
    ran_with: Mapping[str, Any] | None = None  # what the run's record says of versions
    files: Path | None = None


@dataclass(frozen=True, slots=True)
class Sides:
    """What is compared with what. ``notes``: sentences that a reader must know."""

    a: Side
    b: Side
    live_database: str  # which has the labels
    chosen: Chosen
    notes: tuple[str, ...] = field(default=())


def sides_of(a: Side, b: Side, live_database: str) -> Sides:
    """Return two sides over what both ran. DiffError where that is nothing."""
    plans = [side.plan for side in (a, b) if side.plan is not None]
    if not plans:
        raise DiffError("history cannot be compared with itself: name a run, see `clickgoose replay list`")
    if a.name == b.name:
        raise DiffError(f"A and B are both {a.name}: name two runs, or one and history")
    if len({plan.topic for plan in plans}) > 1:
        raise DiffError(f"{a.name} and {b.name} ran different topics, {plans[0].topic} and {plans[1].topic}")
    pieces = _range(plans[0])
    for plan in plans[1:]:
        pieces = common(pieces, _range(plan))
    if not pieces:
        raise DiffError(f"{a.name} and {b.name} have no offsets in common" if len(plans) > 1
                        else f"the range of {plans[0].name} is empty")  # fmt: skip
    notes: tuple[str, ...] = ()
    if len(plans) > 1 and pieces != _range(plans[0]):
        notes = (f"{a.name} and {b.name} ran different ranges: what both ran is compared",)
    selection = _both([plan.selection for plan in plans], f"{a.name} and {b.name}")
    not_run = max((_NOT_RUN[plan.start] for plan in plans), key=len)
    if not_run:
        notes += (f"dead letters of {', '.join(not_run)} were not compared: a side began behind them",)
    return Sides(a, b, live_database, replace(_chosen(plans[0].topic, pieces, selection), not_run=not_run), notes)


def _range(plan: Plan) -> tuple[Piece, ...]:
    """Return the pieces of a plan, those that follow each other as one."""
    return common(plan.range, plan.range)


def common(a: Sequence[Piece], b: Sequence[Piece]) -> tuple[Piece, ...]:
    """Return the offsets that two lists of pieces have in common, as few pieces as possible, in order."""
    found: list[Piece] = []
    for partition in sorted({one.partition for one in a} & {one.partition for one in b}):
        own_a, own_b = (sorted((x.first, x.next) for x in side if x.partition == partition) for side in (a, b))
        for first, last in sorted((max(x[0], y[0]), min(x[1], y[1])) for x in own_a for y in own_b):
            if first >= last:
                continue
            before = found[-1] if found and found[-1].partition == partition else None
            if before is not None and before.next >= first:
                found[-1] = Piece(partition, before.first, max(before.next, last))
            else:
                found.append(Piece(partition, first, last))
    return tuple(found)


def _both(selections: Sequence[Selection], who: str) -> Selection:
    """Return what all selections name; DiffError where that is nothing."""
    merchants, sessions = (
        _narrowed([getattr(one, name) for one in selections], name, who) for name in ("merchants", "sessions")
    )
    placed = [one.places for one in selections if one.places is not None]
    places = frozenset.intersection(*placed) if placed else None
    # Devices are chosen by one hash, so a smaller sample lies within a larger one.
    return Selection(merchants, sessions, places, min(one.sample for one in selections))


def _narrowed(named: Sequence[tuple[str, ...]], what: str, who: str) -> tuple[str, ...]:
    given = [set(names) for names in named if names]
    if not given:
        return ()
    found = set.intersection(*given)
    if not found:
        raise DiffError(f"{who} have no {what} in common")
    return tuple(sorted(found))


def _chosen(topic: str, pieces: tuple[Piece, ...], selection: Selection) -> Chosen:
    return Chosen(topic, pieces, selection.merchants, selection.sessions, selection.places, selection.sample)
