"""Real velocity sessions over a damaged state log: what is replayed has the answers that it had the first time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from unittest import mock

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.stages import velocity
from flows.stages.velocity import Velocity, VelocitySession
from flows.state_log import StateLog
from schemas.batches import Counted, Normalized
from schemas.stage import StageOut
from tests.builders import NOW, normalized
from tests.scored_parcels import scored_batch
from tests.strategies import same

PARTITION = 0
ROWS = 12
APART = 300  # offsets between two rows: scores are seen SCORE_LAG offsets later, within a few rows
BATCHES = normalized([{}] * ROWS)
SCORED = scored_batch(ROWS)


class Poll(NamedTuple):
    devices: list[int]
    events: list[int]
    minutes: int
    frame: bool  # whether an epoch ends behind it


polls = st.lists(
    st.builds(
        Poll,
        st.lists(st.integers(0, 3), min_size=ROWS, max_size=ROWS),
        st.lists(st.integers(0, 60), min_size=ROWS, max_size=ROWS),
        st.sampled_from([0, 1, 4, 50, 1_000]),
        st.sampled_from([True, True, True, False]),
    ),
    min_size=2,
    max_size=10,
)


def ids(numbers: Sequence[int]) -> np.ndarray:
    found = np.zeros((len(numbers), 16), np.uint8)
    found.view("<i8")[:, 1] = numbers
    return found


def batches_of(chosen: list[Poll]) -> list[Normalized]:
    made, now = [], NOW
    for number, poll in enumerate(chosen):
        now += 60_000 * poll.minutes
        event = replace(
            BATCHES.event,
            device_id=ids(poll.devices),
            event_id=ids(poll.events),
            occurred_at=np.full(ROWS, now, np.int64),
            received_at=np.full(ROWS, now + 10, np.int64),
        )
        offsets = APART * np.arange(number * ROWS, number * ROWS + ROWS)
        origin = replace(BATCHES.origin, offset=offsets, appended_at=event.received_at)
        made.append(replace(BATCHES, event=event, origin=origin))
    return made


def run(session: VelocitySession, batch: Normalized) -> StageOut[Counted]:
    """Apply a batch, and let the session remember a score for every row that went on."""
    out = session.apply(batch)
    rows = np.searchsorted(batch.origin.offset, out.oks.origin.offset)
    scores = SCORED.take(rows)
    session.remember(replace(scores, event=out.oks.event, origin=out.oks.origin))
    return out


@settings(max_examples=40, deadline=None)
@given(polls, st.data())
def test_a_flow_with_a_damaged_log_gives_the_answers_of_the_first_time(chosen: list[Poll], data: st.DataObject) -> None:
    stage, batches = Velocity(), batches_of(chosen)
    small = mock.patch.object(velocity, "_LEAST_BYTES", 1, create=True)  # else so small a state is whole in each frame
    with TemporaryDirectory() as name, small:
        first = []
        with StateLog(Path(name), PARTITION, segment_bytes=2_000) as log:
            log.load()
            session = stage.open(())
            for batch, poll in zip(batches, chosen, strict=True):
                first.append(run(session, batch))
                if poll.frame:
                    log.append(session.snapshot(), int(batch.origin.offset[-1]) + 1)
                    log.mark(int(batch.origin.offset[-1]) + 1)
        damage(Path(name), data)
        with StateLog(Path(name), PARTITION) as log:
            found = log.load()
            again = stage.open(found.snapshots)
        done = sum(int(batch.origin.offset[-1]) < (found.next_offset or 0) for batch in batches)
        for batch, expected in zip(batches[done:], first[done:], strict=True):
            out = run(again, batch)
            assert same(out.oks, expected.oks)
            assert (list(out.errs), out.dropped) == (list(expected.errs), expected.dropped)


def damage(directory: Path, data: st.DataObject) -> None:
    """Change a byte of one segment, cut it, or delete it."""
    paths = sorted(directory.glob("segment-*"))
    kind = data.draw(st.sampled_from(["none", "none", "changed", "cut", "missing"]))
    if not paths or kind == "none":
        return
    path = data.draw(st.sampled_from(paths))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if kind == "missing":
        path.unlink()
    elif kind == "cut":
        path.write_bytes(content[:place])
    else:
        content[place] ^= data.draw(st.integers(1, 255))
        path.write_bytes(content)
