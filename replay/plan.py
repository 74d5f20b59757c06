"""What a replay does, settled before it begins: which records, from where, what is warmed up, and what is written."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Final

import msgspec

PLAN_VERSION: Final = 1
"""Of the form that plans are kept in; another number where a field means something else."""


class PlanUnreadable(ValueError):
    """Not a plan, or one that this build does not read; the message is one sentence."""


class Start(StrEnum):
    """Where rows enter the pipeline."""

    SEALED = "sealed"  # as received, from events.raw or its archive: all stages run
    EXTRACTED = "extracted"  # decoded and verified, from events.extracted: normalize is the first
    ENRICHED = "enriched"  # counted and enriched, from events.enriched: score is the first


class Store(StrEnum):
    """Where records are read."""

    KAFKA = "kafka"
    ARCHIVE = "archive"  # raw_archive in ClickHouse, with dead_letters beside it


@dataclass(frozen=True, slots=True)
class Piece:
    """A range of offsets of one partition of ``events.raw``, the end excluded, and where it is read."""

    partition: int
    first: int
    next: int
    store: Store = Store.KAFKA

    def __len__(self) -> int:
        """Return the number of offsets; some may hold no record."""
        return self.next - self.first


@dataclass(frozen=True, slots=True)
class Selection:
    """Whose outcomes are written. All rows of the range run: counts and state need them. Empty means all."""

    merchants: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()  # hex
    places: frozenset[tuple[int, int]] | None = None  # partition and offset: of the dead letters of a reason
    sample: float = 1.0  # share of devices, chosen by a hash of their ids: the same ones in every run


@dataclass(frozen=True, slots=True)
class Plan:
    """One replay. The pieces of a partition follow each other without overlap, those to warm up before the others."""

    name: str  # of the run and of its namespace
    topic: str
    start: Start
    warm: tuple[Piece, ...]  # run, and nothing written: so the state is that of the beginning of the range
    range: tuple[Piece, ...]
    selection: Selection = Selection()
    snapshot: str = ""  # a directory of states to begin with, of a flow or of another run; empty: an empty state

    @property
    def partitions(self) -> tuple[int, ...]:
        """Return the partitions that are read."""
        return tuple(sorted({piece.partition for piece in (*self.warm, *self.range)}))


@dataclass(frozen=True, slots=True)
class _Kept:
    plan_version: int
    plan: Plan


@dataclass(frozen=True, slots=True)
class _Head:
    plan_version: int


_HEAD: Final = msgspec.json.Decoder(_Head)
_KEPT: Final = msgspec.json.Decoder(_Kept)


def encode_plan(plan: Plan) -> bytes:
    """Return a plan as JSON, the same bytes for the same plan: for a file, and for another build."""
    return msgspec.json.encode(_Kept(PLAN_VERSION, plan), order="deterministic")


def decode_plan(data: bytes) -> Plan:
    """Read a plan back. PlanUnreadable where it is none, or of an unknown version."""
    try:
        version = _HEAD.decode(data).plan_version
        if version != PLAN_VERSION:
            raise PlanUnreadable(
                f"the plan is of version {version} and this build reads version {PLAN_VERSION}: "
                "make it again with `clickgoose replay plan`"
            )
        plan = _KEPT.decode(data).plan
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PlanUnreadable(f"this is no plan of a replay: {error}") from None
    if fault := _fault(plan):
        raise PlanUnreadable(f"this is no plan of a replay: {fault}")
    return plan


def _fault(plan: Plan) -> str:
    """Return what a plan cannot mean, empty where nothing."""
    for piece in (*plan.warm, *plan.range):
        if not (piece.partition >= 0 and 0 <= piece.first < piece.next):
            return f"offsets {piece.first} to {piece.next} of partition {piece.partition} are no range"
    in_turn = sorted((*plan.warm, *plan.range), key=attrgetter("partition"))  # stable: those to warm up come first
    for partition, pieces in groupby(in_turn, attrgetter("partition")):
        if any(one.next > after.first for one, after in pairwise(pieces)):
            return f"pieces of partition {partition} overlap"
    if not plan.range:
        return "it has no range"
    return "" if 0 < plan.selection.sample <= 1 else f"{plan.selection.sample} is no share of devices"
