"""The writer thread: blocks, order of acknowledgement, back-pressure, retries, backup, crash and close."""

from __future__ import annotations

import threading
import time

import pytest

from flows.progress import Progress
from flows.sinks.background import BackgroundSink, CountingSink, Counts
from flows.sinks.encoded import EncodedParcel
from flows.sinks.writer import Report, WriterCrashed, WriterPolicy, WriterStopped
from tests.scored_parcels import encoded_parcel
from tests.waiting import SECONDS, eventually
from tests.writer_kit import QUICK, WHOLE, Fake, FakeBackup, parcel, refuse, started


def test_blocks_are_grouped_by_rows_and_everything_is_acknowledged_in_order() -> None:
    gate = threading.Event()
    fake = Fake(lambda call: gate.wait(3 * SECONDS) and None)
    writer, progress = started(fake)
    for first in (0, 2, 4, 6):
        writer.put(parcel(first))
    gate.set()
    assert writer.flush(SECONDS)
    assert [first for block in fake.blocks for first in block] == [0, 2, 4, 6]
    assert max(map(len, fake.blocks)) == 2  # two parcels of two rows are a block
    assert progress.watermark(0) == 8
    writer.close()
    assert fake.closed


class Choosy(Fake):
    """A destination for parcels whose first offset can be divided by ten."""

    def concerned(self, item: EncodedParcel) -> bool:
        return item.spans[0].first % 10 == 0


def test_a_parcel_that_has_nothing_for_the_destination_is_acknowledged_and_counted_without_a_write() -> None:
    reports: list[Report] = []
    fake = Choosy()
    writer, progress = started(fake, reports=reports)
    writer.put(parcel(2))
    assert (progress.watermark(0), writer.rows_held) == (4, 0)
    assert [(report.outcome, report.rows) for report in reports] == [("written", 2)]
    writer.put(parcel(10))
    assert writer.flush(SECONDS)
    writer.put(parcel(12))
    assert (progress.watermark(0), fake.blocks) == (14, [[10]])
    assert sum(report.rows for report in reports) == 6
    writer.close()
    with pytest.raises(WriterStopped):
        writer.put(parcel(14))
    assert progress.watermark(0) == 14


def test_a_parcel_that_has_nothing_for_the_destination_is_not_acknowledged_before_those_that_it_follows() -> None:
    gate = threading.Event()
    fake = Choosy(lambda _: gate.wait(3 * SECONDS) and None)
    writer, progress = started(fake)
    writer.put(parcel(0))
    writer.put(parcel(2))
    assert progress.watermark(0) == 0
    gate.set()
    assert writer.flush(SECONDS)
    assert progress.watermark(0) == 4
    writer.close()


def test_nothing_is_acknowledged_before_it_is_written() -> None:
    gate = threading.Event()
    writer, progress = started(Fake(lambda _: gate.wait(3 * SECONDS) and None))
    writer.put(parcel(0))
    assert not writer.flush(0.05)
    assert progress.watermark(0) == 0
    gate.set()
    assert writer.flush(SECONDS)
    assert progress.watermark(0) == 2
    writer.close()


def test_a_parcel_without_rows_is_acknowledged_too() -> None:
    writer, progress = started(Fake())
    writer.put(encoded_parcel(0, dropped=3))
    assert writer.flush(SECONDS)
    assert progress.watermark(0) == 3
    writer.close()


def test_a_full_queue_holds_the_flow_back_until_there_is_room() -> None:
    gate = threading.Event()
    writer, _ = started(Fake(lambda _: gate.wait(3 * SECONDS) and None))
    put: list[int] = []

    def feed() -> None:
        for first in range(0, 16, 2):
            writer.put(parcel(first))
            put.append(first)

    feeder = threading.Thread(target=feed)
    feeder.start()
    eventually(lambda: len(put) >= 4)
    time.sleep(0.05)
    assert len(put) == 4  # eight rows, in flight ones included
    assert writer.rows_held == 8
    gate.set()
    feeder.join(SECONDS)
    assert writer.flush(SECONDS)
    assert len(put) == 8
    writer.close()


def test_a_parcel_larger_than_the_queue_passes_alone() -> None:
    writer, progress = started(Fake())
    writer.put(WHOLE)
    assert writer.flush(SECONDS)
    assert progress.watermark(0) == 20
    writer.close()


def test_a_stop_bounds_the_wait_for_room() -> None:
    gate, stop = threading.Event(), threading.Event()
    policy = WriterPolicy(block_rows=4, queue_rows=4, close_seconds=0.2)
    writer, progress = started(Fake(lambda _: gate.wait(3 * SECONDS) and None), policy)
    writer.put(parcel(0, 4))
    stop.set()
    with pytest.raises(WriterStopped, match="told to stop"):
        writer.put(parcel(4, 4), stop)
    assert progress.watermark(0) == 0
    gate.set()
    writer.close()


def test_a_failure_that_passes_is_retried() -> None:
    fake, backup, reports = Fake(refuse(1, 2)), FakeBackup(), list[Report]()
    writer, progress = started(fake, backup=backup, reports=reports)
    writer.put(parcel(0))
    assert writer.flush(SECONDS)
    assert (fake.calls, backup.letters, progress.watermark(0)) == (3, [], 2)
    assert [(report.outcome, report.attempts, report.rows) for report in reports] == [("written", 3, 2)]
    writer.close()


