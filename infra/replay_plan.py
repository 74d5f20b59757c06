"""The plan of a replay, made from what is asked for and what the stores hold: nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Literal

from infra.dead_letters import Filter
from infra.replay_stores import Letters, Stores
from infra.replay_told import Estimate, Known, Line, estimate, known, lines, lost, moment
from infra.replay_warmth import WarmWanted, warmed
from infra.replay_windows import look_back, rules_in_force
from infra.settings import Settings
from infra.topics import RAW
from replay.namespace import BadName, check_name
from replay.plan import Piece, Plan, Selection, Start, Store
from replay.ranges import (
    Held,
    Offsets,
    PlanRefused,
    Refusal,
    beginning_at,
    check_partitions,
    end_at,
    range_of,
)
from scoring.rules.in_force import InForce
from scoring.storage import RegistryError

Choice = Literal["auto", "kafka", "archive"]
Ranges = Mapping[int, Offsets]
_NO_KAFKA = "no Kafka: run `clickgoose up`, or set CLICKGOOSE_KAFKA__BOOTSTRAP"
_NO_CLICKHOUSE = "no ClickHouse: run `clickgoose up`, or set CLICKGOOSE_CLICKHOUSE__URL"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a user asks for. Times are in ms since the epoch, ends are excluded.

    One of ``since``, ``offsets`` and ``letters`` says where: ``letters`` alone are replayed from the first of them to
    the last. ``warm_ms``: so much is warmed up; None: as far as anything looks back.
    """

    name: str
    since: int | None = None
    until: int | None = None  # None: up to the end
    offsets: Mapping[int, Offsets | int] = field(default_factory=dict)  # a number alone: from there to the end
    partitions: tuple[int, ...] | None = None
    merchants: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    letters: Filter | None = None
    sample: float = 1.0
    start: Start = Start.SEALED
    warm_ms: int | None = None
    warm_all: bool = False
    snapshot: Path | None = None
    store: Choice = "auto"


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and what a user should know before it is run."""

    plan: Plan
    begins_at: int  # ms: where the range begins
    lines: tuple[Line, ...]
    known: tuple[Known, ...]
    lost: tuple[str, ...]  # what cannot be replayed, a sentence each
    estimate: Estimate


def make_plan(asked: Asked, settings: Settings, rules: InForce | None = None) -> Plan:
    """Return the plan alone: what ``planned`` says."""
    return planned(asked, settings, rules).plan


def planned(asked: Asked, settings: Settings, rules: InForce | None = None, topic: str = RAW) -> Planned:
    """Plan a replay. ``rules``: those that it judges by; None: those in force now. PlanRefused says why not."""
    _check(asked)
    with _stores(asked, settings, topic) as stores:
        letters = stores.letters(asked.letters) if asked.letters is not None else None
        held = _held(asked, stores)
        wanted = _wanted(asked, held, stores, letters)
        pieces = tuple(chain.from_iterable(range_of(held[number], span) for number, span in wanted.items()))
        places = _places(letters, wanted)
        begins_at = _begins_at(asked, pieces, stores)
        look = look_back(settings, _rules(settings, rules), asked.start)
        warm_ms = None if asked.warm_all else look.ms if asked.warm_ms is None else asked.warm_ms
        ends = _ends(asked, held, wanted, begins_at, stores)
        warmth = warmed(held, ends, begins_at, stores, WarmWanted(warm_ms, asked.snapshot, asked.start))
        selection = Selection(asked.merchants, asked.sessions, places, asked.sample)
        snapshot = str(asked.snapshot.absolute()) if asked.snapshot else ""
        plan = Plan(asked.name, topic, asked.start, warmth.pieces, pieces, selection, snapshot)
        told = lines(plan, stores)
        return Planned(
            plan=plan,
            begins_at=begins_at,
            lines=told,
            known=known(plan, look, warmth, left_out=len(held) < len(stores.partitions())),
            lost=lost(told),
            estimate=estimate(told, asked.start),
        )


def check_readable(plan: Plan, settings: Settings) -> None:
    """PlanRefused where a store does not have what a plan reads, or does not answer: a plan in a file may be old."""
    read = {piece.store for piece in (*plan.warm, *plan.range)}
    kafka, clickhouse = settings.kafka.bootstrap, settings.clickhouse.url
    if Store.KAFKA in read and kafka is None:
        raise PlanRefused(Refusal.AWAY, _NO_KAFKA)
    if Store.ARCHIVE in read and clickhouse is None:
        raise PlanRefused(Refusal.AWAY, _NO_CLICKHOUSE)
    stores = Stores(
        plan.topic,
        kafka if Store.KAFKA in read else None,
        clickhouse if Store.ARCHIVE in read else None,
        start=plan.start,
    )
    with stores:
        check_partitions(plan.partitions, stores.partitions(), plan.topic)
        held = stores.held(plan.partitions)
        for piece in (*plan.warm, *plan.range):
            range_of(_of_store(held[piece.partition], piece), Offsets(piece.first, piece.next))


def _of_store(held: Held, piece: Piece) -> Held:
    """Return what the one store has that a piece is read from. Copies may be the last of the archive: it has no end."""
    if piece.store is Store.KAFKA:
        return Held(held.partition, held.kafka)
    first = held.archive.first if held.archive is not None else piece.next
    return Held(held.partition, None, Offsets(first, max(first, piece.next)))


def _check(asked: Asked) -> None:
    try:
        check_name(asked.name)
    except BadName as error:
        raise PlanRefused(Refusal.UNREADABLE, str(error)) from None
    if asked.since is None and not asked.offsets and asked.letters is None:
        raise PlanRefused(
            Refusal.UNREADABLE, "say what to replay: --from TIME, --last 1h, --offsets 0:100-200 or --reason"
        )
    if asked.since is not None and asked.until is not None and asked.since >= asked.until:
        raise PlanRefused(Refusal.BACKWARDS, "the range ends before it begins: --from must be before --to")
    if asked.start is not Start.SEALED and asked.store == "archive":
        raise PlanRefused(
            Refusal.UNREADABLE,
            f"the archive holds records as they were received: --start {asked.start} reads Kafka",
        )


def _stores(asked: Asked, settings: Settings, topic: str) -> Stores:
    bootstrap, clickhouse = settings.kafka.bootstrap, settings.clickhouse.url
    if asked.store != "archive" and bootstrap is None:
        raise PlanRefused(Refusal.AWAY, _NO_KAFKA)
    if asked.store == "archive" and clickhouse is None:
        raise PlanRefused(Refusal.AWAY, _NO_CLICKHOUSE)
    kafka = None if asked.store == "archive" else bootstrap
    return Stores(topic, kafka, clickhouse, archive=asked.store != "kafka", start=asked.start)


def _rules(settings: Settings, rules: InForce | None) -> InForce:
    try:
        return rules_in_force(settings) if rules is None else rules
    except RegistryError as error:
        raise PlanRefused(Refusal.AWAY, str(error)) from error


def _held(asked: Asked, stores: Stores) -> dict[int, Held]:
    """Return what the stores have of the partitions that are read."""
    every = stores.partitions()
    named = tuple(sorted(asked.offsets)) or asked.partitions or every
    check_partitions((*named, *(asked.partitions or ())), every, stores.topic)
    return stores.held([number for number in named if asked.partitions is None or number in asked.partitions])


def _wanted(asked: Asked, held: Mapping[int, Held], stores: Stores, letters: Letters | None) -> Ranges:
    """Return the range of each partition that has one. PlanRefused where none has, or records at its beginning went."""
    if asked.offsets:
        ends = {number: one if isinstance(one, Offsets) else Offsets(one, max(one, held[number].next))
                for number, one in asked.offsets.items() if number in held}  # fmt: skip
    else:
        since, until = asked.since, asked.until
        if since is None:
            assert letters is not None  # noqa: S101 - _check has looked
            since, until = letters.since, letters.until if until is None else until
        ends = _between(held, stores, since, until)
    found = {number: one for number, one in sorted(ends.items()) if one.next > one.first}
    if not found:
        raise PlanRefused(Refusal.EMPTY, f"no record of {stores.topic} lies in that range: nothing to replay")
    return found


def _between(held: Mapping[int, Held], stores: Stores, since: int, until: int | None) -> dict[int, Offsets]:
    begins = stores.times(held, since)
    ends = stores.times(held, until) if until is not None else {}
    found = {}
    for number, one in held.items():
        first = beginning_at(one, begins[number])
        last = end_at(one, ends[number]) if until is not None else one.next
        found[number] = Offsets(first, max(first, last))
        if first == one.first > 0 and found[number].next > first:
            _check_beginning(one, found[number], stores, since)
    return found


def _check_beginning(held: Held, wanted: Offsets, stores: Stores, since: int) -> None:
    """Refuse where a range begins at the very first record that is kept: some before it may have been of the range."""
    pieces = held.pieces(wanted)
    at = stores.appended_at(pieces[0]) if pieces else None
    if at is not None and at > since:
        raise PlanRefused(
            Refusal.GAP,
            f"offsets below {held.first} of partition {held.partition} can no longer be read, and the first that can "
            f"is of {moment(at)}: begin there",
        )


def _places(letters: Letters | None, wanted: Ranges) -> frozenset[tuple[int, int]] | None:
    """Return the letters that lie in the range."""
    if letters is None:
        return None
    nothing = Offsets(0, 0)
    inside = frozenset(
        (partition, offset)
        for partition, offset in letters.places
        if wanted.get(partition, nothing).first <= offset < wanted.get(partition, nothing).next
    )
    if not inside:
        raise PlanRefused(Refusal.EMPTY, "no dead letter of that reason lies in the range: nothing to replay")
    return inside


def _begins_at(asked: Asked, pieces: Sequence[Piece], stores: Stores) -> int:
    """Return when the range begins: by what is asked for, else by its earliest record."""
    if asked.since is not None and not asked.offsets:
        return asked.since
    first = {piece.partition: piece for piece in reversed(pieces)}
    found = [at for piece in first.values() if (at := stores.appended_at(piece)) is not None]
    if not found:
        raise PlanRefused(Refusal.EMPTY, f"no record of {stores.topic} lies in that range: nothing to replay")
    return min(found)


def _ends(asked: Asked, held: Mapping[int, Held], wanted: Ranges, begins_at: int, stores: Stores) -> dict[int, int]:
    """Return where what is warmed up ends.

    Of a range by time, partitions without a record in it are warmed up too: their devices share with others.
    """
    ends = {number: one.first for number, one in wanted.items()}
    if not asked.offsets:
        begins = stores.times(held, begins_at)
        ends |= {number: beginning_at(one, begins[number]) for number, one in held.items() if number not in wanted}
    return ends
