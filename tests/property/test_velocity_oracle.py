"""Velocity against a naive oracle: exact, however the stream is disordered, repeated, cut or interrupted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flows.stages.device_state.layout import DAY, HOUR, SECOND
from flows.stages.device_state.state import event_counts
from flows.stages.velocity import Velocity, VelocitySession
from flows.stages.velocity_frames import unpack
from schemas.activity_statistics import activity_statistics
from schemas.batches import Counted, Normalized
from schemas.dead_letter import Reason
from schemas.stage import StageOut
from schemas.velocity import SCORE_LAG, SLICES
from tests.builders import normalized
from tests.velocity_oracle import (
    BASE,
    CODES,
    DEDUP,
    IDLE,
    LATENESS,
    SESSION_IDLE,
    Answer,
    Oracle,
    Row,
    entries_of,
    ids_of,
    log_of,
    score_of,
)

TEMPLATE = normalized([{}] * 400)


def batch_of(rows: Sequence[Row], first: int = 0) -> Normalized:
    """Return the rows as a batch; ``first`` is the offset before the first row's step."""
    batch = TEMPLATE.take(np.arange(len(rows)))
    at = BASE + np.array([row.at for row in rows], np.int64)
    ahead = np.array([row.ahead for row in rows], np.int64)
    event = replace(
        batch.event,
        event_id=ids_of([row.event for row in rows]),
        device_id=ids_of([row.device for row in rows], 1),
        session_id=ids_of([row.session for row in rows], 2),
        address=ids_of([row.address for row in rows], 3),
        occurred_at=np.where(ahead > 0, at + ahead, at),
        received_at=at + ahead + 40,
        merchant=tuple(row.merchant for row in rows),
        linked_id=tuple(row.account for row in rows),
    )
    place = np.array([row.place for row in rows], np.float32)
    place[place < 0] = np.nan
    network = replace(
        batch.network, country=np.array([row.country for row in rows], np.uint16), latitude=place, longitude=place + 1
    )
    offset = first + np.cumsum([row.step for row in rows])
    origin = replace(batch.origin, offset=offset, appended_at=np.where(ahead > 0, at, at + 50))
    return replace(
        batch, event=event, network=network, origin=origin, activity=log_of([entries_of(row) for row in rows])
    )


def answers(out: StageOut[Counted], rows: Sequence[Row], offsets: Sequence[int]) -> dict[int, Any]:
    """Return the answers by offset; what is neither counted nor dead was dropped."""
    assert len(out.oks) + len(out.errs) + out.dropped == len(rows)
    found: dict[int, Any] = dict.fromkeys(offsets, Answer("dropped"))
    for letter in out.errs:
        assert letter.reason is Reason.TOO_LATE
        found[letter.offset] = Answer("dead")
    velocity, history, session = out.oks.velocity, out.oks.history, out.oks.session
    for row, offset in enumerate(out.oks.origin.offset.tolist()):
        places = zip(history.place_at[row].tolist(), history.latitude[row].tolist(), strict=True)
        found[offset] = Answer(
            "counted",
            tuple(map(tuple, velocity.counts[row].tolist())),
            int(velocity.first_seen_at[row]),
            int(velocity.previous_at[row]),
            int(history.events[row]),
            tuple(history.hours[row].tolist()),
            tuple(score for score in history.scores[row].tolist() if not np.isnan(score)),
            tuple((at, int(where)) for at, where in places if at >= 0),
            (int(session.events[row]), int(session.started_at[row])),
            session.statistics[row].tobytes(),  # type: ignore[arg-type] - compared in ``told``
        )
    return found


def told(expected: Answer) -> Answer:
    """Return an expected answer with the statistics of its log, as bytes."""
    if expected.fate != "counted":
        return expected
    statistics = np.ascontiguousarray(activity_statistics(log_of([expected.log])).table.T)
    return expected._replace(log=statistics[0].tobytes())  # type: ignore[arg-type] - as above


