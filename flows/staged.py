"""The same pipeline in three processes, which hand each other batches over topics.

::

    events.raw -> decode -> verify_mask -> events.extracted                                            (extract)
    events.extracted -> normalize -> velocity -> recognize -> relate -> enrich -> events.enriched       (enrich)
    events.enriched -> score -> judge -> decide -> results, and events.outcomes back to enrich          (score)

Each of them writes its own dead letters and resumes by itself, at the offset of ``events.raw`` up to which everything
that it made is held. What a row sees does not depend on the cut: flows/scores_back.py says why.
"""

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
from flows.scores_back import ScoresBack
from flows.sinks.batches import hand_on, only_letters, tell_outcomes
from flows.stage_state import Part, StageState
from schemas.batches import Decided


@dataclass(frozen=True, slots=True)
class StagedParts:
    """What the composition root puts in. ``sinks`` take results and dead letters, ``on`` the records of ``onward``."""

    source: Source[Any]
    pipeline: Pipeline
    checkpoints: Checkpoints[Any, Any]
    sinks: Mapping[str, Sink[Any]]
    onward: tuple[str, Sink[Any]]
    starts: Mapping[int, int | None]  # where each partition resumes
    monitor: Monitor


def state_of(part: Part, pipeline: Pipeline, stream: bytes) -> StageState:
    """Return the keyed stages of a part as one."""
    keyed: dict[Part, tuple[Any, ...]] = {
        Part.EXTRACT: (),
        Part.ENRICH: (pipeline.velocity, pipeline.recognize),
        Part.SCORE: (pipeline.decide,),
    }
    return StageState(part, stream, keyed[part])


def build_extract(parts: StagedParts) -> Dataflow:
    """Return the dataflow that decodes and verifies. Its state is its offset alone."""
    flow, stages, monitor = Dataflow("extract"), parts.pipeline, parts.monitor
    raw = op.input("raw_events", flow, parts.source)
    placed: Stream[Any] = bind_keyed(raw, "place", parts.checkpoints)
    decoded = bind_stage(placed, stages.decode, monitor)
    verified: Stream[Any] = bind_stage(decoded, stages.verify_mask, monitor)
    _fan_out(bind_remember(verified, parts.checkpoints), only_letters, hand_on(parts.starts), parts)
    return flow


def build_enrich(parts: StagedParts, scores: ScoresBack) -> Dataflow:
    """Return the dataflow that counts and enriches; its source lets ``scores`` hold rows back."""
    flow, stages, monitor = Dataflow("enrich"), parts.pipeline, parts.monitor
    verified = op.input("extracted", flow, parts.source)
    normalized = bind_stage(verified, stages.normalize, monitor)
    recognized = bind_keyed(normalized, parts.pipeline.keyed.name, parts.checkpoints)
    related = bind_stage(recognized, stages.relate, monitor)
    enriched = bind_stage(related, stages.enrich, monitor)
    _fan_out(op.map("sent", enriched, scores.sent), only_letters, hand_on(parts.starts), parts)
    return flow


def build_score(parts: StagedParts, encode: Callable[[Parcel[Decided]], Any]) -> Dataflow:
    """Return the dataflow that scores, judges, decides and writes the results."""
    flow, stages, monitor = Dataflow("score"), parts.pipeline, parts.monitor
    enriched = op.input("enriched", flow, parts.source)
    placed: Stream[Any] = bind_keyed(enriched, "place", parts.checkpoints)
    scored = bind_stage(placed, stages.score, monitor)
    judged = bind_stage(scored, stages.judge, monitor)
    decided = bind_decide(judged, stages.decide.name, parts.checkpoints)
    _fan_out(bind_remember(decided, parts.checkpoints), encode, tell_outcomes(parts.starts), parts)
    return flow


def _fan_out(done: Stream[Any], encode: Callable[[Any], Any], hand: Callable[[Any], Any], parts: StagedParts) -> None:
    """Hand on what goes on first: it is what another process waits for."""
    watched = op.map("breaker", done, parts.monitor.breaker.watch)
    name, sink = parts.onward
    op.output(name, op.map("hand_on", watched, hand), sink)
    encoded: Stream[Any] = op.map("encode", watched, encode)
    for name, sink in parts.sinks.items():
        op.output(name, encoded, sink)
