"""The pipeline as it is deployed, and what each of its stages is given when a mixture of events comes in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from flows.pipeline import Pipeline, build_pipeline
from schemas.batches import RawBatch
from schemas.stage import StageOut
from scoring.deployment import only
from scoring.model import Model, find_model
from tests.wire import LATENESS, RING, mixture, raw_batch

STAGES = tuple(Pipeline.__dataclass_fields__)


def outcome(stage: Any, batch: Any) -> StageOut[Any]:
    """Return what a stage makes of a batch; a keyed stage begins without a state."""
    return stage.open(()).apply(batch) if hasattr(stage, "open") else stage(batch)


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    """Return the ten stages with the shipped model."""
    model = Model.load(find_model())
    return build_pipeline(RING, only(model), lateness_ms=LATENESS)


@pytest.fixture(scope="session")
def given(pipeline: Pipeline) -> Mapping[str, RawBatch]:
    """Return the batch that each stage is given, by its name."""
    batch: Any = raw_batch(mixture())
    found = {}
    for name in STAGES:
        found[name] = batch
        batch = outcome(getattr(pipeline, name), batch).oks
    return found