def test_rows_go_to_the_backup_after_bounded_retries_and_the_flow_goes_on() -> None:
    fake, backup, reports = Fake(refuse()), FakeBackup(), list[Report]()
    policy = WriterPolicy(block_rows=2, attempts=3, backoff_seconds=0.001, probe_seconds=60)
    writer, progress = started(fake, policy, backup, reports)
    for first in range(0, 20, 2):
        writer.put(parcel(first))
    assert writer.flush(SECONDS)
    assert fake.calls == 3  # once bounded retries, then straight to the backup until the next probe
    assert [letter.offset for letter in backup.letters] == list(range(20))
    assert progress.watermark(0) == 20
    assert {report.outcome for report in reports} == {"backup"}
    assert writer.degraded
    writer.close()


def test_a_probe_finds_that_the_destination_is_back() -> None:
    fake, backup = Fake(refuse(1, 2, 3)), FakeBackup()
    writer, progress = started(fake, backup=backup)
    writer.put(parcel(0))
    assert writer.flush(SECONDS)
    assert writer.degraded
    time.sleep(QUICK.probe_seconds)
    writer.put(parcel(2))
    assert writer.flush(SECONDS)
    assert not writer.degraded
    assert ([letter.offset for letter in backup.letters], fake.blocks) == ([0, 1], [[2]])
    assert progress.watermark(0) == 4
    writer.close()


def test_a_probe_that_fails_is_not_retried() -> None:
    fake, backup = Fake(refuse()), FakeBackup()
    writer, _ = started(fake, backup=backup)
    writer.put(parcel(0))
    assert writer.flush(SECONDS)
    time.sleep(QUICK.probe_seconds)
    writer.put(parcel(2))
    assert writer.flush(SECONDS)
    assert fake.calls == QUICK.attempts + 1
    writer.close()


def test_while_the_backup_is_away_nothing_is_acknowledged_and_nothing_is_lost() -> None:
    backup = FakeBackup(failures=3)
    writer, progress = started(Fake(refuse()), backup=backup)
    writer.put(parcel(0))
    assert writer.flush(SECONDS)
    assert [letter.offset for letter in backup.letters] == [0, 1]
    assert progress.watermark(0) == 2
    writer.close()


def test_without_a_backup_the_writer_never_gives_up() -> None:
    fake = Fake(refuse(*range(1, 12)))
    writer, progress = started(fake)
    writer.put(parcel(0))
    assert writer.flush(SECONDS)
    assert (fake.calls, progress.watermark(0)) == (12, 2)
    writer.close()


def test_close_is_bounded_while_the_destination_is_away() -> None:
    policy = WriterPolicy(backoff_seconds=0.01, backoff_limit_seconds=0.02, close_seconds=0.2)
    writer, progress = started(Fake(refuse()), policy)
    writer.put(parcel(0))
    began = time.monotonic()
    with pytest.raises(WriterStopped, match="2 rows were not delivered"):
        writer.close()
    assert time.monotonic() - began < SECONDS
    assert progress.watermark(0) == 0


def test_a_crash_of_the_thread_surfaces_in_put_flush_and_close() -> None:
    def crash(_: int) -> None:
        raise ZeroDivisionError

    writer, progress = started(Fake(crash))
    writer.put(parcel(0))
    with pytest.raises(WriterCrashed) as caught:
        writer.flush(SECONDS)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(WriterCrashed):
        writer.put(parcel(2))
    with pytest.raises(WriterCrashed):
        writer.close()
    assert progress.watermark(0) == 0


def test_a_crash_wakes_who_waits_for_room() -> None:
    gate = threading.Event()

    def crash(_: int) -> None:
        gate.wait(3 * SECONDS)
        raise ZeroDivisionError

    writer, _ = started(Fake(crash))
    for first in range(0, 8, 2):
        writer.put(parcel(first))
    threading.Timer(0.1, gate.set).start()
    with pytest.raises(WriterCrashed):
        writer.put(parcel(8))


def test_a_closed_writer_takes_nothing() -> None:
    writer, _ = started(Fake())
    writer.close()
    with pytest.raises(WriterStopped, match="is closed"):
        writer.put(parcel(0))


def test_the_backoff_grows_is_capped_and_has_jitter() -> None:
    policy = WriterPolicy(backoff_seconds=0.1, backoff_limit_seconds=1.0)
    assert [policy.backoff(failures, 1.0) for failures in (1, 2, 3, 9, 10_000)] == pytest.approx([0.1, 0.2, 0.4, 1, 1])
    assert policy.backoff(1, 0.0) == pytest.approx(0.05)


def test_the_bytewax_sink_hands_every_parcel_to_its_writer_and_closes_it() -> None:
    fake = Fake()
    writer, progress = started(fake)
    partition = BackgroundSink(lambda: writer).build("step", 0, 1)
    partition.write_batch([parcel(0), parcel(2)])
    partition.close()
    assert (progress.watermark(0), fake.closed) == (4, True)


def test_the_counting_sink_counts_and_acknowledges() -> None:
    counts, progress = Counts(), Progress(["counting"])
    progress.begin(0, 0)
    partition = CountingSink(counts, progress=progress).build("step", 0, 1)
    item = encoded_parcel(3, dead=2, dropped=1)
    partition.write_batch([item])
    partition.close()
    assert counts == Counts(1, 6, 3, 2, 1, sum(map(len, item.records)))
    assert progress.watermark(0) == 6
