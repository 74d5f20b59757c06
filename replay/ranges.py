"""From what is asked for to the pieces of a plan: pure, from what Kafka and the archive say that they hold.

Of each partition Kafka is read where it has the records, and the archive below that. A range must be whole; what is
warmed up begins where nothing is missing any more.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from replay.plan import Piece, Store


class Refusal(StrEnum):
    """Why there is no plan."""

    EMPTY = "empty"  # nothing lies in the range
    GAP = "gap"  # no store has some of its records any more
    BEYOND_END = "beyond_end"
    UNKNOWN_PARTITION = "unknown_partition"
    BACKWARDS = "backwards"  # the end is not after the beginning
    UNREADABLE = "unreadable"  # an option says nothing that can be meant
    SNAPSHOT = "snapshot"  # it does not fit the range
    AWAY = "away"  # a store does not answer


class PlanRefused(Exception):
    """Nothing can be planned; the message is one sentence for the user, and ``refusal`` says of which kind."""

    def __init__(self, refusal: Refusal, sentence: str) -> None:
        super().__init__(sentence)
        self.refusal = refusal


class Offsets(NamedTuple):
    """A range of offsets, the end excluded."""

    first: int
    next: int


@dataclass(frozen=True, slots=True)
class Held:
    """What the stores have of a partition: Kafka between its watermarks, the archive from its first record on.

    None where a store is not asked, or has nothing. The archive ends where the flow has come: what it lacks below
    that are copies of events, which the flow drops.
    """

    partition: int
    kafka: Offsets | None = None
    archive: Offsets | None = None

    @property
    def first(self) -> int:
        """Return the lowest offset that any store has."""
        return min((one.first for one in self._stores), default=0)

    @property
    def next(self) -> int:
        """Return the end: Kafka's where it is asked, as an archive may hold more of a topic that was made anew."""
        if self.kafka is not None:
            return self.kafka.next
        return self.archive.next if self.archive is not None else 0

    @property
    def empty(self) -> bool:
        """Return whether no store has anything."""
        return not any(len(range(*one)) for one in self._stores)

    @property
    def _stores(self) -> list[Offsets]:
        return [one for one in (self.archive, self.kafka) if one is not None]

    def pieces(self, wanted: Offsets) -> list[Piece]:
        """Return what is there of a range, in order; offsets that no store has are left out."""
        found = []
        edge = wanted.next if self.kafka is None else self.kafka.first
        if self.archive is not None:
            found.append(Piece(self.partition, *_within(wanted, self.archive.first, min(self.archive.next, edge)),
                               Store.ARCHIVE))  # fmt: skip
        if self.kafka is not None:
            found.append(Piece(self.partition, *_within(wanted, *self.kafka), Store.KAFKA))
        return [piece for piece in found if len(piece)]


class Times(NamedTuple):
    """Where a moment lies in a partition: the first offset at or after it by each store, None where it has none."""

    kafka: int | None = None
    archive: int | None = None


def beginning_at(held: Held, times: Times) -> int:
    """Return the first offset at or after a moment; where neither store can say, the lowest that it may be."""
    low, known = _known(held, times)
    if known is not None:
        return known
    return low if held.archive is None else min(low, held.archive.next)


def end_at(held: Held, times: Times) -> int:
    """Return the first offset at or after a moment; where neither store can say, the highest that it may be."""
    low, known = _known(held, times)
    return low if known is None else known


def _known(held: Held, times: Times) -> tuple[int, int | None]:
    """Return where Kafka begins, and the first offset at or after a moment, None where it lies just below Kafka.

    Kafka knows only of what it holds: where all of that is later, the moment lies in what the archive holds, or in
    what lies between the two.
    """
    if held.kafka is None:
        return held.next, held.next if times.archive is None else times.archive
    low = held.kafka.first
    in_kafka = held.kafka.next if times.kafka is None else times.kafka
    if in_kafka > low or held.archive is None:
        return low, in_kafka
    return low, times.archive if times.archive is not None and times.archive < low else None


