"""The shipped model's training data: the simulated traffic, through the real stages, as one labelled matrix.

The labels are told to ``recognize`` as decisions, so that networks have a reputation: only of events that lie
``SCORE_LAG`` and more offsets before, as with real scores. A label is always right, and a decision is not: reputations
are better here than a shop's own will be. Velocity is told no scores: what a model said before is no part of its input.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from enrichers.address_table import load_address_table
from enrichers.prevalence_seed import load_prevalence_seed
from enrichers.stage import load_enrich
from flows.lookups.memory_shared import MemorySharedCounts
from flows.parcel import Parcel, Span
from flows.run_stage import Monitor, run_session, run_stage
from flows.stages.decode import Decode
from flows.stages.normalize import Normalize
from flows.stages.recognize import Recognize
from flows.stages.relate import Relate
from flows.stages.velocity import Velocity
from flows.stages.verify_mask import VerifyMask
from infra.traffic.dataset import dataset_keys, labelled_batches
from infra.training_source import Progress, Source, joined
from schemas.batches import I8, I64, Decided, Decision, Enriched, RawBatch, Rules, Score
from schemas.columns import widen
from schemas.result import DECISIONS
from scoring.features import feature_schema, matrix
from scoring.model_card import SEMI_SYNTHETIC
from scoring.training_set import TrainingSet

_LATENESS_MS = 86_400_000
PACES = (9.0, 480.0, 1_800.0) * 5
"""Events a minute, one after the other: a model that saw one density takes the crowd of another for an attack. They
come again and again, because the last part of the time is what the model is judged on."""
SIMULATED, RECORDED = "simulated", "recorded"  # sources: RECORDED plays what a real client showed
_ALLOW, _DENY = DECISIONS.index("allow"), DECISIONS.index("deny")


class Labelled(NamedTuple):
    """What the flow would give its score stage, and what is true of the n rows that came through."""

    batch: Enriched
    labels: I8  # [n]: 1 is fraud
    kinds: list[str]
    campaigns: I64  # [n]: -1 where the event belongs to none
    sources: list[str]


def enriched_batches(events: int, seed: int) -> Iterator[Labelled]:
    """Yield the simulated traffic as the score stage would get it."""
    monitor = Monitor.silent()
    decode, verify_mask, enrich = Decode(dataset_keys()), VerifyMask(), load_enrich()
    normalize = Normalize(locate=load_address_table())
    velocity, recognize = Velocity(lateness_ms=_LATENESS_MS), Recognize(load_prevalence_seed())
    relate = Relate(MemorySharedCounts())
    devices, traffic = velocity.open(()), recognize.open(())
    for made in labelled_batches(events, seed, paces=PACES):
        first, read = int(made.raw.origin.offset[0]), len(made.raw)
        parcel: Parcel[RawBatch] = Parcel((Span(0, first, first + read),), made.raw, read)
        verified = run_stage(verify_mask, run_stage(decode, parcel, monitor), monitor)
        counted = run_session(velocity.name, devices, run_stage(normalize, verified, monitor), monitor)
        recognized = run_session(recognize.name, traffic, counted, monitor)
        kept = run_stage(enrich, run_stage(relate, recognized, monitor), monitor).batch
        rows = kept.origin.offset - first
        traffic.remember(_as_decisions(kept, made.labels[rows]))
        places = rows.tolist()
        sources = [RECORDED if made.clients[row] else SIMULATED for row in places]
        yield Labelled(kept, made.labels[rows], [made.kinds[row] for row in places], made.campaigns[rows], sources)


def _as_decisions(batch: Enriched, labels: I8) -> Decided:
    """Return the batch as if each label had been the decision."""
    fraud = labels == 1
    decision = np.where(fraud, _DENY, _ALLOW).astype(np.uint8)
    score = Score.of("labels", np.where(fraud, 100, 0).astype(np.float32))
    return widen(Decided, batch, score=score, rules=Rules.none(len(batch)), decision=Decision.of(decision))


def simulated(events: int, seed: int) -> Source:
    """Return the simulated traffic as a source of training."""
    return Source(SEMI_SYNTHETIC, feature_schema().names, events, _parts(events, seed))


def _parts(events: int, seed: int) -> Iterator[TrainingSet]:
    for one in enriched_batches(events, seed):
        yield TrainingSet(
            matrix(one.batch),
            one.labels,
            one.batch.event.occurred_at,
            tuple(one.kinds),
            feature_schema().names,
            one.campaigns,
            tuple(one.sources),
            np.ones(len(one.batch)),
        )


def training_set(events: int, seed: int, progress: Progress | None = None) -> TrainingSet:
    """Return the labelled matrix."""
    return joined(simulated(events, seed), progress)
