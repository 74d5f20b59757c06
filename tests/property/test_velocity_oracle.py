"""Velocity against a naive oracle: exact, however the stream is disordered, repeated, cut or interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flows.stages.velocity import DAY, HOUR, SECOND, WINDOWS, Velocity, VelocitySession
from schemas.batches import Counted, Normalized
from schemas.dead_letter import Reason
from schemas.stage import StageOut
from tests.builders import NOW, normalized

BASE = NOW // DAY * DAY
LATENESS = 6 * HOUR
DEDUP = 24 * HOUR
IDLE = 3 * DAY


class Row(NamedTuple):
    device: int
    event: int
    at: int  # ms after BASE
    ahead: int  # by how much the browser's clock is ahead of the ingest tier's, ms
    merchant: str = "demo"


class Answer(NamedTuple):
    fate: str
    counts: tuple[int, int, int] = (0, 0, 0)
    first: int = 0
    previous: int = 0


@dataclass
class Oracle:
    """Remembers everything and looks at all of it for each row."""

    watermark: int = 0

    def __post_init__(self) -> None:
        self.ids: dict[tuple[str, int], int] = {}
        self.times: dict[int, list[int]] = {}

    def see(self, row: Row) -> Answer:
        time = BASE + row.at
        before = self.watermark // HOUR
        self.watermark = max(self.watermark, time)
        hour = self.watermark // HOUR
        if hour * HOUR // DAY != before * HOUR // DAY:
            idle_before = self.watermark // DAY * DAY - IDLE
            self.times = {device: times for device, times in self.times.items() if max(times) >= idle_before}
        known = self.ids.get((row.merchant, row.event))
        if known is not None and hour - known <= DEDUP // HOUR:
            return Answer("dropped")
        if time < self.watermark - LATENESS:
            return Answer("dead")
        self.ids[row.merchant, row.event] = hour
        times = self.times.setdefault(row.device, [])
        previous = max((other for other in times if other <= time), default=-1)
        times.append(time)
        counts = tuple(sum(time - window < other <= time for other in times) for window in WINDOWS)
        return Answer("counted", counts, min(times), previous)  # type: ignore[arg-type] - three windows


def ids_of(numbers: Sequence[int]) -> np.ndarray:
    ids = np.zeros((len(numbers), 16), np.uint8)
    ids[:, 4:12] = np.array(numbers, "<i8").view(np.uint8).reshape(-1, 8)
    return ids


TEMPLATE = normalized([{}] * 400)


def batch_of(rows: Sequence[Row], first: int = 0) -> Normalized:
    batch = TEMPLATE.take(np.arange(len(rows)))
    at = BASE + np.array([row.at for row in rows], np.int64)
    ahead = np.array([row.ahead for row in rows], np.int64)
    event = replace(
        batch.event,
        event_id=ids_of([row.event for row in rows]),
        device_id=ids_of([row.device for row in rows]),
        occurred_at=np.where(ahead > 0, at + ahead, at),
        received_at=np.where(ahead > 0, at, at + 40),
        merchant=tuple(row.merchant for row in rows),
    )
    offset = np.arange(first, first + len(rows))
    return replace(batch, event=event, origin=replace(batch.origin, offset=offset))


def answers(out: StageOut[Counted], rows: int, first: int) -> dict[int, Answer]:
    """Return the answers by offset; what is neither counted nor dead was dropped."""
    assert len(out.oks) + len(out.errs) + out.dropped == rows
    found = dict.fromkeys(range(first, first + rows), Answer("dropped"))
    for letter in out.errs:
        assert letter.reason is Reason.TOO_LATE
        found[letter.offset] = Answer("dead")
    velocity = out.oks.velocity
    names = ("events_5m", "events_1h", "events_24h", "first_seen_at", "previous_at")
    columns = [getattr(velocity, name).tolist() for name in names]
    for offset, short, medium, long, began, previous in zip(out.oks.origin.offset.tolist(), *columns, strict=True):
        found[offset] = Answer("counted", (short, medium, long), began, previous)
    return found


def apply(session: VelocitySession, rows: Sequence[Row], first: int) -> dict[int, Answer]:
    return answers(session.apply(batch_of(rows, first)), len(rows), first)


gaps = st.sampled_from([0, 0, 1, 900, 20 * SECOND, 299 * SECOND, 300 * SECOND, HOUR - 1, HOUR, 5 * HOUR, DAY, 4 * DAY])
lags = st.sampled_from([0, 0, 0, 0, 1, 30 * SECOND, 300 * SECOND, HOUR, LATENESS, LATENESS + 1, DAY])


@st.composite
def streams(draw: st.DrawFn) -> list[Row]:
    """Streams of few devices and few ids: late, repeated, and from clocks in the future."""
    rows, now = [], draw(st.integers(0, DAY))
    for _ in range(draw(st.integers(1, 60))):
        now += draw(gaps)
        ahead = draw(st.sampled_from([0, 0, 0, 5_000, 400 * DAY]))
        merchant = draw(st.sampled_from(["demo", "demo", "other"]))
        at = max(0, now - draw(lags))
        rows.append(Row(draw(st.integers(0, 4)), draw(st.integers(0, 80)), at, ahead, merchant))
    return rows


def stage() -> Velocity:
    return Velocity(lateness_ms=LATENESS, dedup_ms=DEDUP, idle_ms=IDLE)


@settings(max_examples=150, deadline=None)
@given(streams(), st.data())
@example([Row(0, event, 0, 0) for event in range(300)], None)
def test_every_row_has_the_oracles_answer_however_the_stream_is_cut_and_restored(
    rows: list[Row], data: st.DataObject | None
) -> None:
    oracle = Oracle()
    expected = {offset: oracle.see(row) for offset, row in enumerate(rows)}
    session, deltas, at, found = stage().open([]), list[bytes](), 0, dict[int, Answer]()
    while at < len(rows):
        size = len(rows) if data is None else data.draw(st.integers(0, len(rows) - at))
        size = max(size, 1)
        found |= apply(session, rows[at : at + size], at)
        at += size
        step = "nothing" if data is None else data.draw(st.sampled_from(["nothing", "delta", "full", "restart"]))
        if step == "delta":
            deltas.append(session.snapshot().data)
        elif step == "full":
            deltas = [session.snapshot(whole=True).data]
        elif step == "restart":
            deltas.append(session.snapshot().data)
            session = stage().open(deltas)
    assert found == expected


@settings(max_examples=40, deadline=None)
@given(streams(), st.integers(0, 60), st.integers(0, 60))
def test_a_session_killed_after_a_snapshot_answers_the_replay_as_before(rows: list[Row], cut: int, more: int) -> None:
    session = stage().open([])
    apply(session, rows[:cut], 0)
    snapshot = session.snapshot().data
    lost = apply(session, rows[cut : cut + more], cut)
    again = stage().open([snapshot])
    assert apply(again, rows[cut : cut + more], cut) == lost


@settings(max_examples=40, deadline=None)
@given(streams(), streams())
def test_a_whole_snapshot_says_the_same_as_the_deltas(before: list[Row], after: list[Row]) -> None:
    session = stage().open([])
    apply(session, before, 0)
    delta = session.snapshot().data
    one, other = stage().open([delta]), stage().open([stage().open([delta]).snapshot(whole=True).data])
    assert apply(one, after, len(before)) == apply(other, after, len(before))


def test_long_lists_and_many_devices_have_the_oracles_answers() -> None:
    rng = np.random.default_rng(7)
    oracle, session, now, at = Oracle(), stage().open([]), 0, 0
    for turn in range(30):
        rows = []
        for _ in range(int(rng.integers(1, 400))):
            now += int(rng.integers(0, 40_000))
            device = int(rng.integers(0, 3)) if rng.random() < 0.4 else int(rng.integers(3, 3_000))
            late = int(rng.integers(0, LATENESS + HOUR)) if rng.random() < 0.1 else 0
            rows.append(Row(device, int(rng.integers(0, 100_000)), max(0, now - late), 0))
        expected = {at + row: oracle.see(event) for row, event in enumerate(rows)}
        assert apply(session, rows, at) == expected
        at += len(rows)
        if turn % 10 == 9:
            session = stage().open([session.snapshot(whole=True).data])
