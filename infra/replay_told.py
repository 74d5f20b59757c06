"""What a plan says of itself: what is read where, what the state will know, what is lost, and what it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from flows.stages.recognize.stage import HALF_LIVES
from flows.stages.velocity import IDLE_MS
from infra.replay_stores import Stores
from infra.replay_warmth import Warmth
from infra.replay_windows import LookBack, Looks
from replay.checkpoint import read_checkpoint
from replay.plan import Piece, Plan, Start, Store

# What a replay makes of records in a second on one core, and what it holds; docs/performance.md has the figures.
ROWS_PER_SECOND: Final = 4_000
PROCESS_BYTES: Final = 1_200 * 1024**2  # program, model, data files, queues
FILES_BYTES: Final = 500  # of a row in files; 390 of a checkout of the generator
ROW_BYTES: Final = 3_600  # of a row whose entities and device are new: shared counts 3,200, the device's state the rest
SHARED_COUNTS: Final = "counts that devices share"
_DAY_MS: Final = 86_400_000
_FROM_THE_FIRST: Final = "warmed up from the very first record"
_FROM_SNAPSHOT: Final = "as the snapshot has it, and the records since"


@dataclass(frozen=True, slots=True)
class Line:
    """One piece as a user reads it."""

    piece: Piece
    warm: bool
    rows: int  # about
    redacted: Mapping[str, int] = field(default_factory=dict)  # records that cannot be read, by why they died


@dataclass(frozen=True, slots=True)
class Known:
    """One part of the state at the beginning of the range."""

    what: str
    exact: bool
    why: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run takes, about."""

    warm_rows: int
    range_rows: int
    seconds: float
    memory_bytes: int  # at most, with counts in memory and every device and entity new
    files_bytes: int  # of the disk, where outcomes go into files


def lines(plan: Plan, stores: Stores) -> tuple[Line, ...]:
    """Return the pieces in the order in which each partition is read."""
    pieces = [(piece, True) for piece in plan.warm] + [(piece, False) for piece in plan.range]
    told = [_line(piece, stores, warm=warm) for piece, warm in pieces]
    return tuple(sorted(told, key=lambda line: (line.piece.partition, line.piece.first)))


def _line(piece: Piece, stores: Stores, *, warm: bool) -> Line:
    if piece.store is not Store.ARCHIVE:
        return Line(piece, warm, len(piece))
    archived = stores.archived(piece)
    return Line(piece, warm, min(len(piece), archived.rows), archived.redacted)


def known(plan: Plan, look: LookBack, warmth: Warmth, *, left_out: bool = False) -> tuple[Known, ...]:
    """Return what the state will know at the beginning of the range, and what of it is exact.

    ``left_out``: some partitions of the topic are not read.
    """
    parts = [part for part in look.parts if part.ms]
    if plan.start is not Start.ENRICHED:
        parts += [replace(part, what=SHARED_COUNTS, shared=True) for part in parts if part.windows]
    found = [_windowed(part, look.lateness_ms, plan, warmth, left_out=left_out) for part in parts]
    if plan.start is not Start.ENRICHED:
        found += _lives(plan, warmth)
    found.append(Known("lists, and the labels file", False, "those of now: what they were then is not kept"))
    return tuple(found)


def _windowed(part: Looks, lateness_ms: int, plan: Plan, warmth: Warmth, *, left_out: bool) -> Known:
    """Say whether all is warmed up that a window reaches into, the latest event of the range included."""
    if part.shared and left_out:
        return Known(part.what, False, "of the partitions that are read only")
    if plan.snapshot and (not part.shared or _has_counts(plan.snapshot)):
        return Known(part.what, True, _FROM_SNAPSHOT)
    if warmth.from_the_first:
        return Known(part.what, True, _FROM_THE_FIRST)
    needed = part.ms + lateness_ms
    if warmth.ms >= needed:
        return Known(part.what, True, f"{span(warmth.ms)} warmed up, {span(needed)} are looked back to")
    return Known(part.what, False, f"{span(needed)} are looked back to and {span(warmth.ms)} warmed up{_cut(warmth)}")


def _has_counts(snapshot: str) -> bool:
    checkpoint = read_checkpoint(Path(snapshot))
    return checkpoint is not None and checkpoint.counts is not None


def _lives(plan: Plan, warmth: Warmth) -> list[Known]:
    """Say what is remembered without a window, or for longer than any: only what is read can be known of it."""
    days = IDLE_MS // _DAY_MS
    half_lives = " and ".join(f"{half // _DAY_MS} d" for half in HALF_LIVES)
    named = (
        f"a device's life: first seen, events, hours, scores, places (kept until idle for {days} d)",
        f"recognition: how usual, repute, copies (half-lives of {half_lives})",
    )
    if plan.snapshot or warmth.from_the_first:
        why = _FROM_SNAPSHOT if plan.snapshot else _FROM_THE_FIRST
        return [Known(what, True, why) for what in named]
    return [Known(what, False, f"of the {span(warmth.ms)} that are warmed up only") for what in named]


def _cut(warmth: Warmth) -> str:
    if not warmth.cut:
        return ""
    named = ", ".join(map(str, warmth.cut[:8])) + (", ..." if len(warmth.cut) > 8 else "")
    return f": no store has more of partition {named}"


def lost(told: Sequence[Line]) -> tuple[str, ...]:
    """Return what lies in the range, or in what is warmed up, and cannot be read; a sentence each."""
    sentences = []
    for warm, where in ((False, "the range"), (True, "what is warmed up")):
        read = [line for line in told if line.warm is warm and line.piece.store is Store.ARCHIVE]
        redacted = Counter[str]()
        for line in read:
            redacted.update(line.redacted)
        if redacted:
            named = ", ".join(f"{count:,} {reason}" for reason, count in sorted(redacted.items()))
            sentences.append(
                f"of {where}, {named}: their payloads were redacted, so that the archive is no leak; they died before "
                "anything was counted"
            )
        missing = sum(max(0, len(line.piece) - line.rows - sum(line.redacted.values())) for line in read)
        if missing:
            sentences.append(
                f"of {where}, {missing:,} offsets are not in the archive: copies of events that the flow dropped, or "
                "rows that still wait in the backup for ClickHouse (`clickgoose deadletters stats`)"
            )
    return tuple(sentences)


def estimate(told: Sequence[Line], start: Start) -> Estimate:
    """Return what a run takes, by figures of the machine that docs/performance.md names."""
    warm, rows = (sum(line.rows for line in told if line.warm is wanted) for wanted in (True, False))
    kept = 0 if start is Start.ENRICHED else warm + rows
    seconds = (warm + rows) / ROWS_PER_SECOND
    return Estimate(warm, rows, seconds, PROCESS_BYTES + ROW_BYTES * kept, FILES_BYTES * rows)


def span(ms: int) -> str:
    """Return a duration as people read it."""
    seconds = max(0, ms) // 1000
    days, hours, minutes = seconds // 86_400, seconds // 3_600, seconds // 60
    if hours >= 72:
        return f"{days} d {hours % 24} h" if hours % 24 else f"{days} d"
    if minutes >= 120:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{minutes} min" if seconds >= 120 else f"{seconds} s"


def moment(ms: int) -> str:
    """Return a time as ``--from`` takes it, to the millisecond."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
