"""The dataflow: events.raw in, scores out. One step a stage, then one fan-out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream
from bytewax.inputs import Source
from bytewax.outputs import Sink

from flows.bind import bind_decide, bind_keyed, bind_remember, bind_stage
from flows.checkpoints import Checkpoints
from flows.parcel import Parcel
from flows.pipeline import Pipeline
from flows.run_stage import Monitor
from schemas.batches import Decided, Normalized, RawBatch, Recognized


@dataclass(frozen=True, slots=True)
class Parts:
    """What the composition root puts in: everything with a clock, a client or a file behind it."""

    source: Source[Parcel[RawBatch]]
    pipeline: Pipeline
    checkpoints: Checkpoints[Normalized, Recognized]
    encode: Callable[[Parcel[Decided]], Any]
    sinks: Mapping[str, Sink[Any]]
    monitor: Monitor


def build_flow(parts: Parts, flow_id: str = "score_events") -> Dataflow:
    """Return the dataflow. Step ids are names of stages and sinks; velocity and recognize are one step."""
    flow = Dataflow(flow_id)
    stages, monitor = parts.pipeline, parts.monitor
    raw = op.input("raw_events", flow, parts.source)
    decoded = bind_stage(raw, stages.decode, monitor)
    verified = bind_stage(decoded, stages.verify_mask, monitor)
    normalized = bind_stage(verified, stages.normalize, monitor)
    recognized = bind_keyed(normalized, stages.keyed.name, parts.checkpoints)
    related = bind_stage(recognized, stages.relate, monitor)
    enriched = bind_stage(related, stages.enrich, monitor)
    scored = bind_stage(enriched, stages.score, monitor)
    judged = bind_stage(scored, stages.judge, monitor)
    decided = bind_decide(judged, stages.decide.name, parts.checkpoints)
    remembered = bind_remember(decided, parts.checkpoints)
    watched = op.map("breaker", remembered, monitor.breaker.watch)
    encoded: Stream[Any] = op.map("encode", watched, parts.encode)
    for name, sink in parts.sinks.items():
        op.output(name, encoded, sink)
    return flow
