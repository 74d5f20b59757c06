"""The state log under damage: any byte changed, any end cut off, any moment of death."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from flows.state_log import Loaded, StateLog


class Step(NamedTuple):
    action: str  # append, rotate or mark
    by: int
    size: int


steps = st.lists(
    st.builds(Step, st.sampled_from(["append", "append", "rotate", "mark"]), st.integers(1, 9), st.integers(0, 40)),
    min_size=1,
    max_size=14,
)


def write(directory: Path, chosen: list[Step]) -> tuple[dict[int, bytes], int]:
    """Carry out the steps; return the state at every offset, and the watermark. A state is its deltas' sum."""
    states, offset, watermark = {0: b""}, 0, -1
    with StateLog(directory) as log:
        log.load()
        for step in chosen:
            if step.action == "mark":
                watermark = max(watermark, min(offset, watermark + step.by))
                log.mark(watermark)
                continue
            offset += step.by
            states[offset] = states[max(states)] + bytes([offset % 256]) * step.size
            if step.action == "append":
                log.append(states[offset][len(states[max(o for o in states if o < offset)]) :], offset)
            else:
                log.rotate(b"FULL" + states[offset], offset)
    return states, watermark


def state_of(found: Loaded) -> bytes:
    state = b""
    for delta in found.deltas:
        state = delta[4:] if delta.startswith(b"FULL") else state + delta
    return state


def check(found: Loaded, states: dict[int, bytes], watermark: int, *, damaged: bool) -> None:
    """Assert that what was loaded is exactly a state that was written, at most at the watermark."""
    if found.next_offset is None:
        assert found.deltas == []
    else:
        assert found.next_offset <= watermark
        assert state_of(found) == states[found.next_offset]
    if not damaged:
        best = max((offset for offset in states if 0 < offset <= watermark), default=None)
        assert (found.next_offset, found.problems) == (best, [])


@settings(max_examples=60, deadline=None)
@given(steps)
def test_an_undamaged_log_loads_the_newest_state_at_or_below_the_watermark(chosen: list[Step]) -> None:
    with TemporaryDirectory() as name:
        states, watermark = write(Path(name), chosen)
        for _ in range(2):  # loading changes nothing that loading again would see
            with StateLog(Path(name)) as log:
                check(log.load(), states, watermark, damaged=False)


@settings(max_examples=100, deadline=None)
@given(steps, st.data())
def test_no_changed_byte_and_no_cut_makes_a_wrong_state(chosen: list[Step], data: st.DataObject) -> None:
    with TemporaryDirectory() as name:
        directory = Path(name)
        states, watermark = write(directory, chosen)
        files = sorted(directory.glob("segment-*"))
        if not files:
            return
        path = data.draw(st.sampled_from(files))
        content = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1))
        flip = data.draw(st.integers(0, 255))
        changed = (
            bytes(content[:place])
            if flip == 0
            else bytes([*content[:place], content[place] ^ flip, *content[place + 1 :]])
        )
        path.write_bytes(changed)
        with StateLog(directory) as log:
            found = log.load()
            check(found, states, watermark, damaged=True)
            if flip:
                assert found.problems
            offset = found.next_offset or 0
            log.append(b"and on", offset + 1)
            log.mark(offset + 1)
        with StateLog(directory) as log:
            again = log.load()
        assert state_of(again) == state_of(found) + b"and on"
        assert again.problems == []


@settings(max_examples=60, deadline=None)
@given(steps, st.data())
def test_death_at_any_byte_of_the_last_write_loses_only_that_write(chosen: list[Step], data: st.DataObject) -> None:
    with TemporaryDirectory() as name:
        before, after = Path(name) / "before", Path(name) / "after"
        states, watermark = write(before, chosen)
        shutil.copytree(before, after)
        with StateLog(after) as log:
            log.load()
            resumed = log.safe_offset(1 << 60) or 0
            log.append(b"last", resumed + 5)
        path = max(after.glob("segment-*"))
        size = path.stat().st_size
        tail = len(b"last") + 32
        path.write_bytes(path.read_bytes()[: size - data.draw(st.integers(1, tail))])
        with StateLog(after) as log:
            found = log.load()
        if resumed:
            assert found.next_offset == resumed
            check(found, states, watermark, damaged=True)
        else:
            assert found.next_offset is None
