"""Runs of frames: where a state may be resumed, and which frames hold the whole of it there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from flows.state_frames import Frame
from flows.state_segments import Scan
from schemas.velocity import SLICES

ALL_SLICES = (1 << SLICES) - 1


class Run(NamedTuple):
    """The shortest frames in a row that hold the whole state after the last of them."""

    chain: list[Scan]  # from the oldest segment that hangs together with it to the one of its last frame
    frames: list[tuple[Scan, Frame]]

    @property
    def last(self) -> Frame:
        """Return the frame at whose offset the state may be resumed."""
        return self.frames[-1][1]


def slices_of(first: int, count: int) -> int:
    """Return slices as a set of bits; those behind the last are the first ones again."""
    wrapped = ((1 << count) - 1) << first % SLICES
    return (wrapped | wrapped >> SLICES) & ALL_SLICES


def chains_of(scans: Sequence[Scan]) -> list[list[Scan]]:
    """Return the readable ones of segments, oldest first, in groups of which each follows the one before."""
    readable = [found for found in scans if found.start is not None]
    chains = [readable[:1]] if readable else []
    for before, found in pairwise(readable):
        if found.follows(before):
            chains[-1].append(found)
        else:
            chains.append([found])
    return chains


def newest_run(scans: Sequence[Scan], watermark: int) -> Run | None:
    """Return the run of the newest frame at or below a watermark that has one, None where none has.

    Frames hang together only within a chain: where a frame has no run, no frame before it in its chain has.
    """
    for chain in reversed(chains_of(scans)):
        run = run_before([(found, frame) for found in chain for frame in found.snapshots], watermark)
        if run:
            last = next(at for at, found in enumerate(chain) if found is run[-1][0])
            return Run(chain[: last + 1], run)
    return None


def run_before(frames: Sequence[tuple[Scan, Frame]], watermark: int) -> list[tuple[Scan, Frame]]:
    """Return the shortest run that ends with the newest frame at or below the watermark; empty where there is none."""
    end = len(frames)
    while end and frames[end - 1][1].number > watermark:
        end -= 1
    covered = 0
    for at in range(end - 1, -1, -1):
        covered |= slices_of(frames[at][1].first_slice, frames[at][1].slices)
        if covered == ALL_SLICES:
            return list(frames[at:end])
    return []


def breaks_in(scans: Sequence[Scan]) -> list[str]:
    """Return a sentence for each damage, and for each place where segments do not hang together."""
    problems = [found.problem for found in scans if found.problem]
    for before, found in pairwise(scans):
        if not (before.problem or found.problem or found.follows(before)):
            problems.append(f"{found.segment.path.name}: it does not follow {before.segment.path.name}")
    return problems
