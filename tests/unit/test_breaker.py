"""The circuit breaker: by partition, by fault, by share and by letters one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge

from flows.breaker import Breaker, BreakerLimits, TooManyDeadLetters
from flows.parcel import Parcel, Span
from schemas.dead_letter import REASONS, DeadLetter, Reason

LIMITS = BreakerLimits(share=0.25, least_rows=100, rows=400, run=50)


def letter(partition: int, offset: int, reason: Reason = Reason.BUG) -> DeadLetter:
    return DeadLetter(reason, "score", "", "events.raw", partition, offset, 0, 0, b"", "envelope", "")


class Feed:
    """Parcels of partitions, each after the one before."""

    def __init__(self, limits: BreakerLimits = LIMITS) -> None:
        self.registry = CollectorRegistry()
        self.breaker = Breaker(limits, Gauge("share", "of rows", ("partition",), registry=self.registry))
        self._next: dict[int, int] = {}

    def give(self, rows: Mapping[int, int] | int, dead: Mapping[int, Iterable[int]] | None = None, **how: Any) -> None:
        """Give rows by partition; ``dead``: places within the parcel, by partition."""
        of = {0: rows} if isinstance(rows, int) else rows
        firsts = {partition: self._next.get(partition, 0) for partition in of}
        spans = tuple(Span(partition, firsts[partition], firsts[partition] + count) for partition, count in of.items())
        died = [(partition, firsts[partition] + place) for partition in of for place in (dead or {}).get(partition, ())]
        letters = [letter(partition, offset, **how) for partition, offset in died]
        parcel: Parcel[Any] = Parcel(spans, (), sum(of.values()), tuple(letters))
        self._next |= {span.partition: span.next for span in spans}
        assert self.breaker.watch(parcel) is parcel

    def share(self, partition: int = 0) -> float | None:
        return self.registry.get_sample_value("share", {"partition": str(partition)})


def test_a_share_over_the_limit_stops_the_flow_and_says_where_how_much_and_why() -> None:
    feed = Feed()
    feed.give({0: 90, 3: 90}, {3: range(0, 40, 2)})
    feed.give({0: 10, 3: 9}, {3: [8]})
    with pytest.raises(TooManyDeadLetters) as stopped:
        feed.give({3: 10}, {3: range(0, 10, 2)}, reason=Reason.UNKNOWN_KEY)
        feed.give({3: 10}, {3: range(0, 10, 2)})
    assert str(stopped.value) == (
        "partition 3: 31 of the last 119 rows became dead letters, more than 25%, most often internal.bug in stage "
        "score; the flow stops here and resumes from its last checkpoint, so nothing is lost: see `clickgoose "
        "deadletters stats`, mend the cause, or raise flow.dead_share_limit"
    )
    assert feed.breaker.stopped is stopped.value
    assert feed.share(0) == 0 and feed.share(3) == pytest.approx(31 / 119)


def test_few_rows_stop_nothing_but_many_letters_one_after_the_other_do() -> None:
    feed = Feed()
    feed.give(40, {0: range(40)})
    feed.give(9, {0: range(9)})
    with pytest.raises(
        TooManyDeadLetters, match=r"50 dead letters came one after the other.*raise flow.dead_run_limit"
    ):
        feed.give(1, {0: [0]})


def test_one_row_that_passes_ends_a_run() -> None:
    feed = Feed(BreakerLimits(share=1.0, least_rows=1, rows=10_000, run=50))
    for _ in range(10):
        feed.give(50, {0: range(49)})
        feed.give(50, {0: range(1, 50)})
        feed.give(1)
    with pytest.raises(TooManyDeadLetters):
        feed.give(49, {0: range(49)})
        feed.give(1, {0: [0]})


def test_another_partition_does_not_hide_what_happens_to_one() -> None:
    feed = Feed()
    feed.give({0: 10_000, 1: 60})
    with pytest.raises(TooManyDeadLetters, match="partition 1"):
        feed.give({0: 10_000, 1: 60}, {1: range(0, 60, 2)} | {0: range(0, 100, 2)}, reason=Reason.BAD_ENVELOPE)
        feed.give({0: 10_000, 1: 2}, {1: range(2)})


def test_old_rows_are_forgotten_so_a_cause_that_is_mended_stops_nothing() -> None:
    feed = Feed()
    feed.give(100, {0: range(0, 50, 2)})
    for _ in range(20):
        feed.give(100)
    assert feed.share() == 0
    feed.give(100, {0: range(0, 100, 2)})
    assert feed.share() == pytest.approx(50 / 400)


def test_what_clients_and_merchants_send_neither_stops_a_flow_nor_hides_what_does() -> None:
    rubbish = [reason for reason in Reason if REASONS[reason].fault in ("client", "merchant")]
    assert Reason.NOT_AUTHENTIC in rubbish and Reason.EMAIL in rubbish
    feed = Feed()
    for reason in rubbish:
        feed.give(400, {0: range(400)}, reason=reason)
    assert feed.share() == 0
    feed.give(80)
    for _ in range(2):
        feed.give(1_000, {0: range(1_000)}, reason=Reason.BAD_LAYOUT)
    with pytest.raises(TooManyDeadLetters, match="28 of the last 108 rows"):
        feed.give(28, {0: range(28)})


def test_rubbish_between_them_does_not_end_a_run() -> None:
    feed = Feed(BreakerLimits(share=1.0, least_rows=1, rows=10_000, run=50))
    feed.give(25, {0: range(25)})
    feed.give(400, {0: range(400)}, reason=Reason.BAD_LAYOUT)
    with pytest.raises(TooManyDeadLetters):
        feed.give(25, {0: range(25)})


def test_a_setting_lets_the_faults_of_clients_count() -> None:
    feed = Feed(BreakerLimits(share=0.25, least_rows=100, rows=400, run=500, faults=("client",)))
    feed.give(200, {0: range(200)}, reason=Reason.BUG)
    feed.give(100)
    with pytest.raises(TooManyDeadLetters, match=r"decode\.bad_layout"):
        feed.give(100, {0: range(100)}, reason=Reason.BAD_LAYOUT)


@given(
    st.lists(
        st.lists(st.sampled_from([None, Reason.BUG, Reason.UNKNOWN_KEY, Reason.BAD_LAYOUT]), min_size=1, max_size=30),
        max_size=30,
    )
)
def test_it_stops_where_counting_row_by_row_would(parcels: list[list[Reason | None]]) -> None:
    limits = BreakerLimits(share=0.4, least_rows=20, rows=50, run=12)
    breaker, at, seen, run = Breaker(limits), 0, list[tuple[int, int]](), 0
    for rows in parcels:
        letters = [letter(0, at + place, reason) for place, reason in enumerate(rows) if reason]
        ours = [reason in (Reason.BUG, Reason.UNKNOWN_KEY) for reason in rows if reason is not Reason.BAD_LAYOUT]
        longest = 0
        for died in ours:
            run = run + 1 if died else 0
            longest = max(longest, run)
        seen.append((len(ours), sum(ours)))
        while sum(count for count, _ in seen) - seen[0][0] >= limits.rows:
            seen.pop(0)
        count, dead = map(sum, zip(*seen, strict=True))
        stops = any(ours) and (longest >= limits.run or (count >= limits.least_rows and dead > limits.share * count))
        parcel: Parcel[Any] = Parcel((Span(0, at, at + len(rows)),), (), len(rows), tuple(letters))
        at += len(rows)
        if stops:
            with pytest.raises(TooManyDeadLetters):
                breaker.watch(parcel)
            return
        breaker.watch(parcel)
