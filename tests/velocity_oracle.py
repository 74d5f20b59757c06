"""What velocity says of each row, by remembering everything and counting anew: slow, and plain to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from flows.stages.device_state.layout import DAY, HOUR
from schemas.batches import Activity
from schemas.log_codes import load_log_codes
from schemas.velocity import PLACES_KEPT, SCORE_LAG, SCORES_KEPT, WINDOW_MS
from tests.builders import NOW

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