@dataclass
class Driver:
    """Feeds a session as the flow does: every batch's scores go back to it before the next batch."""

    session: VelocitySession
    offset: int = -1

    def apply(self, rows: Sequence[Row]) -> dict[int, Any]:
        batch = batch_of(rows, self.offset)
        self.offset = int(batch.origin.offset[-1])
        out = self.session.apply(batch)
        offsets = out.oks.origin.offset
        scores = np.array([score_of(offset) for offset in offsets.tolist()], np.float32)
        scored: Any = ScoredRows(out.oks.event, out.oks.origin, SimpleNamespace(score=scores))
        self.session.remember(scored)
        return answers(out, rows, batch.origin.offset.tolist())


class ScoredRows(NamedTuple):
    event: Any
    origin: Any
    score: Any

    def __len__(self) -> int:
        return len(self.event)


gaps = st.sampled_from([0, 0, 1, 900, 20 * SECOND, 299 * SECOND, 300 * SECOND, HOUR - 1, HOUR, 5 * HOUR, DAY, 4 * DAY])
lags = st.sampled_from([0, 0, 0, 0, 1, 30 * SECOND, 300 * SECOND, HOUR, LATENESS, LATENESS + 1, DAY])
entries = st.tuples(st.sampled_from(CODES), st.floats(0, 1_000, width=32))


@st.composite
def streams(draw: st.DrawFn) -> list[Row]:
    """Streams of few devices and few values: late, repeated, and from clocks in the future."""
    rows, now = [], draw(st.integers(0, DAY))
    for _ in range(draw(st.integers(1, 60))):
        now += draw(gaps)
        rows.append(
            Row(
                device=draw(st.integers(0, 4)),
                event=draw(st.integers(0, 80)),
                at=max(0, now - draw(lags)),
                ahead=draw(st.sampled_from([0, 0, 0, 5_000, 400 * DAY])),
                merchant=draw(st.sampled_from(["demo", "demo", "other"])),
                address=draw(st.integers(0, 3)),
                account=draw(st.sampled_from(["", "a", "b"])),
                country=draw(st.integers(0, 2)),
                session=draw(st.integers(0, 2)),
                place=draw(st.integers(-1, 4)),
                log=tuple(draw(st.lists(entries, max_size=2))),
                step=draw(st.sampled_from([1, 1, 1, 3, 400, 1_024])),
            )
        )
    return rows


def stage(salt: int = 7) -> Velocity:
    return Velocity(lateness_ms=LATENESS, dedup_ms=DEDUP, idle_ms=IDLE, session_idle_ms=SESSION_IDLE, salt=salt)


def expected_of(rows: Sequence[Row], oracle: Oracle | None = None) -> dict[int, Any]:
    oracle = oracle or Oracle()
    expected = {}
    for row in rows:
        answer = oracle.see(row)
        expected[oracle.offset] = told(answer)
    return expected


def pieces(rows: Sequence[Row], sizes: Iterator[int]) -> Iterator[list[Row]]:
    """Cut a stream; no piece spans SCORE_LAG offsets or more, as no batch of the flow does."""
    at = 0
    while at < len(rows):
        end = at + max(1, next(sizes))
        piece = list(rows[at:end])
        while len(piece) > 1 and sum(row.step for row in piece[1:]) >= SCORE_LAG:
            piece.pop()
        yield piece
        at += len(piece)


def restored(frames: Sequence[Any]) -> VelocitySession:
    """Open the last frames that cover all slices, as the state log chooses them."""
    covered: set[int] = set()
    chosen: list[bytes] = []
    for frame in reversed(frames):
        chosen.append(frame.data)
        covered |= set(range(frame.first_slice, frame.first_slice + frame.slices))
        if len(covered) == SLICES:
            break
    return stage(salt=99).open(chosen[::-1])


