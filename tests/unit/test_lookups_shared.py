"""The parts of shared counts that need no store: the backlog, and the cut into shards."""

from __future__ import annotations

import numpy as np
import pytest

from flows.lookups.backlog import Backlog
from flows.lookups.memory_shared import MemorySharedCounts
from flows.lookups.packing import pack
from schemas.velocity import ENTITIES
from tests.shared_kit import DAY, Row, asked, query_of

ONE = (1, 0, 0, 0, 0, 0)


def test_the_backlog_gives_back_what_waits_in_its_order() -> None:
    backlog = Backlog(100)
    for first in (0, 3, 6):
        assert backlog.add(query_of([Row(0, 1, ONE)] * 3, [first, first + 1, first + 2])) == 0
    assert backlog.oldest(4).offset.tolist() == [0, 1, 2, 3, 4, 5]
    assert len(backlog) == 9
    backlog.done()
    assert backlog.oldest(4).offset.tolist() == [6, 7, 8]
    backlog.done()
    assert len(backlog) == 0


def test_a_row_that_waits_does_not_wait_twice() -> None:
    backlog = Backlog(100)
    backlog.add(query_of([Row(0, 1, ONE)] * 3, [0, 1, 2]))
    backlog.add(query_of([Row(0, 1, ONE)] * 3, [1, 2, 3]))
    assert backlog.oldest(100).offset.tolist() == [0, 1, 2, 3]


def test_a_backlog_never_holds_more_than_its_limit() -> None:
    backlog = Backlog(5)
    assert backlog.add(query_of([Row(0, 1, ONE)] * 4, [0, 1, 2, 3])) == 0
    assert backlog.add(query_of([Row(0, 1, ONE)] * 3, [4, 5, 6])) == 4
    assert len(backlog) == 3


@pytest.mark.parametrize("shards", [1, 2, 8, 64])
def test_every_entity_of_every_row_is_in_one_call_of_its_shard(shards: int) -> None:
    rows = [Row(at, at, tuple((at * kind) % 40 for kind in range(len(ENTITIES)))) for at in range(200)]
    query = query_of(rows, list(range(200)))
    packed = pack(query, shards)
    assert len({call.shard for call in packed.calls}) == len(packed.calls) <= shards
    pairs = np.count_nonzero(query.entities)
    assert sum(len(call.rows) for call in packed.calls) == 17 * pairs
    assert sum(len(call.records) for call in packed.calls) == 12 * pairs
    assert sum(len(call.groups) for call in packed.calls) == 10 * len(np.unique(query.entities[query.entities > 0]))
    for call in packed.calls:
        names = np.frombuffer(call.groups, [("entity", "<u8"), ("rows", "<u2")])
        assert {int(entity) * shards >> 64 for entity in names["entity"]} == {call.shard}
        assert int(names["rows"].sum()) * 17 == len(call.rows)


def test_rows_without_entities_make_no_call() -> None:
    assert pack(query_of([Row(0, 1, (0,) * len(ENTITIES))], [0]), 1).calls == []


def test_memory_forgets_what_no_window_reaches_into() -> None:
    counts = MemorySharedCounts()
    rows = [Row(at * 1_000, at % 7, (at % 3_000 + 1, 0, 0, 0, 0, 0)) for at in range(30_000)]
    late = [Row(5 * DAY + at * 1_000, at % 7, (1, 0, 0, 0, 0, 0)) for at in range(40_000)]
    asked(counts, [*rows, *late], list(range(0, 70_000, 1_000)))
    assert counts.entities == 1
    assert counts.events == 40_000
