"""Shared counts in memory, exact: for training, benchmarks, tests and replays. One process, one thread."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final

from schemas.batches import F32
from schemas.shared import SharedAnswer, SharedQuery, unknown
from schemas.velocity import WINDOW_MS, WINDOWS

_SWEEP_ROWS: Final = 65_536
_Counts = list[list[int]]  # of one entity: MEASURES x WINDOWS


class MemorySharedCounts:
    """What RedisSharedCounts means, for entities of any weight: a window is exactly (time - length, time].

    Kept: what any window of an event reaches into that is at most ``lateness_ms`` older than the newest.
    """

    def __init__(self, lateness_ms: int = 86_400_000, answers: int = 131_072) -> None:
        self._lateness = lateness_ms
        self._answers = answers
        self._entities: dict[int, _Entity] = {}
        self._newest = 0
        self._applied: dict[int, int] = {}
        self._told: dict[tuple[int, int], F32] = {}
        self._rows = 0

    def count(self, query: SharedQuery, /) -> SharedAnswer:
        """Count rows; one that was counted before is told what it was told then."""
        counts = unknown(len(query))
        columns = zip(
            query.partition.tolist(),
            query.offset.tolist(),
            query.time.tolist(),
            query.device.tolist(),
            query.entities.tolist(),
            strict=True,
        )
        for row, (partition, offset, time, device, entities) in enumerate(columns):
            told = self._told.get((partition, offset))
            if told is not None:
                counts[row] = told
                continue
            new = offset > self._applied.get(partition, -1)
            if new:
                self._applied[partition] = offset
                self._newest = max(self._newest, time)
            if time >= self._newest - self._lateness:
                for kind, entity in enumerate(entities):
                    if entity and (found := self._one(entity, time, device, new)):
                        counts[row, kind] = found
            if new:
                self._tell(partition, offset, counts[row])
        self._sweep(len(query))
        return SharedAnswer(counts, False)

    def _one(self, entity: int, time: int, device: int, new: bool) -> _Counts | None:
        known = self._entities.get(entity)
        if not new:
            found = known.read(time) if known else None
            return found if found and found[0][0] else None  # not even the row itself: it is gone
        if known is None:
            known = self._entities[entity] = _Entity()
        return known.add(time, device)

    def _tell(self, partition: int, offset: int, counts: F32) -> None:
        self._told[partition, offset] = counts.copy()
        if len(self._told) > self._answers:
            del self._told[next(iter(self._told))]

    def _sweep(self, rows: int) -> None:
        self._rows += rows
        if self._rows >= _SWEEP_ROWS:
            self._rows = 0
            oldest = self._newest - self._lateness - WINDOW_MS[-1]
            self._entities = {name: one for name, one in self._entities.items() if one.forget(oldest)}


class _Entity:
    """The events of one entity, sorted, and for each window that ends at the newest its devices with their events."""

    __slots__ = ("devices", "heads", "inside", "times")

    def __init__(self) -> None:
        self.times: list[int] = []
        self.devices: list[int] = []
        self.heads = [0] * len(WINDOWS)
        self.inside: list[dict[int, int]] = [{} for _ in WINDOWS]

    def add(self, time: int, device: int) -> _Counts:
        """Count an event; return what the windows that end at it hold."""
        times, devices = self.times, self.devices
        if times and time < times[-1]:
            return self._add_late(time, device)
        times.append(time)
        devices.append(device)
        for window, length in enumerate(WINDOW_MS):
            inside, head, ends = self.inside[window], self.heads[window], time - length
            inside[device] = inside.get(device, 0) + 1
            while times[head] <= ends:
                self._leave(inside, devices[head])
                head += 1
            self.heads[window] = head
        return [[len(times) - head for head in self.heads], [len(inside) for inside in self.inside]]

    @staticmethod
    def _leave(inside: dict[int, int], device: int) -> None:
        left = inside[device] - 1
        if left:
            inside[device] = left
        else:
            del inside[device]

    def _add_late(self, time: int, device: int) -> _Counts:
        at = bisect_right(self.times, time)
        self.times.insert(at, time)
        self.devices.insert(at, device)
        newest = self.times[-1]
        for window, length in enumerate(WINDOW_MS):
            if time > newest - length:
                self.inside[window][device] = self.inside[window].get(device, 0) + 1
            else:
                self.heads[window] += 1
        return self.read(time)

    def read(self, time: int) -> _Counts:
        """Return what the windows that end at a time hold."""
        end = bisect_right(self.times, time)
        starts = [bisect_right(self.times, time - length) for length in WINDOW_MS]
        return [[end - start for start in starts], [len(set(self.devices[start:end])) for start in starts]]

    def forget(self, oldest: int) -> bool:
        """Drop the events up to a time; return whether any is left."""
        gone = min(bisect_left(self.times, oldest), self.heads[-1])
        if self.times[-1] < oldest:
            return False
        del self.times[:gone], self.devices[:gone]
        self.heads = [head - gone for head in self.heads]
        return True