@settings(max_examples=100, deadline=None)
@given(streams(), st.data())
@example([Row(0, event, 0) for event in range(300)], None)
def test_every_row_has_the_oracles_answer_however_the_stream_is_cut_and_restored(
    rows: list[Row], data: st.DataObject | None
) -> None:
    driver, frames, found = Driver(stage().open([])), [], dict[int, Any]()
    sizes = iter(lambda: len(rows) if data is None else data.draw(st.integers(1, len(rows))), 0)
    for piece in pieces(rows, sizes):
        found |= driver.apply(piece)
        does = "nothing" if data is None else data.draw(st.sampled_from(["nothing", "snapshot", "whole", "restart"]))
        if does != "nothing":
            frames.append(driver.session.snapshot(whole=does == "whole"))
        if does == "restart":
            driver.session = restored(frames)
    assert found == expected_of(rows)


@pytest.fixture
def few_slices_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VelocitySession, "_slices_for", lambda session, journal: SLICES // 256)


def busy_stream(seed: int, turns: int) -> Iterator[list[Row]]:
    """Few heavy devices and many light ones, late events among them, in batches of 1 to 400 rows."""
    rng, now, events = np.random.default_rng(seed), 0, count()
    for _ in range(turns):
        rows = []
        for _ in range(int(rng.integers(1, 400))):
            now += int(rng.integers(0, 40_000))
            heavy = rng.random() < 0.5
            late = int(rng.integers(0, LATENESS + HOUR)) if rng.random() < 0.15 else 0
            rows.append(
                Row(
                    device=int(rng.integers(0, 3)) if heavy else int(rng.integers(3, 900)),
                    event=int(rng.integers(0, 90_000)) if rng.random() < 0.05 else 100_000 + next(events),
                    at=max(0, now - late) // 5_000 * 5_000,
                    address=int(rng.integers(0, 40)),
                    account=str(rng.integers(0, 200)) if rng.random() < 0.7 else "",
                    country=int(rng.integers(0, 5)),
                    merchant="other" if rng.random() < 0.1 else "demo",
                    session=int(rng.integers(0, 30)),
                    place=int(rng.integers(-1, 6)),
                    log=tuple((CODES[each % 5], float(each)) for each in range(int(rng.integers(0, 3)))),
                )
            )
        yield rows
        if rng.random() < 0.1:
            now += int(rng.integers(0, 2 * DAY))


def test_long_lists_and_many_devices_have_the_oracles_answers_across_restarts(few_slices_at_a_time: None) -> None:
    oracle, driver = Oracle(), Driver(stage().open([]))
    frames = [driver.session.snapshot()]
    for turn, rows in enumerate(busy_stream(7, 16)):
        assert driver.apply(rows) == expected_of(rows, oracle)
        frames.append(driver.session.snapshot())
        if turn % 5 == 4:
            while len(frames) < 300:
                frames.append(driver.session.snapshot())
            driver.session = restored(frames)


def test_frames_that_cover_all_slices_restore_the_state_from_any_point_on(few_slices_at_a_time: None) -> None:
    """Slices written between two batches, at different times, give together the state after the last frame."""
    driver = Driver(stage().open([]))
    frames = [driver.session.snapshot()]
    stream = busy_stream(11, 300)
    for rows in stream:
        driver.apply(rows[:40])
        frames.append(driver.session.snapshot())
        if len(frames) == 280:
            break
    session = restored(frames[1:])  # without the first, whole frame
    again = Driver(session, driver.offset)
    for rows in (list(next(stream)) for _ in range(6)):
        assert again.apply(rows) == driver.apply(rows)
    assert meaning(again.session) == meaning(driver.session)


def meaning(session: VelocitySession) -> list[Any]:
    """Return what a state holds, without the order in which it lies in memory."""
    frame = unpack(session.snapshot(whole=True).data)
    columns, pending = frame.columns, frame.journal.pending
    lists = np.split(columns.events, np.cumsum(event_counts(columns))[:-1])
    devices = [(row.tobytes(), events.tobytes()) for row, events in zip(columns.devices, lists, strict=True)]
    ids = list(zip(columns.ids.tolist(), columns.hours.tolist(), strict=True))
    sessions = [row.tobytes() for row in columns.sessions]
    return [frame.watermark, sorted(devices), sorted(ids), sorted(sessions), [column.tobytes() for column in pending]]
