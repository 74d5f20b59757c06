"""What is dumped and loaded answers as if it had never been away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.lookups import memory_shared
from flows.lookups.memory_shared import MemorySharedCounts
from schemas.velocity import ENTITIES
from scoring.rules import memory_history
from scoring.rules.answers import CatalogueName, Query, Write
from scoring.rules.history import HistoryLimits
from scoring.rules.history_keys import HistoryKeys
from scoring.rules.memory_history import MemoryHistory
from tests.shared_kit import Row, offsets_of, query_of

HOUR = 3_600_000
ROWS = st.lists(
    st.builds(
        Row,
        at=st.integers(-30, 30).map(lambda hours: hours * HOUR),
        device=st.integers(1, 4),
        entities=st.tuples(*[st.integers(0, 2)] * len(ENTITIES)),
        partition=st.integers(0, 1),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=60)
@given(rows=ROWS, share=st.floats(0, 1), block=st.integers(1, 7))
def test_shared_counts_go_on_where_they_were_dumped(rows: Sequence[Row], share: float, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory_shared, "_BLOCK_EVENTS", block)
        patch.setattr(memory_shared, "_BLOCK_ANSWERS", block)
        patch.setattr(memory_shared, "_SWEEP_ROWS", 5)
        known, loaded = MemorySharedCounts(24 * HOUR, answers=9), MemorySharedCounts(24 * HOUR, answers=9)
        cut = round(share * len(rows))
        for row in range(cut):
            known.count(_query(rows, row))
        loaded.count(_query([Row(0, 9, (9,) * len(ENTITIES))]))  # what it knew before is forgotten
        loaded.load(known.dump())
        everything = [list(known.dump()), list(loaded.dump())]
        assert everything[0] == everything[1]
        for row in range(max(0, cut - 4), len(rows)):  # some of them again
            answers = [counts.count(_query(rows, row)).counts for counts in (known, loaded)]
            np.testing.assert_array_equal(*answers)


def _query(rows: Sequence[Row], only: int | None = None) -> Any:
    offsets = offsets_of(rows)
    chosen = range(len(rows)) if only is None else [only]
    return query_of([rows[at] for at in chosen], [offsets[at] for at in chosen])


CATALOGUES = [
    CatalogueName("own", "seen", "d1", "s1"),
    CatalogueName("global", "cards", "d2", "s1", "v1"),
    CatalogueName("global", "alone"),
]
VALUES = st.sampled_from([1, 2.5, -0.0, True, "DE", "ü", "\ud83d", ""])
WRITES = st.lists(
    st.tuples(
        st.sampled_from(["shop", "other \ud83d"]),
        st.builds(
            Write,
            catalogue=st.sampled_from(CATALOGUES),
            entity=st.sampled_from(["u1", "u2", "\udc00"]),
            dedupe=st.integers(0, 12).map(str),
            value=VALUES,
            at=st.integers(1, 40).map(lambda hours: hours * HOUR),
            window=st.sampled_from([HOUR, 24 * HOUR]),
        ),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=60)
@given(writes=WRITES, share=st.floats(0, 1), block=st.integers(1, 9))
def test_the_rules_history_goes_on_where_it_was_dumped(writes: Any, share: float, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory_history, "_BLOCK_MEMBERS", block)
        patch.setattr(memory_history, "_SWEEP_WRITES", 3)
        known, loaded = (MemoryHistory(HistoryLimits(members=3)) for _ in range(2))
        cut = round(share * len(writes))
        for merchant, write in writes[:cut]:
            known.write(merchant, [write])
        loaded.write("shop", [Write(CATALOGUES[0], "forgotten", "1", 1, HOUR, HOUR)])
        loaded.load(known.dump())
        assert list(known.dump()) == list(loaded.dump())
        for merchant, write in writes[cut:]:
            assert known.write(merchant, [write]) == loaded.write(merchant, [write])
            queries = [
                Query(write.catalogue, write.entity, name, 24 * HOUR, write.at, write.dedupe)
                for name in ("count", "sum", "distinct", "last", "since", "max")
            ]
            assert known.read(merchant, queries) == loaded.read(merchant, queries)


Dumped = MemorySharedCounts | MemoryHistory


def _some_counts(**more: Any) -> MemorySharedCounts:
    return MemorySharedCounts(**({"lateness_ms": HOUR} | more))


def _some_history(key: bytes = b"key", **more: Any) -> MemoryHistory:
    return MemoryHistory(HistoryLimits(**more), HistoryKeys(key))


def _filled(dumped: Dumped) -> Dumped:
    if isinstance(dumped, MemoryHistory):
        dumped.write("shop", [Write(CATALOGUES[0], "u1", str(at), "DE", HOUR + at, HOUR) for at in range(3)])
    else:
        rows = [Row(at, 1, (1,) * len(ENTITIES)) for at in range(3)]
        dumped.count(_query(rows))
    return dumped


@pytest.mark.parametrize(
    ("maker", "other"),
    [
        (_some_counts, lambda: _some_counts(lateness_ms=2 * HOUR)),
        (_some_counts, lambda: _some_counts(answers=1)),
        (_some_history, lambda: _some_history(key=b"another key")),
        (_some_history, lambda: _some_history(members=7)),
    ],
)
def test_what_was_dumped_by_another_kind_is_refused(maker: Callable[[], Dumped], other: Callable[[], Dumped]) -> None:
    blocks = list(_filled(maker()).dump())
    with pytest.raises(ValueError, match="dumped by another build, or with another"):
        other().load(blocks)


@pytest.mark.parametrize("maker", [_some_counts, _some_history])
def test_a_dump_that_lacks_a_block_or_has_one_too_many_or_an_odd_one_is_refused(maker: Callable[[], Dumped]) -> None:
    blocks = list(_filled(maker()).dump())
    assert len(blocks) >= 2
    for odd in (
        blocks[:-1],
        [],
        [*blocks, blocks[-1]],
        [blocks[0], *[b"\xc1"] * 3],
        [blocks[0], msgspec.msgpack.encode(7)],
    ):
        before = list(_filled(maker()).dump())
        with pytest.raises(ValueError, match="dump"):
            (loaded := _filled(maker())).load(odd)
        assert list(loaded.dump()) == before, "what was known is known still"


def test_columns_that_do_not_add_up_are_refused() -> None:
    blocks = list(_filled(_some_counts()).dump())
    names, lengths, times, devices = msgspec.msgpack.decode(blocks[1])
    for part in ([names, lengths, times[:-8], devices], [names[:-8], lengths, times, devices], [b"", b"", b"", b""]):
        with pytest.raises(ValueError, match="add up"):
            _some_counts().load([blocks[0], msgspec.msgpack.encode(part), *blocks[2:]])
    blocks = list(_filled(_some_history()).dump())
    (stored,) = msgspec.msgpack.decode(blocks[1])
    stored[3] = stored[3][::-1]
    with pytest.raises(ValueError, match="out of order"):
        _some_history().load([blocks[0], msgspec.msgpack.encode([stored])])
    with pytest.raises(ValueError, match="add up"):
        _some_history().load([blocks[0], msgspec.msgpack.encode([[*stored[:3], stored[3][:1], *stored[4:]]])])
