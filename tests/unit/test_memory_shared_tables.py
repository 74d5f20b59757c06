"""The shared counts in memory through growth, forgetting, late rows and dumps: exact, and of bounded memory."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest

from flows.lookups import memory_shared
from flows.lookups.memory_shared import MemorySharedCounts
from schemas.shared import SharedQuery
from schemas.velocity import ENTITIES
from tests.shared_kit import DAY, Oracle, Row, offsets_of, query_of

MINUTE = 60_000


@pytest.mark.parametrize(("devices", "seconds"), [(3, 40), (60, 40), (9, 1_500)])
def test_counts_are_an_oracles_while_tables_grow_and_are_swept_dumped_and_loaded(
    monkeypatch: pytest.MonkeyPatch, devices: int, seconds: int
) -> None:
    monkeypatch.setattr(memory_shared, "_SWEEP_ROWS", 40)
    draw = np.random.default_rng(devices)
    now = np.cumsum(draw.integers(0, 2_000 * seconds, 500))
    late = draw.choice([0, 0, 0, 1, MINUTE, 60 * MINUTE, DAY], 500)
    times = now - draw.integers(0, late + 1)
    rows = [
        Row(int(time), int(draw.integers(1, devices + 1)), tuple(draw.integers(0, 3, len(ENTITIES)).tolist()), at % 3)
        for at, time in enumerate(times)
    ]
    offsets, oracle, counts = offsets_of(rows), Oracle(), MemorySharedCounts()
    for first, end in pairwise([*range(0, 500, 23), 500]):
        answers = counts.count(query_of(rows[first:end], offsets[first:end])).counts
        again = counts.count(query_of(rows[first:end], offsets[first:end])).counts
        np.testing.assert_array_equal(answers, again)
        for row, answer in zip(rows[first:end], answers, strict=True):
            for kind, exact, _ in oracle.see(row):
                if oracle.newest - row.at <= DAY:
                    assert answer[kind].T.tolist() == [list(pair) for pair in exact]
        dumped = list(counts.dump())
        counts = MemorySharedCounts()
        counts.load(dumped)
        assert list(counts.dump()) == dumped


def test_memory_stays_the_same_however_many_events_come() -> None:
    counts, sizes = MemorySharedCounts(lateness_ms=0, answers=5_000), list[int]()
    rows = np.arange(20_000)
    for turn in range(20):  # half a day each, with entities and devices of its own
        names = (rows % 4_000 + 1 + 5_000 * turn).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        entities = np.repeat(names[:, None], len(ENTITIES), axis=1)
        entities[:, 1:3] = 7  # everybody's
        times = (rows * (DAY // 2) // 20_000) + turn * (DAY // 2)
        counts.count(SharedQuery(entities, names, times, np.zeros(20_000, np.int32), rows + 20_000 * turn))
        sizes.append(counts.nbytes)
    assert sizes[-1] <= 1.3 * sizes[9]
    assert counts.entities < 30_000


@pytest.mark.parametrize("asked_every", [1, 7])
def test_the_last_answers_are_told_again_however_many_were_told_before_and_in_between(asked_every: int) -> None:
    remembered, draw = 50, np.random.default_rng(1)
    rows = [
        Row(
            1_000 * at - int(draw.integers(0, 90_000)),
            int(draw.integers(1, 9)),
            tuple(draw.integers(0, 3, len(ENTITIES)).tolist()),
            at % 3,
        )
        for at in range(4_000)
    ]
    offsets, counts = offsets_of(rows), MemorySharedCounts(answers=remembered)
    told = np.empty((len(rows), len(ENTITIES), 2, 3), np.float32)
    for batch, first in enumerate(range(0, len(rows), 20)):
        some = slice(first, first + 20)
        told[some] = counts.count(query_of(rows[some], offsets[some])).counts
        if batch % asked_every == 0:
            again = draw.integers(max(0, first + 20 - remembered), first + 20, 10)
            answer = counts.count(query_of([rows[at] for at in again], [offsets[at] for at in again])).counts
            np.testing.assert_array_equal(answer, told[again])
    places = MemorySharedCounts(answers=remembered)
    places.load(list(counts.dump()))
    last = range(len(rows) - remembered, len(rows))
    answer = places.count(query_of([rows[at] for at in last], [offsets[at] for at in last])).counts
    np.testing.assert_array_equal(answer, told[last.start :])


def test_dumps_of_the_build_before_are_read() -> None:
    names, devices = np.array([5, 2**63 + 1], "<u8"), np.array([1, 2, 1, 9], "<u8")
    times = np.array([DAY, DAY + 1, DAY + MINUTE, DAY], "<i8")
    told = np.arange(36, dtype="<f4")
    blocks = [
        msgspec.msgpack.encode([1, DAY, 4, DAY + MINUTE, 3, {0: 7}, 4, 1]),
        msgspec.msgpack.encode(
            [names.tobytes(), np.array([3, 1], "<i8").tobytes(), times.tobytes(), devices.tobytes()]
        ),
        msgspec.msgpack.encode([np.array([[0, 7]], "<i8").tobytes(), told.tobytes()]),
    ]
    counts = MemorySharedCounts(answers=4)
    counts.load(blocks)
    assert list(counts.dump()) == blocks
    entities = np.array([[5, 2**63 + 1, 0, 0, 0, 0]] * 2, np.uint64)
    query = SharedQuery(
        entities, np.array([2, 3], np.uint64), np.array([0, DAY + 2 * MINUTE]), np.zeros(2, np.int32), np.array([7, 8])
    )
    answer = counts.count(query).counts
    assert answer[0].ravel().tolist() == told.tolist()
    assert answer[1, :2].tolist() == [[[4, 4, 4], [3, 3, 3]], [[2, 2, 2], [2, 2, 2]]]


def test_events_out_of_order_are_refused() -> None:
    counts = MemorySharedCounts(answers=4)
    column = np.array([9, 8], "<i8").tobytes()
    blocks = [
        msgspec.msgpack.encode([1, DAY, 4, 9, 0, {}, 2, 0]),
        msgspec.msgpack.encode([np.array([5], "<u8").tobytes(), np.array([2], "<i8").tobytes(), column, column]),
    ]
    with pytest.raises(ValueError, match="out of order"):
        counts.load(blocks)
