"""Batches of several partitions: whose rows are whose, and that none is cut off or copied on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from flows.by_partition import ByPartition, TogetherSessions, by_partition
from flows.chain import Chain
from flows.stages.recognize import Recognize
from flows.stages.velocity import Velocity
from schemas.batches import Normalized, Origin, RawBatch
from schemas.columns import Columns, with_section
from schemas.stage import Part, StageOut, each_part, parts_of
from tests.adding_stage import Adding, AddingSession
from tests.builders import normalized
from tests.deciding import decide_stage
from tests.wire import raw_batch


def raws(**values: list[bytes]) -> RawBatch:
    """Return the rows of partitions 7 and 3, in this order."""
    return RawBatch.concat([raw_batch(values["seven"], 7, 70), raw_batch(values["three"], 3, 30)])


def of_partitions(*numbers: int) -> Normalized:
    """Return three rows of each partition."""
    batch = normalized([{}] * (3 * len(numbers)))
    origin: Origin = with_section(batch.origin, "partition", np.repeat(np.array(numbers, np.int32), 3))
    return with_section(batch, "origin", origin)


@pytest.mark.parametrize(
    ("partition", "expected"),
    [
        ([], []),
        ([4], [("four", 0, 1)]),
        ([4, 4, 4], [("four", 0, 3)]),
        ([9, 9, 4], [("nine", 0, 2), ("four", 2, 3)]),
        ([0, 4, 4, 9], [("zero", 0, 1), ("four", 1, 3), ("nine", 3, 4)]),
    ],
)
def test_each_partition_has_the_rows_that_lie_together(partition: list[int], expected: list[Any]) -> None:
    names = {0: "zero", 4: "four", 9: "nine"}
    assert parts_of(np.array(partition, np.int32), names) == expected


def test_a_partition_that_nobody_has_is_refused() -> None:
    with pytest.raises(KeyError):
        parts_of(np.array([1, 2], np.int32), {1: "one"})


def test_rows_are_cut_by_partition_without_a_copy() -> None:
    batch = raws(seven=[b"a", b"b"], three=[b"c"])
    found = by_partition(batch, [3, 7])
    assert [(partition, rows.values) for partition, rows in found] == [(7, (b"a", b"b")), (3, (b"c",))]
    assert all(np.shares_memory(rows.origin.offset, batch.origin.offset) for _, rows in found)


def test_sessions_that_know_nothing_of_parts_get_their_own_rows() -> None:
    sessions: dict[int, AddingSession] = {3: Adding().open(()), 7: Adding().open(()), 8: Adding().open(())}
    together = ByPartition(sessions)
    out = together.apply(raws(seven=[b"a", b"gone"], three=[b"c", b"d"]))
    assert (out.oks.values, out.dropped) == ((b"a", b"c", b"d"), 1)
    decided: Any = out.oks
    together.remember(decided)
    assert [(one.seen, one.scored) for one in sessions.values()] == [([30, 31], [30, 31]), ([70, 71], [70]), ([], [])]


def test_sessions_that_take_parts_get_them_all_at_once_and_a_lone_partition_goes_to_its_own() -> None:
    class Noting(AddingSession):
        """Takes parts, and notes of which."""

        def apply_parts(self, batch: RawBatch, parts: Sequence[Part[Any]], /) -> StageOut[RawBatch]:
            taken.append(("apply", parts))
            return StageOut(batch)

        def remember_parts(self, batch: RawBatch, parts: Sequence[Part[Any]], /) -> None:
            taken.append(("remember", parts))

    taken: list[tuple[str, Sequence[Part[Any]]]] = []
    three, seven = Noting(None), Noting(None)
    together = ByPartition({3: three, 7: seven})
    batch: Any = raws(seven=[b"a", b"b"], three=[b"c"])
    out = together.apply(batch)
    together.remember(batch)
    assert out.oks is batch
    assert taken == [(what, [(seven, 0, 2), (three, 2, 3)]) for what in ("apply", "remember")]
    lone: Any = raws(seven=[b"d"], three=[])
    together.apply(lone)
    together.remember(lone)
    assert (len(taken), seven.seen, seven.scored, three.seen) == (2, [70], [70], [])


def test_no_row_of_several_partitions_is_cut_off_or_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    chain: Any = Chain(Velocity(), Recognize(), decide_stage())
    together = TogetherSessions({number: chain.open(()) for number in (0, 4, 9)})

    def refused(*_: Any) -> Any:
        raise AssertionError("rows were taken out of a batch")

    batch = of_partitions(9, 0, 4)
    monkeypatch.setattr(Columns, "_take", refused)
    counted = together.first.apply(batch).oks
    recognized = together.second.apply(counted).oks
    assert counted.event is batch.event
    assert recognized.velocity is counted.velocity
    assert len(recognized.recognition.replayed) == len(batch)
    with pytest.raises(AssertionError, match="rows were taken"):
        each_part(batch, [(chain.first.open(()), 0, 3), (chain.first.open(()), 3, 9)])


def test_a_batch_that_lost_all_its_rows_is_applied_to_any_session() -> None:
    together = ByPartition({number: Velocity().open(()) for number in (0, 1)})
    out = together.apply(of_partitions(0).part(0, 0))
    assert (len(out.oks), len(out.oks.velocity.counts), out.dropped) == (0, 0, 0)
