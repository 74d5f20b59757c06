"""The dataflow of decisions: events.decisions in, ClickHouse's decisions out. No state but the committed offsets.

::

    events.decisions -> record -> decisions
                          |
                          +-----> dead letters
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream
from bytewax.inputs import Source
from bytewax.outputs import Sink

from flows.bind import bind_stage
from flows.parcel import Parcel
from flows.run_stage import Monitor
from flows.sinks.decisions import RecordedParcel
from flows.stages.read_records import ReadRecords
from schemas.batches import RawBatch


@dataclass(frozen=True, slots=True)
class RecordParts:
    """What the composition root puts in."""

    source: Source[Parcel[RawBatch]]
    sinks: Mapping[str, Sink[Any]]
    monitor: Monitor


def build_record_flow(parts: RecordParts, flow_id: str = "record_decisions") -> Dataflow:
    """Return the dataflow."""
    flow = Dataflow(flow_id)
    raw = op.input("decisions", flow, parts.source)
    read = bind_stage(raw, ReadRecords(), parts.monitor)
    watched = op.map("breaker", read, parts.monitor.breaker.watch)
    carried: Stream[RecordedParcel] = op.map("carry", watched, RecordedParcel)
    for name, sink in parts.sinks.items():
        op.output(name, carried, sink)
    return flow
