"""A destination that hangs or is slow: the flow is not held back, the queue stays bounded, order is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

from flows.parcel import Span
from flows.progress import Progress
from flows.sinks.circuit import Circuit
from flows.sinks.destination import DestinationError
from flows.sinks.encoded import LETTER_BYTES, ROW_BYTES, EncodedParcel
from flows.sinks.waiting import ParcelQueue, Waiting
from flows.sinks.writer import Report, Writer, WriterPolicy, WriterStopped
from schemas.dead_letter import DeadLetter
from scoring.stored_features import row_bytes
from tests.scored_parcels import encoded_parcel
from tests.waiting import SECONDS, eventually
from tests.writer_kit import Fake, FakeBackup, refuse

MIB = 1024**2


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Gate:
    """Holds every write until it is opened."""

    def __init__(self) -> None:
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self, _: int) -> None:
        self.entered.set()
        assert self.open.wait(3 * SECONDS)


def writer_of(
    fake: Fake, policy: WriterPolicy, backup: FakeBackup | None, reports: list[Report] | None = None
) -> tuple[Writer[EncodedParcel], Progress]:
    progress = Progress(["fake"])
    progress.begin(0, 0)
    pair = None if backup is None else (fake, backup)
    return Writer(fake, progress, policy, pair, None if reports is None else reports.append), progress


def test_while_a_block_hangs_the_oldest_that_wait_go_to_the_backup_and_the_flow_goes_on() -> None:
    gate, backup, reports = Gate(), FakeBackup(), list[Report]()
    policy = WriterPolicy(block_rows=2, queue_rows=8, spill_share=0.5, spill_after_seconds=0.05)
    fake = Fake(gate)
    writer, progress = writer_of(fake, policy, backup, reports)
    for first in range(0, 40, 2):
        writer.put(encoded_parcel(2, first=first))  # would block for ever at the fifth
    eventually(lambda: writer.rows_held <= 4)
    spilled = [letter.offset for letter in backup.letters]
    assert spilled == list(range(2, 2 + len(spilled))) and len(spilled) >= 30
    assert progress.watermark(0) == 0  # the first block is open, so nothing after it may count
    gate.open.set()
    assert writer.flush(SECONDS)
    assert progress.watermark(0) == 40
    written = [first for block in fake.blocks for first in block]
    assert written == [0, *range(spilled[-1] + 1, 40, 2)]  # every row once: written, or in the backup
    assert {report.outcome for report in reports} == {"written", "spilled"}
    assert sum(report.rows for report in reports) == 40
    writer.close()


def test_what_hangs_shortly_does_not_spill() -> None:
    gate, backup = Gate(), FakeBackup()
    policy = WriterPolicy(block_rows=2, queue_rows=4, spill_share=0.5, spill_after_seconds=60)
    writer, _ = writer_of(Fake(gate), policy, backup)
    for first in (0, 2):
        writer.put(encoded_parcel(2, first=first))
    time.sleep(0.3)
    assert (backup.letters, writer.rows_held, writer.pressed) == ([], 4, True)
    gate.open.set()
    writer.close()


def filled(writer: Writer[EncodedParcel], most: int) -> int:
    """Put parcels of two rows until there is no room; return the rows that are held."""
    stop = threading.Event()
    stop.set()
    try:
        for first in range(0, most, 2):
            writer.put(encoded_parcel(2, first=first), stop)
    except WriterStopped:
        pass
    return writer.rows_held


def test_while_blocks_are_taken_as_they_should_what_waits_longer_waits_in_kafka() -> None:
    gate = Gate()
    policy = WriterPolicy(block_rows=2, queue_rows=100, steady_rows=8, steady_seconds=3_600, close_seconds=0.1)
    writer, progress = writer_of(Fake(gate), policy, FakeBackup())
    assert (filled(writer, 40), writer.pressed) == (8, True)
    gate.open.set()
    assert writer.flush(SECONDS)
    assert (progress.watermark(0), writer.pressed) == (8, False)
    writer.close()


def test_a_destination_that_hangs_is_given_the_whole_queue() -> None:
    gate = Gate()
    policy = WriterPolicy(block_rows=2, queue_rows=20, steady_rows=8, steady_seconds=0.05, close_seconds=3 * SECONDS)
    writer, _ = writer_of(Fake(gate), policy, None)
    for first in range(0, 20, 2):
        writer.put(encoded_parcel(2, first=first))
    assert writer.rows_held == 20
    gate.open.set()
    writer.close()


def test_a_destination_that_was_given_up_is_given_the_whole_queue() -> None:
    hold = Gate()

    class Held(FakeBackup):
        def append(self, letters: Sequence[DeadLetter]) -> None:
            hold(0)
            super().append(letters)

    policy = WriterPolicy(
        block_rows=2, attempts=1, queue_rows=20, steady_rows=8, steady_seconds=3_600, close_seconds=0.1, spill_share=1.0
    )
    writer, _ = writer_of(Fake(refuse()), policy, Held())
    writer.put(encoded_parcel(2, first=100))
    eventually(lambda: writer.degraded)
    assert filled(writer, 40) == 20
    hold.open.set()
    assert writer.flush(SECONDS)
    writer.close()


def test_the_whole_queue_bounds_what_it_holds_while_blocks_are_taken_as_they_should() -> None:
    assert WriterPolicy(queue_rows=5, steady_rows=9).most_rows(steady=True) == 5
    assert WriterPolicy(queue_rows=9, steady_rows=5).most_rows(steady=True) == 5
    assert WriterPolicy(queue_rows=9, steady_rows=5).most_rows(steady=False) == 9
    assert WriterPolicy(queue_rows=9).most_rows(steady=True) == 9


def test_without_a_backup_a_hanging_destination_holds_the_flow_back() -> None:
    gate, stop = Gate(), threading.Event()
    policy = WriterPolicy(block_rows=2, queue_rows=4, spill_after_seconds=0.0, close_seconds=0.1)
    writer, _ = writer_of(Fake(gate), policy, None)
    for first in (0, 2):
        writer.put(encoded_parcel(2, first=first))
    stop.set()
    with pytest.raises(Exception, match="told to stop while 4 rows waited"):
        writer.put(encoded_parcel(2, first=4), stop)
    gate.open.set()
    writer.flush(SECONDS)
    writer.close()


def test_the_queue_is_bounded_in_bytes() -> None:
    gate, backup = Gate(), FakeBackup()
    one = encoded_parcel(2)
    policy = WriterPolicy(queue_bytes=3 * one.size, close_seconds=0.1, spill_after_seconds=60)
    writer, _ = writer_of(Fake(gate), policy, backup)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Exception, match="told to stop while 6 rows waited"):
        for first in range(0, 100, 2):
            writer.put(encoded_parcel(2, first=first), stop)
    assert writer.bytes_held <= policy.queue_bytes
    gate.open.set()
    writer.flush(SECONDS)
    writer.close()


def test_a_parcel_is_as_large_as_what_was_received_its_results_and_its_columns() -> None:
    item = encoded_parcel(3, dead=2)
    received = sum(map(len, item.parcel.batch.values)) + sum(len(letter.payload) for letter in item.parcel.errs)
    beside = 3 * (ROW_BYTES + row_bytes()) + 2 * LETTER_BYTES
    assert item.size == received + sum(map(len, item.records)) + beside


def test_a_block_takes_at_most_half_of_the_bytes() -> None:
    fake, one = Fake(), encoded_parcel(2)
    policy = WriterPolicy(block_rows=1_000, linger_seconds=3_600, queue_bytes=8 * one.size)
    writer, _ = writer_of(fake, policy, None)
    for _ in range(8):
        writer.put(one)
    writer.close()  # which no block lingers for
    assert [len(block) for block in fake.blocks] == [4, 4]


def test_blocks_grow_while_the_destination_is_slow() -> None:
    fed = threading.Event()

    class Slow(Fake):
        def write(self, parcels: Sequence[EncodedParcel]) -> None:
            assert fed.wait(SECONDS)
            time.sleep(0.06)
            super().write(parcels)

    fake, backup = Slow(), FakeBackup()
    policy = WriterPolicy(block_rows=2, slow_block_rows=6, slow_seconds=0.05, queue_rows=100)
    items = [encoded_parcel(2, first=first) for first in range(0, 20, 2)]
    writer, _ = writer_of(fake, policy, backup)
    for item in items:
        writer.put(item)
    fed.set()
    assert writer.flush(SECONDS)
    assert [len(block) for block in fake.blocks[:2]] == [1, 3]
    assert backup.letters == []
    writer.close()


def test_giving_up_is_bounded_in_seconds_as_well_as_in_attempts() -> None:
    class Times(Fake):
        def write(self, parcels: Sequence[EncodedParcel]) -> None:
            time.sleep(0.1)
            super().write(parcels)

    fake, backup = Times(refuse()), FakeBackup()
    policy = WriterPolicy(attempts=1_000, give_up_seconds=0.15, backoff_seconds=0.001)
    writer, _ = writer_of(fake, policy, backup)
    began = time.monotonic()
    writer.put(encoded_parcel(2))
    assert writer.flush(SECONDS)
    assert fake.calls <= 2 and time.monotonic() - began < SECONDS  # a thousand attempts would take two minutes
    assert len(backup.letters) == 2 and writer.degraded and not writer.pressed
    writer.close()


def test_while_the_probe_is_not_answered_no_block_is_tried() -> None:
    fake, backup = Fake(refuse(1)), FakeBackup()
    fake.answers = False
    writer, progress = writer_of(fake, WriterPolicy(attempts=1, probe_seconds=0.02), backup)
    for first in (0, 2, 4):
        writer.put(encoded_parcel(2, first=first))
        assert writer.flush(SECONDS)
        time.sleep(0.03)
    assert (fake.calls, fake.probes) == (1, 2)
    fake.answers = True
    writer.put(encoded_parcel(2, first=6))
    assert writer.flush(SECONDS)
    assert (fake.blocks, writer.degraded, progress.watermark(0)) == ([[6]], False, 8)
    writer.close()


def test_the_letters_of_a_large_block_are_made_a_part_at_a_time() -> None:
    class Parts(FakeBackup):
        sizes: list[int] = []

        def append(self, letters: Sequence[object]) -> None:
            self.sizes.append(len(letters))

    backup = Parts()
    writer, _ = writer_of(Fake(refuse()), WriterPolicy(block_rows=4_000, attempts=1, linger_seconds=3_600), backup)
    for item in [encoded_parcel(700, first=first) for first in range(0, 2_800, 700)]:
        writer.put(item)
    writer.close()  # which no block lingers for
    assert backup.sizes == [1_400, 1_400]


def test_parcels_are_acknowledged_in_order_whatever_is_held_first() -> None:
    acknowledged: list[Span] = []
    queue: ParcelQueue[EncodedParcel] = ParcelQueue(100, 100 * MIB, acknowledged.extend)
    for first in range(0, 8, 2):
        item = encoded_parcel(2, first=first)
        queue.put(Waiting(item, item.spans, item.rows, item.size, 0.0))
    one, two = queue.take(1, MIB), queue.take(3, MIB)
    queue.hold(two)
    assert (acknowledged, queue.rows, queue.rows_waiting, queue.settled) == ([], 4, 2, False)
    assert two[0].parcel is None
    with pytest.raises(AssertionError):
        two[0].taken()
    queue.hold(one)
    assert [span.first for span in acknowledged] == [0, 2, 4]
    queue.hold(queue.take(1, MIB))
    assert queue.settled and not queue and queue.size == 0


def test_a_circuit_says_when_to_probe_and_how_long_it_was_open() -> None:
    clock = Clock()
    circuit = Circuit(2.0, clock)
    assert circuit.recover() is None
    assert circuit.give_up()
    assert (circuit.open, circuit.due()) == (True, False)
    clock.now = 2.0
    assert circuit.due()
    assert not circuit.give_up()
    assert not circuit.due()
    clock.now = 5.0
    assert circuit.recover() == 5.0
    assert not circuit.open


def test_a_destination_that_fails_while_parcels_spill_loses_nothing() -> None:
    entered = threading.Event()

    def act(_: int) -> None:
        entered.set()
        time.sleep(0.2)
        raise DestinationError("away")

    fake, backup = Fake(act), FakeBackup(failures=2)
    policy = WriterPolicy(
        block_rows=2, queue_rows=8, attempts=2, spill_share=0.5, spill_after_seconds=0.05, backoff_seconds=0.001
    )
    writer, progress = writer_of(fake, policy, backup)
    for first in range(0, 60, 2):
        writer.put(encoded_parcel(2, first=first))
    assert writer.flush(SECONDS)
    assert sorted(letter.offset for letter in backup.letters) == list(range(60))
    assert progress.watermark(0) == 60
    writer.close()
