"""What is warmed up before a range: so far back as it is asked for, as the stores have it, or from a snapshot on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.replay_stores import Stores
from replay.checkpoint import ReplayRefused
from replay.plan import Piece, Start
from replay.ranges import Held, Offsets, PlanRefused, Refusal, beginning_at, warm_up
from replay.warm import check_snapshot, snapshot_offsets


@dataclass(frozen=True, slots=True)
class WarmWanted:
    """How much is to be warmed up: ``ms`` before the range, None: all that there is; and what to begin with."""

    ms: int | None
    snapshot: Path | None = None
    start: Start = Start.SEALED


@dataclass(frozen=True, slots=True)
class Warmth:
    """What is warmed up."""

    pieces: tuple[Piece, ...] = ()
    ms: int = 0  # everything since so long before the range
    cut: tuple[int, ...] = ()  # partitions of which less is there than was wanted
    from_the_first: bool = False  # nothing came before what is read


def warmed(
    held: Mapping[int, Held], ends: Mapping[int, int], begins_at: int, stores: Stores, wanted: WarmWanted
) -> Warmth:
    """Return what is warmed up of partitions below their ``ends``. PlanRefused where a snapshot does not fit."""
    states = _states(wanted, ends)
    firsts = _firsts(held, ends, begins_at, stores, wanted.ms)
    pieces: dict[int, list[Piece]] = {}
    cut = []
    for number, end in sorted(ends.items()):
        first = min(firsts[number], states.get(number, end), end)
        pieces[number] = warm_up(held[number], Offsets(first, end))
        begins = pieces[number][0].first if pieces[number] else end
        if number in states and begins > states[number]:
            raise PlanRefused(Refusal.SNAPSHOT, _too_old(number, states[number], begins))
        if begins > first or (wanted.ms != 0 and begins == held[number].first > 0):
            cut.append(number)
    reach = _reach(pieces, begins_at, stores, wanted.ms, cut)
    return Warmth(
        pieces=tuple(piece for of_one in pieces.values() for piece in of_one),
        ms=reach,
        cut=tuple(cut),
        from_the_first=all((of_one[0].first if of_one else ends[number]) == 0 for number, of_one in pieces.items()),
    )


def _firsts(
    held: Mapping[int, Held], ends: Mapping[int, int], begins_at: int, stores: Stores, ms: int | None
) -> dict[int, int]:
    """Return from which offset on each partition is to be warmed up."""
    if ms is None:
        return {number: held[number].first for number in ends}
    if ms == 0:
        return dict(ends)
    times = stores.times(held, begins_at - ms)
    return {number: beginning_at(held[number], times[number]) for number in ends}


def _reach(pieces: Mapping[int, list[Piece]], begins_at: int, stores: Stores, ms: int | None, cut: list[int]) -> int:
    """Return how long before the range all partitions are warmed up, by the first records of those with the least."""
    if ms is not None and not cut:
        return ms
    firsts = [stores.appended_at(pieces[number][0]) if pieces[number] else None for number in cut or pieces]
    reached = begins_at - max((begins_at if at is None else at for at in firsts), default=begins_at)
    return max(0, reached if ms is None else min(reached, ms))


def _states(wanted: WarmWanted, ends: Mapping[int, int]) -> dict[int, int]:
    """Return the offset of each partition's state in the snapshot."""
    if wanted.snapshot is None:
        return {}
    try:
        check_snapshot(wanted.snapshot, wanted.start)
        return snapshot_offsets(wanted.snapshot, ends)
    except ReplayRefused as error:
        raise PlanRefused(Refusal.SNAPSHOT, str(error)) from error


def _too_old(partition: int, state: int, begins: int) -> str:
    return (
        f"the snapshot's state of partition {partition} is of offset {state}, and records from there to {begins} can "
        "no longer be read: take a newer snapshot"
    )
