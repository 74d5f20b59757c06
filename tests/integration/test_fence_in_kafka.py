"""The fence on real Kafka: what a flow commits is what another one reads, and one of two remains."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from confluent_kafka import Consumer, TopicPartition

from flows.sources.fence import Fence, Fenced, FenceUnknown, KafkaGroup, Owner, TakenOver, Waits
from tests.stack_fixture import Namespace
from tests.waiting import PATIENCE, SECONDS

EVERY = 0.2
WAITS = Waits(margin=SECONDS, kafka=PATIENCE)  # a living owner is seen at its next commit, however late that comes
HERE = Owner("state-a", "host-a", 11, EVERY)
THERE = Owner("state-b", "host-b", 22, EVERY)


class Flows:
    """Fences of flows on one topic."""

    def __init__(self, namespace: Namespace, closing: ExitStack) -> None:
        self.bootstrap = namespace.stack.bootstrap
        self.topic, self.group = namespace.topic("raw", partitions=4), f"{namespace.prefix}.flow"
        self._closing = closing

    def fence(self, me: Owner) -> Fence:
        made = Fence(
            KafkaGroup(self.bootstrap, self.topic, self.group), me, lambda partition: 10 * partition, waits=WAITS
        )
        self._closing.callback(made.close)
        return made

    def committed(self) -> list[TopicPartition]:
        """Return what lag tools see."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.group})
        try:
            return list(
                consumer.committed([TopicPartition(self.topic, number) for number in range(4)], timeout=PATIENCE)
            )
        finally:
            consumer.close()


@pytest.fixture
def flows(namespace: Namespace) -> Iterator[Flows]:
    with ExitStack() as closing:
        yield Flows(namespace, closing)


def test_a_flow_commits_its_watermarks_and_its_name_and_marks_its_end(flows: Flows) -> None:
    fence = flows.fence(HERE)
    fence.claim([1, 3])
    found = flows.committed()
    assert [place.offset for place in found] == [-1001, 10, -1001, 30]
    owner = Owner.read(found[3].metadata)
    assert owner is not None and owner.same_place(HERE) and not owner.gone
    fence.close()
    last = Owner.read(flows.committed()[3].metadata)
    assert last is not None and last.same_run(owner) and last.gone


def test_a_second_flow_elsewhere_is_refused_within_a_few_commits_and_starts_after_the_first_has_ended(
    flows: Flows,
) -> None:
    first = flows.fence(HERE)
    first.claim([0, 1, 2, 3])
    began = time.monotonic()
    with pytest.raises(Fenced, match=r"partitions 1 by process 11 on host-a"):
        flows.fence(THERE).claim([1])
    assert time.monotonic() - began < 3 * EVERY + SECONDS
    first.check()
    first.close()
    began = time.monotonic()
    flows.fence(THERE).claim([1])
    assert time.monotonic() - began < 3 * EVERY + SECONDS


def test_a_running_flow_whose_commit_was_overwritten_stops_within_a_few_commits(flows: Flows) -> None:
    first = flows.fence(HERE)
    first.claim([0])
    copied = flows.fence(HERE)  # a copy of the state directory, lock and all, on the same host
    copied.claim([0])
    until = time.monotonic() + PATIENCE
    with pytest.raises(TakenOver):
        while time.monotonic() < until:
            first.check()
            time.sleep(0.02)
    copied.check()


def test_a_kafka_that_does_not_answer_is_said_within_bounds(flows: Flows) -> None:
    group = KafkaGroup("127.0.0.1:1", flows.topic, flows.group, seconds=0.5)
    try:
        with pytest.raises(FenceUnknown, match="does not say who reads"):
            group.read([0])
        with pytest.raises(FenceUnknown, match="does not take who reads"):
            group.write({0: (1, "x")})
    finally:
        group.close()
