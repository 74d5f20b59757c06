"""Bytewax bounds nothing within an epoch: a sink that waits for room does, and the source reads no further."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import timedelta

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from flows.bind import run_bytewax
from flows.progress import Progress
from flows.sinks.background import BackgroundSink
from flows.sinks.encoded import EncodedParcel
from flows.sinks.writer import Writer, WriterPolicy
from tests.scored_parcels import encoded_parcel
from tests.waiting import SECONDS, eventually
from tests.writer_kit import Fake

ROWS = 10
STEPS = 10


class Endless(FixedPartitionedSource[EncodedParcel, None]):
    """Gives a parcel whenever it is asked, until it is told to stop."""

    def __init__(self, stop: threading.Event) -> None:
        self.given = 0
        self._parcel = encoded_parcel(ROWS)
        self._stop = stop

    def list_parts(self) -> list[str]:
        return ["endless"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> EndlessPart:
        return EndlessPart(self)

    def next(self) -> list[EncodedParcel]:
        if self._stop.is_set():
            raise StopIteration
        self.given += 1
        return [self._parcel]


class EndlessPart(StatefulSourcePartition[EncodedParcel, None]):
    def __init__(self, source: Endless) -> None:
        self._source = source

    def next_batch(self) -> list[EncodedParcel]:
        return self._source.next()

    def snapshot(self) -> None:
        """Nothing to remember."""


def test_while_a_sink_is_held_the_source_is_not_asked_for_more() -> None:
    gate, stop, seen = threading.Event(), threading.Event(), list[tuple[int, int]]()

    class Held(Fake):
        def write(self, parcels: Sequence[EncodedParcel]) -> None:
            gate.wait(3 * SECONDS)

    progress = Progress(["fake"])
    progress.begin(0, 0)
    policy = WriterPolicy(block_rows=ROWS, queue_rows=20 * ROWS)
    writer: Writer[EncodedParcel] = Writer(Held(), progress, policy)
    source = Endless(stop)

    def look() -> None:
        try:
            eventually(lambda: writer.rows_held == policy.queue_rows)
            eventually(lambda: stands_still(source))
            for wait in (0.0, 0.5):
                time.sleep(wait)
                seen.append((source.given, writer.rows_held))
        finally:
            stop.set()
            gate.set()

    def stands_still(source: Endless) -> bool:
        before = source.given
        time.sleep(0.2)
        return source.given == before

    flow = Dataflow("held")
    stream = op.input("in", flow, source)
    for step in range(STEPS):
        stream = op.map(f"step-{step}", stream, lambda parcel: parcel)
    op.output("out", stream, BackgroundSink(lambda: writer, stop))
    looker = threading.Thread(target=look)
    looker.start()
    run_bytewax(flow, timedelta(seconds=0.1))
    looker.join()
    (given, held), (later, _) = seen
    assert held == policy.queue_rows
    assert given == later  # the worker waits in the sink, so nobody polls
    assert given * ROWS - held <= (STEPS + 2) * ROWS  # between source and sink: at most a parcel a step
    assert progress.watermark(0) == ROWS
