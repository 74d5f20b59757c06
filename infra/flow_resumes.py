"""Where a process of the staged topology would resume now, in offsets of ``events.raw`` and of what it reads."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from flows.checkpoints import Checkpoints
from flows.progress import Progress
from flows.stage_state import UNKNOWN, positions_of


class _Frame(NamedTuple):
    offset: int
    position: int


class Resumes:
    """Follows the frames of each partition: a kill goes back to the newest that all sinks have passed."""

    def __init__(
        self, checkpoints: Checkpoints[Any, Any], progress: Progress, starts: Mapping[int, int | None]
    ) -> None:
        self._checkpoints, self._progress = checkpoints, progress
        self._frames = {
            partition: deque([_Frame(offset or 0, positions_of(checkpoints, partition).batches)])
            for partition, offset in starts.items()
        }

    def note(self) -> None:
        """Note the frames that were just written."""
        for partition, frames in self._frames.items():
            applied, scored = self._checkpoints.reached(partition)
            if applied is not None and applied == scored and applied > frames[-1].offset:
                frames.append(_Frame(applied, positions_of(self._checkpoints, partition).batches))
            held = self._progress.watermark(partition)
            while len(frames) > 1 and frames[1].offset <= held:
                frames.popleft()

    def offset(self, partition: int) -> int:
        """Return from where rows of ``events.raw`` would be asked for again."""
        return self._frames[partition][0].offset

    def watermark(self, partition: int) -> int:
        """Return the offset to commit of the topic that is read."""
        position = self._frames[partition][0].position
        return self._progress.watermark(partition) if position == UNKNOWN else position
