"""Parcels that are joined before columns are made of them give the columns that each of them gives alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from enrichers.present import Present
from flows.parcel import Parcel, Span
from flows.sinks.encoded import EncodedParcel, encoder
from flows.sinks.joined import joined
from flows.sinks.rests import Rests
from flows.sinks.tables import Table, join, scored_tables, tables_of
from flows.sinks.written import WrittenResults
from schemas.batches import Decided
from scoring.explain import _OBSERVED, Explainer
from tests.scored_parcels import BUILD, encoded_parcel, scored_batch

Make = Callable[[int, int], EncodedParcel]


def as_objects(rows: int, first: int) -> EncodedParcel:
    return encoded_parcel(rows, first=first)


class Writing:
    """Makes parcels whose results are written at once, as a flow does; the first factors of each differ."""

    def __init__(self) -> None:
        self.encode = encoder(Explainer(), Present(), BUILD)

    def __call__(self, rows: int, first: int) -> EncodedParcel:
        return self.encoded(self.batch(rows, first))

    @staticmethod
    def batch(rows: int, first: int) -> Decided:
        batch = scored_batch(rows, first=first)
        observed = np.full((rows, len(_OBSERVED)), 1.0 + first, np.float32)
        factor = np.full((rows, 2), -1, np.int8)
        factor[:, 0] = (first + np.arange(rows)) % 5
        contribution = np.full((rows, 2), 0.25, np.float32)
        score = replace(batch.score, observed=observed, factor=factor, contribution=contribution)
        return replace(batch, score=score)

    def encoded(self, batch: Decided) -> EncodedParcel:
        first, rows = int(batch.origin.offset[0]), len(batch)
        return self.encode(Parcel((Span(0, first, first + rows),), batch, rows))


def alone(parcels: Sequence[EncodedParcel]) -> dict[str, Table]:
    tables = [scored_tables(item, archive=True) for item in parcels]
    return {name: join([table[name] for table in tables]) for name in tables[0]}


def same(left: dict[str, Table], right: dict[str, Table]) -> None:
    assert left.keys() == right.keys()
    for name, table in left.items():
        assert table.keys() == right[name].keys()
        for column, values in table.items():
            assert values.dtype == right[name][column].dtype, column
            np.testing.assert_array_equal(values, right[name][column], err_msg=column)


@pytest.mark.parametrize("make", [as_objects, Writing()], ids=["objects", "written"])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 70, 2, 5), (64, 64), (2,) * 50])
def test_joined_parcels_give_the_columns_that_each_gives_alone(make: Make, sizes: Sequence[int]) -> None:
    firsts = np.cumsum((0, *sizes[:-1])).tolist()
    parcels = [make(rows, first) for rows, first in zip(sizes, firsts, strict=True)]
    same(tables_of(parcels), alone(parcels))


def test_results_of_two_encoders_keep_their_own_sentences() -> None:
    one, other = Writing(), Writing()
    parcels = [one(2, 0), other(3, 2), one(2, 5), other(1, 7)]
    written = [item.results for item in parcels if isinstance(item.results, WrittenResults)]
    assert len({id(results.said) for results in written}) == 2
    same(tables_of(parcels), alone(parcels))


def test_small_parcels_lie_in_one_batch_and_large_ones_are_not_copied() -> None:
    parcels = [encoded_parcel(rows, first=100 * at) for at, rows in enumerate((3, 0, 4, 80, 2, 62, 5))]
    batches = [batch for batch, _ in joined(parcels, Rests.none())]
    assert [len(batch) for batch in batches] == [7, 80, 64, 5]
    assert batches[1] is parcels[3].parcel.batch


def test_parcels_that_were_decided_by_other_policies_are_not_joined() -> None:
    writing = Writing()
    first, second = writing.batch(2, 0), writing.batch(3, 2)
    second = replace(second, decision=replace(second.decision, policy="another"))
    parcels = [writing.encoded(first), writing.encoded(second)]
    assert [len(batch) for batch, _ in joined(parcels, Rests.none())] == [2, 3]
    assert tables_of(parcels)["events"]["policy"].tolist() == [first.decision.policy.encode()] * 2 + [b"another"] * 3


def test_nothing_is_joined_of_parcels_without_rows() -> None:
    assert list(joined([encoded_parcel(0, dropped=2)], Rests.none())) == []


def rests_of(parcels: Sequence[EncodedParcel], took: float) -> list[float]:
    """Return how long the thread rests where each batch takes so many seconds of its processor time."""
    rests, now = list[float](), 0.0

    def spent() -> float:
        return now

    for _ in joined(parcels, Rests(rests.append, spent)):
        now += took
    return rests


def test_after_a_batch_of_small_parcels_the_thread_rests_for_a_multiple_of_what_it_took() -> None:
    parcels = [encoded_parcel(20, first=first) for first in range(0, 160, 20)]
    assert rests_of(parcels, 0.002) == pytest.approx([0.006, 0.006])


def test_a_block_of_small_parcels_rests_for_half_a_second_at_most() -> None:
    parcels = [encoded_parcel(20, first=first) for first in range(0, 160, 20)]
    assert rests_of(parcels, 0.1) == pytest.approx([0.3, 0.2])


def test_where_parcels_are_large_there_is_no_rest() -> None:
    assert rests_of([encoded_parcel(100, first=first) for first in range(0, 300, 100)], 0.1) == []
