"""Files of the run's own directory as a destination: the records that Kafka would get, without Kafka.

Rows beyond a checkpoint come again, and all that lies beyond it is cut off first. So every record is there once, and
nothing has to be looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from flows.sinks.encoded import EncodedParcel
from flows.state_segments import sync_directory
from replay.parts import Marks
from replay.result_files import CRCS, DIRECTORY, LENGTHS, FrameFile, Kind, disk_said, file_name, opened
from schemas.batches import Decided
from schemas.columns import Bool
from schemas.dead_letter import encode_dead_letter

_FRAME_BYTES: Final = 256 * 1024
"""Of records, before they are packed: as much waits in memory for each file, and goes into a frame."""


class _Waiting:
    """What is to become the next frame of a file."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.alert: list[Bool] = []
        self.size = 0

    def add(self, records: Sequence[bytes], alert: Bool) -> bool:
        """Add records; return whether they fill a frame."""
        self.records += records
        self.alert.append(alert)
        self.size += sum(map(len, records))
        return self.size >= _FRAME_BYTES


class FileResults:
    """Results and dead letters as files in a run's directory. One thread at a time."""

    name = "files"

    def __init__(self, directory: Path, marks: Marks) -> None:
        self._directory = directory / DIRECTORY
        self._files = opened(self._directory, marks)
        self._waiting: dict[str, _Waiting] = {}
        self._new = False

    def write(self, parcels: Sequence[EncodedParcel]) -> None:
        """Take parcels; they are durable after ``sync``. OutputFailed where the disk does not take them."""
        for item in parcels:
            self._scored(item)
            self._letters(item)

    def sync(self) -> Marks:
        """Make all that was written durable; return what a checkpoint must keep."""
        for name, waiting in self._waiting.items():
            self._append(name, waiting)
        self._waiting.clear()
        for file in self._files.values():
            file.sync()
        if self._new:
            with disk_said(self._directory):
                sync_directory(self._directory)
            self._new = False
        return {
            LENGTHS: {name: file.length for name, file in self._files.items()},
            CRCS: {name: file.crc for name, file in self._files.items()},
        }

    def close(self) -> None:
        """Let go of the files; what was not made durable is cut off when the run goes on."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _scored(self, item: EncodedParcel) -> None:
        batch = item.parcel.batch
        if not len(batch):
            return
        partition, alert = batch.origin.partition, alerts_of(batch)
        edges = np.flatnonzero(np.diff(partition)) + 1
        for first, end in zip([0, *edges.tolist()], [*edges.tolist(), len(batch)], strict=True):
            self._add(Kind.SCORED, int(partition[first]), item.records[first:end], alert[first:end])

    def _letters(self, item: EncodedParcel) -> None:
        for letter in sorted(item.parcel.errs, key=lambda letter: (letter.partition, letter.offset, letter.stage)):
            self._add(Kind.DEAD_LETTER, letter.partition, (encode_dead_letter(letter),), np.zeros(1, np.bool_))

    def _add(self, kind: Kind, partition: int, records: Sequence[bytes], alert: Bool) -> None:
        name = file_name(kind, partition)
        waiting = self._waiting.get(name)
        if waiting is None:
            waiting = self._waiting[name] = _Waiting()
        if waiting.add(records, alert):
            self._append(name, self._waiting.pop(name))

    def _append(self, name: str, waiting: _Waiting) -> None:
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = FrameFile(self._directory / f"{name}.frames")
            self._new = True
        file.append(waiting.records, np.concatenate(waiting.alert))


def alerts_of(batch: Decided) -> Bool:
    """Return which rows events.alerts would have: what is not allowed, and what a rule alerts of, bool[n]."""
    found: Bool = batch.decision.decision != 0
    said = batch.rules.said
    if len(said) != said.count(None):
        found |= np.fromiter((bool(one and one.alerts) for one in said), np.bool_, len(said))
    return found
