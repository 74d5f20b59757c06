"""Letters on their way back: away, refused together, refused alone, and the rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flows.sinks.destination import DestinationError, RowsRefused
from flows.sinks.redelivery import Held, Redelivery, RedrivePolicy
from schemas.dead_letter import DeadLetter, Reason
from tests.scored_parcels import letters_of, scored_batch

POLICY = RedrivePolicy(rows_per_second=100, attempts=3, backoff_seconds=1.0, backoff_limit_seconds=8.0)
LETTER = letters_of(scored_batch(1), [0], Reason.SINK_CLICKHOUSE)[0]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class There:
    """Takes letters, but for some offsets, and unless it is away or refuses everything."""

    name = "there"

    def __init__(self, poison: Sequence[int] = ()) -> None:
        self.poison = set(poison)
        self.away = self.read_only = False
        self.calls = self.probes = 0
        self.rows: list[int] = []

    def probe(self) -> bool:
        self.probes += 1
        return not self.away

    def rewrite(self, letters: Sequence[DeadLetter]) -> None:
        self.calls += 1
        if self.away:
            raise DestinationError("ClickHouse: SocketTimeoutError")
        offsets = [letter.offset for letter in letters]
        if self.read_only or self.poison.intersection(offsets):
            raise RowsRefused("ClickHouse: ServerException 53")
        self.rows += offsets

    def close(self) -> None:
        """Nothing to let go of."""


def held(offset: int, partition: int = 0) -> Held:
    return Held(replace(LETTER, offset=offset), partition, offset)


def run(work: Redelivery, clock: Clock, seconds: float) -> tuple[int, list[int]]:
    """Let time pass in steps of a tenth; return how many were written and which offsets were left."""
    written, left = 0, []
    ends = clock.now + seconds
    while clock.now < ends:
        if work.due():
            some, gone = work.deliver()
            written += some
            left += [one.offset for one in gone]
        clock.now = round(clock.now + 0.1, 3)
    return written, left


def test_letters_are_written_in_order_at_the_rate() -> None:
    there, clock = There(), Clock()
    work = Redelivery(there, POLICY, clock)
    for first in (0, 50, 100):
        work.held += [held(offset) for offset in range(first, first + 50)]
        assert work.due()
        assert work.deliver() == (50, [])
        clock.now += 0.49
        assert not work.due()
        clock.now += 0.02
    assert (there.rows, work.held, there.calls) == (list(range(150)), [], 3)


def test_while_the_destination_is_away_only_probes_are_sent_and_nobody_is_blamed() -> None:
    there, clock = There(), Clock()
    there.away = True
    work = Redelivery(there, POLICY, clock)
    work.held += [held(offset) for offset in range(20)]
    assert run(work, clock, 60) == (0, [])
    assert there.calls == 1 and 25 <= there.probes <= 31
    assert work.away == "ClickHouse: SocketTimeoutError"
    there.away = False
    assert run(work, clock, 3) == (20, [])
    assert there.rows == list(range(20))
    assert work.away is None
    assert not work.held


def test_a_destination_that_answers_probes_but_takes_nothing_is_tried_less_and_less() -> None:
    class Slow(There):
        def probe(self) -> bool:
            return True

    there, clock = Slow(), Clock()
    there.away = True
    work = Redelivery(there, POLICY, clock)
    work.held += [held(offset) for offset in range(20)]
    assert run(work, clock, 60) == (0, [])
    assert there.calls <= 11  # after 1, 2, 4 and then every 8 seconds
    assert len(work.held) == 20


def test_a_letter_that_is_refused_alone_is_left_and_holds_up_nothing() -> None:
    there, clock = There(poison=(7,)), Clock()
    work = Redelivery(there, POLICY, clock)
    work.held += [held(offset) for offset in range(20)]
    written, gone = work.deliver()
    assert (written, gone) == (19, [])
    assert sorted(there.rows) == [offset for offset in range(20) if offset != 7]
    left: list[int] = []
    for number in range(6):  # as others go on, it is tried again
        work.held.append(held(100 + number))
        left += run(work, clock, 8)[1]
    assert left == [7]
    assert work.held == []
    assert there.rows[-6:] == list(range(100, 106))


def test_no_letter_is_left_while_the_destination_takes_nothing_at_all() -> None:
    there, clock = There(), Clock()
    there.read_only = True
    work = Redelivery(there, POLICY, clock)
    work.held += [held(offset) for offset in range(100)]
    assert run(work, clock, 120) == (0, [])
    assert len(work.held) == 100
    assert there.calls < 500  # not every letter is tried alone, again and again
    there.read_only = False
    assert run(work, clock, 20) == (100, [])
    assert sorted(there.rows) == list(range(100))


def test_live_rows_that_are_taken_are_proof_against_a_lonely_letter() -> None:
    there, clock, blocks = There(poison=(3,)), Clock(), [0]
    work = Redelivery(there, POLICY, clock, lambda: blocks[0])
    work.held.append(held(3))
    assert run(work, clock, 60) == (0, [])
    left: list[int] = []
    for _ in range(5):
        blocks[0] += 1
        left += run(work, clock, 9)[1]
    assert left == [3]


def test_letters_of_a_partition_that_somebody_else_has_now_are_forgotten() -> None:
    work = Redelivery(There(), POLICY, Clock())
    work.held += [held(0, partition=0), held(1, partition=1), held(2, partition=2)]
    work.drop([0, 2])
    assert [one.partition for one in work.held] == [1]


def test_hands_are_full_at_the_bound() -> None:
    work = Redelivery(There(), replace(POLICY, letters_at_once=2), Clock())
    work.held.append(held(0))
    assert not work.full
    work.held.append(held(1))
    assert work.full
