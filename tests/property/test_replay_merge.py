"""The merge against a naive oracle: one sorted list of all rows, cut by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.merge import Cut, Lane, Place, merged
from replay.parts import SourceFailed
from schemas.batches import Ledger, Origin, RawBatch
from schemas.velocity import SCORE_LAG

Row = tuple[int, int, int]  # partition, offset, append time
LANES = st.lists(
    st.lists(st.tuples(st.sampled_from([1, 1, 1, 2, 700]), st.integers(0, 12)), max_size=25), min_size=1, max_size=4
)


START = Place(0)


def laid(lanes: Sequence[Sequence[tuple[int, int]]]) -> list[list[Row]]:
    """Return the rows of each partition from steps between offsets, and append times."""
    made = []
    for partition, steps in enumerate(lanes):
        offsets = np.cumsum([step for step, _ in steps]).tolist()
        made.append([(partition, offset, at) for offset, (_, at) in zip(offsets, steps, strict=True)])
    return made


def batch_of(rows: Sequence[Row], marks: tuple[str, ...] = ("appended", "polled")) -> RawBatch:
    partition, offset, at = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    origin = Origin("events.raw", partition.astype(np.int32), offset, at, at)
    return RawBatch(
        origin, tuple(b"%d/%d" % row[:2] for row in rows), Ledger(marks, np.zeros((len(rows), len(marks)), np.int64))
    )


def lane(rows: Sequence[Row], partition: int, size: int, place: Place = START, **more: int) -> Lane:
    left = [row for row in rows if row[1] >= place.next]

    def chunks() -> Iterator[RawBatch]:
        for at in range(0, len(left), size):
            yield batch_of(left[at : at + size])
            yield batch_of(left[:1]).take(np.arange(0))

    return Lane(partition, chunks(), place, **more)


def rows_of(cut: Cut) -> list[Row]:
    """Return a cut's rows in the order of the merge."""
    found = []
    for parcel, rank in cut.parcels:
        origin = parcel.batch.origin
        rows = list(zip(origin.partition.tolist(), origin.offset.tolist(), origin.appended_at.tolist(), strict=True))
        turns = range(len(rows)) if rank is None else rank.argsort().tolist()
        assert rows == sorted(rows), "the rows of a partition lie together"
        assert list(parcel.batch.values) == [b"%d/%d" % row[:2] for row in rows]
        assert [(span.partition, span.first) for span in parcel.spans] == [
            row[:2] for row in rows if row[1] == min(other[1] for other in rows if other[0] == row[0])
        ]
        found += [rows[turn] for turn in turns]
    return found


def oracle(lanes: Sequence[Sequence[Row]], rows: int, begins: Sequence[int]) -> list[list[Row]]:
    ordered, high = [], 0
    for one in lanes:
        high = 0
        for row in one:
            high = max(high, row[2])
            ordered.append((high, row))
    cuts: list[list[Row]] = []
    now: list[Row] = []
    begun = False
    for _, row in sorted(ordered):
        first_of_range = not begun and row[1] >= begins[row[0]]
        begun = begun or first_of_range
        mine = [other[1] for other in now if other[0] == row[0]]
        if now and (len(now) == rows or first_of_range or (mine and row[1] >= mine[0] + SCORE_LAG)):
            cuts.append(now)
            now = []
        now.append(row)
    return [*cuts, now] if now else cuts


@settings(deadline=None, max_examples=150)
@given(steps=LANES, rows=st.integers(1, 12), sizes=st.lists(st.integers(1, 9), min_size=4, max_size=4), data=st.data())
def test_rows_come_in_order_cut_where_the_rows_say_whatever_the_chunks(
    steps: Sequence[Sequence[tuple[int, int]]], rows: int, sizes: Sequence[int], data: st.DataObject
) -> None:
    lanes = laid(steps)
    begins = [data.draw(st.integers(0, 30)) for _ in lanes]

    def cuts(places: dict[int, Place] | None = None) -> list[Cut]:
        at = places or dict.fromkeys(range(len(lanes)), Place(0))
        return list(
            merged([lane(one, n, sizes[n], at[n], range_first=begins[n]) for n, one in enumerate(lanes)][::-1], rows)
        )

    found, expected = cuts(), oracle(lanes, rows, begins)
    assert [rows_of(cut) for cut in found] == expected
    if found:
        resumed = data.draw(st.integers(0, len(found) - 1))
        assert [rows_of(cut) for cut in cuts(found[resumed].places)] == expected[resumed + 1 :]


def test_no_parcel_has_rows_on_both_sides_of_where_a_snapshot_takes_over() -> None:
    rows = [(0, offset, offset) for offset in range(10)]
    cuts = [[row[1] for row in rows_of(cut)] for cut in merged([lane(rows, 0, 4, apart=6)], 4)]
    assert cuts == [[0, 1, 2, 3], [4, 5], [6, 7, 8, 9]]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_rows_of_two_builds_are_not_in_one_batch_wherever_the_chunks_end(size: int) -> None:
    rows = [(0, offset, offset) for offset in range(7)]
    built = [("appended",) if offset < 3 else ("appended", "polled") for offset in range(7)]
    together = [rows[:3], rows[3:]]

    def chunks() -> Iterator[RawBatch]:
        for some in together:
            for at in range(0, len(some), size):
                yield batch_of(some[at : at + size], built[some[0][1]])

    (cut,) = merged([Lane(0, chunks(), Place(0))], 20)
    assert [len(ranked.parcel.batch) for ranked in cut.parcels] == [3, 4]
    assert [ranked.parcel.batch.ledger.marks for ranked in cut.parcels] == [built[0], built[6]]


@pytest.mark.parametrize("rows", [[(0, 3, 1), (0, 2, 1)], [(0, 2, 1), (0, 2, 1)], [(1, 0, 1)], [(0, 1, 1)]], ids=str)
def test_a_store_that_gives_other_rows_than_it_was_asked_for_is_said_to_be_damaged(rows: list[Row]) -> None:
    with pytest.raises(SourceFailed, match="damaged"):
        list(merged([Lane(0, iter([batch_of(rows)]), Place(2))], 4))


@pytest.mark.parametrize("rows", [0, SCORE_LAG + 1])
def test_parcels_have_at_most_as_many_rows_as_scores_lag(rows: int) -> None:
    with pytest.raises(ValueError, match="1 to 1024 rows"):
        merged([], rows)


def test_only_a_chunk_of_each_partition_is_read_ahead() -> None:
    read = [0, 0]

    def chunks(partition: int) -> Iterator[RawBatch]:
        for offset in range(0, 100, 10):
            read[partition] += 1
            yield batch_of([(partition, offset + row, offset + row) for row in range(10)])

    cuts = merged([Lane(number, chunks(number), Place(0)) for number in (0, 1)], 20)
    for number, _ in enumerate(cuts, 1):
        assert max(read) <= number + 1


def test_another_key_gives_another_order() -> None:
    rows = [[(partition, offset, offset) for offset in range(3)] for partition in (0, 1)]
    lanes = [
        replace(lane(one, number, 2), key=lambda batch: np.full(len(batch), 1 - int(batch.origin.partition[0])))
        for number, one in enumerate(rows)
    ]
    (cut,) = merged(lanes, 20)
    assert rows_of(cut) == [*rows[1], *rows[0]]
    assert cut.places == {0: Place(3, 1), 1: Place(3, 0)}
