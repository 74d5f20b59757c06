"""The shipped model's training data: the simulated traffic, through the real stages, as one labelled matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from enrichers.address_table import load_address_table
from enrichers.stage import Enrich
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
from schemas.batches import Enriched, RawBatch
from scoring.features import feature_schema, matrix
from scoring.train import TrainingSet

_LATENESS_MS = 86_400_000


def enriched_batches(events: int, seed: int) -> Iterator[tuple[Enriched, NDArray[np.int8], list[str]]]:
    """Yield what the flow would give its score stage, with the labels and kinds of the rows that came through."""
    monitor = Monitor.silent()
    decode, verify_mask, enrich = Decode(dataset_keys()), VerifyMask(), Enrich()
    normalize = Normalize(locate=load_address_table())
    velocity = Velocity(lateness_ms=_LATENESS_MS)
    recognize, relate = Recognize(), Relate(MemorySharedCounts())
    session = velocity.open(())
    for batch, labels, kinds in labelled_batches(events, seed):
        first = int(batch.origin.offset[0])
        parcel: Parcel[RawBatch] = Parcel((Span(0, first, first + len(batch)),), batch, len(batch))
        verified = run_stage(verify_mask, run_stage(decode, parcel, monitor), monitor)
        counted = run_session(velocity.name, session, run_stage(normalize, verified, monitor), monitor)
        recognized = run_stage(recognize, counted, monitor)
        kept = run_stage(enrich, run_stage(relate, recognized, monitor), monitor).batch
        rows = kept.origin.offset - first
        yield kept, labels[rows], [kinds[row] for row in rows.tolist()]


def training_set(events: int, seed: int, progress: Callable[[int], None] | None = None) -> TrainingSet:
    """Return the labelled matrix; ``progress`` is told the number of events done."""
    schema = feature_schema()
    features = np.empty((events, len(schema)), np.float32)
    labels, times, kinds, done = [], [], [], 0
    for batch, label, kind in enriched_batches(events, seed):
        matrix(batch, features[done:])
        done += len(batch)
        labels.append(label)
        times.append(batch.event.occurred_at)
        kinds += kind
        if progress:
            progress(done)
    return TrainingSet(features[:done], np.concatenate(labels), np.concatenate(times), tuple(kinds), schema.names)
