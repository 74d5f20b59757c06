"""The partitions of a parcel together say and keep what each says and keeps alone, however parcels are cut."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.by_partition import TogetherSessions
from flows.parcel import Parcel, Span
from flows.pipeline import Pipeline, build_pipeline
from flows.run_stage import Monitor
from infra.traffic.dataset import dataset_keys, labelled_batches
from schemas.batches import Decided, RawBatch
from scoring.deployment import only
from scoring.model import Model, find_model
from tests.redriven import ids_of, sent_again, with_bug
from tests.strategies import same
from tests.wire import parcel, raw_batch

HOURS = 3_600_000
SECTIONS = ("origin", "velocity", "history", "session", "recognition", "decision")
sizes = st.lists(st.integers(2, 40), min_size=1, max_size=4)


@cache
def pipeline() -> Pipeline:
    return build_pipeline(dataset_keys(), only(Model.load(find_model())), lateness_ms=12 * HOURS)


@cache
def records() -> tuple[bytes, ...]:
    """Return 90 records of a week, and twelve that were told their counts before they failed."""
    (made,) = labelled_batches(90, seed=5, small=True)
    failing = ids_of(pipeline().decode(raw_batch(made.raw.values)).oks, range(0, 90, 7))
    monitor = Monitor.silent()
    monitor.budget._limit = 2.0
    buggy = with_bug(pipeline(), "enrich", failing)
    failed = buggy.run(parcel(raw_batch(made.raw.values)), pipeline().keyed.open(()), monitor).errs
    told = [record for letter, record in zip(failed, sent_again(failed), strict=True) if letter.told]
    assert len(told) >= 10
    return (*made.raw.values, *told[:12])


class Topic:
    """Partitions whose offsets go on from one parcel to the next."""

    def __init__(self, partitions: int) -> None:
        self._next = [0] * partitions

    def poll(self, values: Sequence[bytes], partitions: Sequence[int]) -> list[RawBatch]:
        """Append records to their partitions and return those of each that has any, the last partition first."""
        batches = []
        for number in sorted(set(partitions), reverse=True):
            own = [value for value, at in zip(values, partitions, strict=True) if at == number]
            batches.append(raw_batch(own, number, self._next[number]))
            batches[-1].origin.appended_at[:] = 1 << 41
            self._next[number] += len(own)
        return batches


def as_one(batches: Sequence[RawBatch]) -> Parcel[RawBatch]:
    each = [parcel(batch) for batch in batches]
    spans: tuple[Span, ...] = tuple(span for one in each for span in one.spans)
    whole = RawBatch.concat(batches)
    return Parcel(spans, whole, len(whole))


def assert_same(together: Parcel[Decided], alone: Sequence[Parcel[Decided]]) -> None:
    for name in SECTIONS:
        found, expected = getattr(together.batch, name), [getattr(one.batch, name) for one in alone]
        assert same(found, type(found).concat(expected)), name
    assert together.errs == tuple(letter for one in alone for letter in one.errs)
    assert together.dropped == sum(one.dropped for one in alone)


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 4), st.integers(0, 2**32 - 1), sizes)
def test_partitions_together_say_and_keep_what_each_says_and_keeps_alone(
    partitions: int, seed: int, cut: list[int]
) -> None:
    chance = np.random.default_rng(seed)
    drawn = chance.integers(0, len(records()), 120)  # some twice: copies
    week = drawn[np.argsort(drawn + chance.normal(0, 8, len(drawn)))]  # some come late
    values = [records()[row] for row in week.tolist()]
    ours, others = ({at: pipeline().keyed.open(()) for at in range(partitions)} for _ in range(2))
    topic, monitor, at, turn = Topic(partitions), Monitor.silent(), 0, 0
    while at < len(values):
        piece = values[at : at + cut[turn % len(cut)]]
        batches = topic.poll(piece, chance.integers(0, partitions, len(piece)).tolist())
        keyed: Any = TogetherSessions(ours)
        together = pipeline().run(as_one(batches), keyed, monitor)
        alone = [pipeline().run(parcel(b), others[int(b.origin.partition[0])], monitor) for b in batches]
        assert_same(together, alone)
        if turn % 2:
            assert [ours[p].snapshot() for p in ours] == [others[p].snapshot() for p in others]
        at, turn = at + len(piece), turn + 1
    assert [ours[p].snapshot(whole=True) for p in ours] == [others[p].snapshot(whole=True) for p in others]