def range_of(held: Held, wanted: Offsets) -> list[Piece]:
    """Return the pieces of a range. PlanRefused where it goes beyond the end, or no store has some of it."""
    if wanted.next > held.next:
        raise PlanRefused(
            Refusal.BEYOND_END,
            f"offset {wanted.next} of partition {held.partition} is beyond its end, which is {held.next}",
        )
    pieces = held.pieces(wanted)
    if missing := list(_gaps(wanted, pieces)):
        more = f" ({len(missing) - 1} more such gaps follow)" if len(missing) > 1 else ""
        raise PlanRefused(Refusal.GAP, _gap_sentence(held, missing[0]) + more)
    return pieces


def warm_up(held: Held, wanted: Offsets) -> list[Piece]:
    """Return the pieces of what is to be warmed up, from where on nothing is missing."""
    pieces = held.pieces(Offsets(min(wanted.first, wanted.next), wanted.next))
    whole: list[Piece] = []
    end = wanted.next
    for piece in reversed(pieces):
        if piece.next != end:
            break
        whole.insert(0, piece)
        end = piece.first
    return whole


def _within(wanted: Offsets, first: int, following: int) -> Offsets:
    first = max(wanted.first, first)
    return Offsets(first, max(first, min(wanted.next, following)))


def _gaps(wanted: Offsets, pieces: Sequence[Piece]) -> Iterator[Offsets]:
    at = wanted.first
    for piece in pieces:
        if piece.first > at:
            yield Offsets(at, piece.first)
        at = piece.next
    if at < wanted.next:
        yield Offsets(at, wanted.next)


def _gap_sentence(held: Held, gap: Offsets) -> str:
    span = f"offset {gap.first}" if len(range(*gap)) == 1 else f"offsets {gap.first} to {gap.next - 1}"
    kafka = "Kafka is not asked" if held.kafka is None else f"Kafka has {_said(held.kafka)}"
    archive = "the archive has none" if held.archive is None else f"the archive has {_said(held.archive)}"
    return f"{span} of partition {held.partition} can no longer be read: {kafka}, {archive}"


def _said(offsets: Offsets) -> str:
    return f"{offsets.first} to {offsets.next - 1}" if offsets.next > offsets.first else f"none below {offsets.next}"


_OFFSETS = re.compile(r"(\d{1,6}):(\d{1,18})-(\d{1,18})?")


def read_offsets(texts: Iterable[str]) -> dict[int, Offsets | int]:
    """Read ``PARTITION:FIRST-NEXT``; without NEXT up to the end, which is only the first number then."""
    found: dict[int, Offsets | int] = {}
    for text in texts:
        match = _OFFSETS.fullmatch(text)
        if match is None:
            raise PlanRefused(
                Refusal.UNREADABLE, f"{text!r} is no range of offsets: give 3:1000-2000, the end excluded, or 3:1000-"
            )
        partition, first = int(match[1]), int(match[2])
        if partition in found:
            raise PlanRefused(
                Refusal.UNREADABLE,
                f"partition {partition} is named twice: what lies between two ranges would be missing",
            )
        if match[3] is None:
            found[partition] = first
            continue
        if int(match[3]) < first:
            raise PlanRefused(Refusal.BACKWARDS, f"{text!r} ends before it begins")
        found[partition] = Offsets(first, int(match[3]))
    return found


def read_partitions(text: str) -> tuple[int, ...]:
    """Read ``0,1,2``."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) <= 6 for part in parts):
        raise PlanRefused(Refusal.UNREADABLE, f"{text!r} are no partitions: give numbers, as 0,1,2")
    return tuple(sorted({int(part) for part in parts}))


def check_partitions(wanted: Iterable[int], known: Collection[int], topic: str) -> None:
    """PlanRefused where a partition is not one of the topic's."""
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        has = f"0 to {max(known)}" if known else "none"
        raise PlanRefused(
            Refusal.UNKNOWN_PARTITION, f"{topic} has no partition {', '.join(map(str, unknown))}: it has {has}"
        )
