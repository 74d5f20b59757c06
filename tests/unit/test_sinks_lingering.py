"""How long rows wait for a block: what ends the wait, and that nobody is woken by what does not."""

from __future__ import annotations

import threading
import time

from flows.progress import Progress
from flows.sinks.writer import Writer, WriterPolicy
from tests.waiting import SECONDS, eventually
from tests.writer_kit import Fake, parcel, started


def test_a_block_that_is_not_full_leaves_after_the_linger() -> None:
    left: list[float] = []
    fake = Fake(lambda _: left.append(time.monotonic()))
    writer, progress = started(fake, WriterPolicy(block_rows=100, linger_seconds=0.5))
    began = time.monotonic()
    writer.put(parcel(0))
    writer.put(parcel(2))
    while progress.watermark(0) < 4:  # a flush would not let it linger
        assert time.monotonic() - began < SECONDS
        time.sleep(0.01)
    assert left[0] - began >= 0.5
    assert fake.blocks == [[0, 2]]
    writer.close()


def test_a_full_block_does_not_wait_for_the_linger() -> None:
    fake = Fake()
    writer, _ = started(fake, WriterPolicy(block_rows=4, linger_seconds=600))
    writer.put(parcel(0))
    time.sleep(0.05)  # now it waits for more
    writer.put(parcel(2))
    eventually(lambda: fake.blocks == [[0, 2]])
    writer.close()


def test_a_parcel_that_comes_while_a_block_lingers_wakes_no_thread() -> None:
    looks: list[str] = []  # the thread looks at the clock whenever it wakes

    def clock() -> float:
        looks.append(threading.current_thread().name)
        return time.monotonic()

    progress = Progress(["fake"])
    progress.begin(0, 0)
    writer = Writer(Fake(), progress, WriterPolicy(block_rows=1_000, linger_seconds=600), clock=clock)
    writer.put(parcel(0))
    eventually(lambda: "sink-fake" in looks)
    time.sleep(0.05)  # now it lingers
    woken = looks.count("sink-fake")
    for first in range(2, 42, 2):
        writer.put(parcel(first))
        time.sleep(0.001)
    assert looks.count("sink-fake") == woken
    writer.close()
    assert progress.watermark(0) == 42


def test_blocks_linger_longer_where_the_last_one_took_long() -> None:
    fake = Fake(lambda call: time.sleep(0.4) if call == 1 else None)
    writer, progress = started(fake, WriterPolicy(block_rows=100, longest_linger_seconds=600))
    writer.put(parcel(0))
    eventually(lambda: progress.watermark(0) == 2)
    writer.put(parcel(2))
    time.sleep(0.1)
    writer.put(parcel(4))
    writer.close()  # which ends the linger
    assert fake.blocks == [[0], [2, 4]]
    policy = WriterPolicy(linger_seconds=1.0, longest_linger_seconds=3.0)
    assert [policy.linger(last) for last in (0.0, 0.2, 0.5, 60.0)] == [1.0, 1.0, 2.5, 3.0]
    assert WriterPolicy(linger_seconds=1.0).linger(60.0) == 1.0


def test_a_flush_does_not_wait_for_the_linger() -> None:
    fake = Fake()
    writer, _ = started(fake, WriterPolicy(block_rows=100, linger_seconds=60))
    writer.put(parcel(0))
    assert writer.flush(SECONDS)
    assert fake.blocks == [[0]]
    writer.close()


def test_close_does_not_wait_for_the_linger() -> None:
    fake = Fake()
    writer, progress = started(fake, WriterPolicy(block_rows=100, linger_seconds=60))
    writer.put(parcel(0))
    writer.close()
    assert (fake.blocks, progress.watermark(0)) == ([[0]], 2)
