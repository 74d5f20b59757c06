"""The state log under damage: any byte changed, any end cut off, segments missing or exchanged, any moment of death.

The states are those of a small session of the same shape as the real ones: what changed, and some slices in turn.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from flows.state_log import Loaded, StateLog
from schemas.stage import Snapshot
from schemas.velocity import SLICES
from tests.sliced_sums import SlicedSums

PARTITION = 3
SEGMENT_BYTES = 400


class Step(NamedTuple):
    action: str  # append, whole or mark
    by: int
    slices: int


steps = st.lists(
    st.builds(
        Step, st.sampled_from(["append"] * 4 + ["whole", "mark", "mark"]), st.integers(1, 9), st.integers(1, SLICES)
    ),
    min_size=1,
    max_size=24,
)


class Written(NamedTuple):
    states: dict[int, dict[int, int]]
    watermark: int

    def best(self) -> int | None:
        return max((offset for offset in self.states if offset <= self.watermark), default=None)


def write(directory: Path, chosen: list[Step]) -> Written:
    """Carry out the steps; return the state at every offset, and the watermark.

    Deletions are waited for: which files there are is then the same each time that Hypothesis gives the same steps.
    """
    states, offset, watermark, session = dict[int, dict[int, int]](), 0, -1, SlicedSums()
    with opened(directory) as log:
        for step in chosen:
            if step.action == "mark":
                watermark = max(watermark, min(offset, watermark + 2 * step.by))
                log.mark(watermark)
                log._cleaner.wait()
                continue
            for _ in range(step.by):
                session.add(offset % SLICES * 37 % SLICES, offset)
                offset += 1
            states[offset] = dict(session.sums)
            log.append(session.snapshot(step.slices, whole=step.action == "whole"), offset)
            log._cleaner.wait()
    return Written(states, watermark)


def opened(directory: Path) -> StateLog:
    log = StateLog(directory, PARTITION, segment_bytes=SEGMENT_BYTES)
    log.load()
    return log


def load(directory: Path) -> tuple[Loaded, dict[int, int]]:
    with StateLog(directory, PARTITION, segment_bytes=SEGMENT_BYTES) as log:
        found = log.load()
        return found, SlicedSums.opened(found.snapshots).sums


def check(found: Loaded, state: dict[int, int], written: Written) -> None:
    """Assert that what was loaded is exactly a state that was written, at most at the watermark."""
    if found.next_offset is None:
        assert state == {}
    else:
        assert found.next_offset <= written.watermark
        assert state == written.states[found.next_offset]


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("segment-*"))


def goes_on(directory: Path, found: Loaded, state: dict[int, int]) -> None:
    """Assert that what is written after a load with damage is loaded without any."""
    offset = (found.next_offset or 0) + 1
    with StateLog(directory, PARTITION, segment_bytes=SEGMENT_BYTES) as log:
        session = SlicedSums.opened(log.load().snapshots)
        assert session.sums == state
        session.add(9, offset)
        log.append(session.snapshot(3), offset)
        log.mark(1 << 40)
    again, after = load(directory)
    assert (again.next_offset, again.problems, after) == (offset, [], session.sums)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_an_undamaged_log_loads_the_newest_state_at_or_below_the_watermark(chosen: list[Step]) -> None:
    with TemporaryDirectory() as name:
        written = write(Path(name), chosen)
        for _ in range(2):  # loading changes nothing that loading again would see
            found, state = load(Path(name))
            check(found, state, written)
            assert (found.next_offset, found.problems) == (written.best(), [])


@settings(max_examples=100, deadline=None)
@given(steps, st.data())
def test_no_changed_byte_and_no_cut_makes_a_wrong_state(chosen: list[Step], data: st.DataObject) -> None:
    with TemporaryDirectory() as name:
        directory = Path(name)
        written = write(directory, chosen)
        if not segments(directory):
            return
        path = data.draw(st.sampled_from(segments(directory)))
        content = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1))
        flip = data.draw(st.integers(0, 255))
        if flip:
            content[place] ^= flip
        path.write_bytes(content if flip else content[:place])
        found, state = load(directory)
        check(found, state, written)
        if flip:
            assert found.problems
        goes_on(directory, found, state)


@settings(max_examples=60, deadline=None)
@given(steps, st.data())
def test_no_missing_or_exchanged_segment_makes_a_wrong_state(chosen: list[Step], data: st.DataObject) -> None:
    with TemporaryDirectory() as name:
        directory = Path(name)
        written = write(directory, chosen)
        files = segments(directory)
        if not files:
            return
        one, other = data.draw(st.sampled_from(files)), data.draw(st.sampled_from(files))
        kept = one.read_bytes()
        if one != other:
            one.write_bytes(other.read_bytes())
            other.write_bytes(kept)
        else:
            one.unlink()
        found, state = load(directory)
        check(found, state, written)
        if one != other or one not in (files[0], files[-1]):
            assert found.problems
        goes_on(directory, found, state)


@settings(max_examples=60, deadline=None)
@given(steps, st.data())
def test_exchanged_frames_make_no_wrong_state(chosen: list[Step], data: st.DataObject) -> None:
    with TemporaryDirectory() as name:
        directory = Path(name)
        written = write(directory, chosen)
        if not segments(directory):
            return
        path = data.draw(st.sampled_from(segments(directory)))
        frames = path.read_bytes().split(b"CGSL")[1:]
        order = data.draw(st.permutations(range(len(frames))))
        path.write_bytes(b"".join(b"CGSL" + frames[at] for at in order))
        found, state = load(directory)
        check(found, state, written)
        if order != sorted(order):
            assert found.problems
        goes_on(directory, found, state)


@settings(max_examples=60, deadline=None)
@given(steps, st.data())
def test_death_at_any_byte_of_the_last_write_loses_only_that_write(chosen: list[Step], data: st.DataObject) -> None:
    with TemporaryDirectory() as name:
        before, after = Path(name) / "before", Path(name) / "after"
        written = write(before, [*chosen, Step("mark", 100, 1)])
        shutil.copytree(before, after)
        with StateLog(after, PARTITION) as log:
            log.load()
            resumed = log.newest_offset
            log.append(Snapshot(b"", 0, SLICES), (resumed or 0) + 5)
        path = segments(after)[-1]
        path.write_bytes(path.read_bytes()[: -data.draw(st.integers(1, 32))])
        found, state = load(after)
        check(found, state, written)
        assert found.next_offset == resumed
