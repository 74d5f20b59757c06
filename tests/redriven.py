"""Stages with a bug for some events, and their letters as the records that a redrive sends again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from flows.pipeline import Pipeline
from schemas.batches import RawBatch
from schemas.dead_letter import DeadLetter
from schemas.redriven import original_of, wrap_redriven
from schemas.stage import StageOut


class Buggy:
    """A stateless stage that raises where one of some events is in the batch."""

    def __init__(self, stage: Any, event_ids: Collection[bytes]) -> None:
        self.name = stage.name
        self._stage = stage
        self._ids = event_ids

    def __call__(self, batch: Any, /) -> StageOut[Any]:
        if any(row.tobytes() in self._ids for row in batch.event.event_id):
            raise ZeroDivisionError("a bug that the test put there")
        out: StageOut[Any] = self._stage(batch)
        return out


def with_bug(pipeline: Pipeline, stage: str, event_ids: Collection[bytes]) -> Pipeline:
    """Return the pipeline with a bug in one stage."""
    return replace(pipeline, **{stage: Buggy(getattr(pipeline, stage), event_ids)})  # type: ignore[arg-type]


def sent_again(letters: Sequence[DeadLetter]) -> list[bytes]:
    """Return the records that a redrive of letters appends."""
    return [wrap_redriven(letter.attempts, letter.told, original_of(letter.payload)) for letter in letters]


def ids_of(batch: RawBatch, rows: Collection[int]) -> set[bytes]:
    """Return the event ids of some rows of a batch that is decoded."""
    event: Any = getattr(batch, "event")  # noqa: B009 - of any stage from decode on
    return {event.event_id[row].tobytes() for row in rows}
