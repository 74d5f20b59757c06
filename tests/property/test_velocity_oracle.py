"""Velocity against a naive oracle: exact, however the stream is disordered, repeated, cut or interrupted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
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
from schemas.batches import Activity, Counted, Normalized
from schemas.dead_letter import Reason
from schemas.log_codes import load_log_codes
from schemas.stage import StageOut
from schemas.velocity import PLACES_KEPT, SCORE_LAG, SCORES_KEPT, SLICES, WINDOW_MS
from tests.builders import NOW, normalized

BASE = NOW // DAY * DAY
LATENESS = 6 * HOUR
DEDUP = 24 * HOUR
IDLE = 3 * DAY
SESSION_IDLE = HOUR
CODES = [load_log_codes().code(name) for name in ("key_interval", "clicked", "pasted", "tab_returned", "submitted")]


Entry = tuple[int, int, float]  # time, code and value


class Row(NamedTuple):
    device: int
    event: int
    at: int  # ms after BASE
    ahead: int = 0  # by how much the browser's clock is ahead, ms
    merchant: str = "demo"
    address: int = 0
    account: str = ""
    country: int = 0
    session: int = 0
    place: int = -1  # -1: nowhere
    log: tuple[tuple[int, float], ...] = ()  # code and value of each entry; its time is its place
    step: int = 1  # how many offsets after the row before it


class Seen(NamedTuple):
    """A row of a device as the oracle keeps it: its time and its value of each kind, None where absent."""

    time: int
    values: tuple[object, ...]


@dataclass
class Life:
    events: list[Seen] = field(default_factory=list)
    hours: list[int] = field(default_factory=lambda: [0] * 24)
    scores: list[float] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)  # (time, place), newest first


@dataclass
class Visit:
    touched: int
    started: int
    events: int = 0
    log: list[Entry] = field(default_factory=list)


class Answer(NamedTuple):
    fate: str
    counts: tuple[tuple[int, ...], ...] = ()
    first: int = 0
    previous: int = 0
    life: int = 0
    hours: tuple[int, ...] = ()
    scores: tuple[float, ...] = ()
    places: tuple[tuple[int, int], ...] = ()
    session: tuple[int, int] = (0, 0)
    log: tuple[Entry, ...] = ()


@dataclass
class Oracle:
    """Remembers everything and looks at all of it for each row."""

    watermark: int = 0
    offset: int = -1
    ids: dict[tuple[str, int], int] = field(default_factory=dict)
    lives: dict[int, Life] = field(default_factory=dict)
    visits: dict[tuple[int, int], Visit] = field(default_factory=dict)
    scores: list[tuple[int, int, float]] = field(default_factory=list)

    def _see_scores(self, offset: int) -> None:
        while self.scores and self.scores[0][0] <= offset - SCORE_LAG:
            _, device, score = self.scores.pop(0)
            if self._remembers(device):
                life = self.lives[device]
                life.scores = [score, *life.scores][:SCORES_KEPT]

    def _remembers(self, device: int) -> bool:
        life = self.lives.get(device)
        return life is not None and max(seen.time for seen in life.events) >= self.watermark - IDLE

    def see(self, row: Row) -> Answer:
        self.offset += row.step
        self._see_scores(self.offset)
        time = BASE + row.at
        self.watermark = max(self.watermark, time)
        hour = self.watermark // HOUR
        known = self.ids.get((row.merchant, row.event))
        if known is not None and hour - known <= DEDUP // HOUR:
            return Answer("dropped")
        if time < self.watermark - LATENESS:
            return Answer("dead")
        self.ids[row.merchant, row.event] = hour
        self.scores.append((self.offset, row.device, score_of(self.offset)))
        if not self._remembers(row.device):
            self.lives[row.device] = Life()
        life = self.lives[row.device]
        before = {"hours": tuple(life.hours), "scores": tuple(life.scores), "places": tuple(life.places)}
        previous = max((seen.time for seen in life.events if seen.time <= time), default=-1)
        values = (row.address, row.account or None, row.country or None, row.merchant, row.session)
        life.events.append(Seen(time, values))
        counts = [[len(window) for window in self._windows(life, time)]]
        counts += (
            [len({seen.values[kind] for seen in window} - {None}) for window in self._windows(life, time)]
            for kind in range(len(values))
        )
        if row.place >= 0:
            remember_place(life.places, time, row.place)
        at = time // HOUR % 24
        if life.hours[at] == 255:
            life.hours = [each // 2 for each in life.hours]
        life.hours[at] += 1
        visit = self.visits.get((row.device, row.session))
        if visit is None or visit.touched < self.watermark - SESSION_IDLE:
            visit = self.visits[row.device, row.session] = Visit(self.watermark, time)
        visit.touched, visit.started, visit.events = self.watermark, min(visit.started, time), visit.events + 1
        visit.log += entries_of(row)
        return Answer(
            "counted",
            tuple(map(tuple, counts)),
            min(seen.time for seen in life.events),
            previous,
            len(life.events),
            session=(visit.events, visit.started),
            log=tuple(visit.log),
            **before,  # type: ignore[arg-type] - tuples all
        )

    @staticmethod
    def _windows(life: Life, time: int) -> Iterator[list[Seen]]:
        for window in WINDOW_MS:
            yield [seen for seen in life.events if time - window < seen.time <= time]


def remember_place(places: list[tuple[int, int]], time: int, place: int) -> None:
    for known in places:
        if known[1] == place:
            places.remove(known)
            time = max(time, known[0])
            break
    else:
        if len(places) == PLACES_KEPT:
            if places[-1][0] > time:
                return
            places.pop()
    at = next((index for index, known in enumerate(places) if known[0] <= time), len(places))
    places.insert(at, (time, place))


def score_of(offset: int) -> float:
    return float(offset % 97)


def ids_of(numbers: Sequence[int], kind: int = 0) -> np.ndarray:
    ids = np.zeros((len(numbers), 16), np.uint8)
    ids[:, 0] = kind
    ids[:, 4:12] = np.array(numbers, "<i8").view(np.uint8).reshape(-1, 8)
    return ids


def entries_of(row: Row) -> list[Entry]:
    return [(place, *entry) for place, entry in enumerate(row.log)]


def log_of(logs: Sequence[Sequence[Entry]]) -> Activity:
    flat = [entry for log in logs for entry in log]
    time, code, value = zip(*flat, strict=True) if flat else ((), (), ())
    return Activity(
        np.cumsum([0, *map(len, logs)]).astype(np.int64),
        np.array(time, np.uint32),
        np.array(value, np.float32),
        np.array(code, np.uint16),
        np.zeros(len(flat), np.uint8),
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
