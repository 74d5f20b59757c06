"""Exported training data for a comparison: labelled events as `clickgoose model export-data` wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infra.model_compare import CompareError, SourceBatch
from infra.training_files import from_files
from infra.training_source import TrainingDataError
from schemas.batches import U8
from scoring.compare import Events
from scoring.policy import Policy
from scoring.training_set import TrainingSet

_ALONE = np.uint64(1 << 63)  # added to the row's number where it belongs to no campaign


@dataclass(frozen=True, slots=True)
class ExportedEvents:
    """The rows of a directory, all labelled. Files name no event and no merchant: an event's id is its row's number.

    Every row is decided alone, by one policy. CompareError where the files cannot be read.
    """

    directory: Path
    policy: Policy
    name: str = "files"

    def total(self) -> int:
        """Return how many rows will come."""
        try:
            return from_files(self.directory).rows
        except TrainingDataError as error:
            raise CompareError(str(error)) from error

    def batches(self, a: str, b: str) -> Iterator[SourceBatch]:
        """Yield the rows; no score is stored of them."""
        done = 0
        try:
            for part in from_files(self.directory).parts:
                nothing = np.full(len(part), np.nan, np.float32)
                yield SourceBatch(
                    self._events(part, done), part.features, np.ones(len(part), np.bool_), nothing, nothing
                )
                done += len(part)
        except TrainingDataError as error:
            raise CompareError(str(error)) from error

    def _events(self, part: TrainingSet, first: int) -> Events:
        rows, policy = len(part), self.policy
        numbers = np.arange(first, first + rows, dtype=np.uint64)
        return Events(
            event_id=_ids(numbers),
            session=np.where(part.campaigns >= 0, part.campaigns.astype(np.uint64), numbers + _ALONE),
            occurred_at=part.times,
            merchant=("",) * rows,
            event_type=("",) * rows,
            label=part.labels,
            weight=part.weights,
            review=np.full(rows, policy.review, np.float32),
            deny=np.full(rows, policy.deny, np.float32),
            margin=np.full(rows, policy.margin, np.float32),
            before=np.zeros(rows, np.uint8),
        )


def _ids(numbers: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> U8:
    ids = np.zeros((len(numbers), 16), np.uint8)
    ids[:, 8:] = numbers.astype(">u8").view(np.uint8).reshape(-1, 8)
    return ids
