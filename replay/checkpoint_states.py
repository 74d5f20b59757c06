"""The states of a replay's partitions, kept in state logs of the run's own: resumed at exactly the checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flows.chain import Chain, ChainSession
from flows.state_log import StateLog, StateMisplaced, directory_of
from replay.checkpoint import ReplayRefused
from schemas.batches import Counted, Normalized, Recognized

DIRECTORY: Final = "state"
Sessions = ChainSession[Normalized, Counted, Recognized]
Stages = Chain[Normalized, Counted, Recognized]


@dataclass(slots=True)
class _Open:
    log: StateLog
    session: Sessions
    applied: int | None
    whole: bool = False  # the next frame must hold all: the session is not the one that the frames before it are of


class States:
    """The open sessions of a run. Between ``append`` and ``mark`` the caller makes the checkpoint count."""

    def __init__(self, directory: Path, stages: Stages) -> None:
        self._directory = directory / DIRECTORY
        self._stages = stages
        self._open: dict[int, _Open] = {}

    def open(self, frames: Mapping[int, int | None]) -> None:
        """Open each partition at a frame, None: empty. ReplayRefused where it is not there any more."""
        for partition, frame in frames.items():
            self._open[partition] = self._opened(partition, frame)

    def _opened(self, partition: int, frame: int | None) -> _Open:
        directory = directory_of(self._directory, partition)
        log = StateLog(directory, partition)
        try:
            loaded = log.load(-1 if frame is None else frame)
            if loaded.next_offset != frame:
                where = f"whole at offset {loaded.next_offset} only" if loaded.next_offset is not None else "not whole"
                raise ReplayRefused(
                    f"the state in {directory} is damaged, {where} and not at {frame}: drop the run with "
                    "`clickgoose replay drop` and run it again"
                )
            return _Open(log, self._stages.open(loaded.snapshots), frame)
        except (ValueError, StateMisplaced) as error:
            log.close()
            raise ReplayRefused(
                f"the state in {directory} cannot be read ({error}): resume with the build that began it"
            ) from None
        except BaseException:
            log.close()
            raise

    def __getitem__(self, partition: int) -> Sessions:
        """Return a partition's session."""
        return self._open[partition].session

    def replace(self, partition: int, session: Sessions) -> None:
        """Put another session in the place of a partition's."""
        state = self._open[partition]
        state.session, state.whole = session, True

    def applied(self, places: Mapping[int, int]) -> None:
        """Note up to which offsets rows were applied."""
        for partition, offset in places.items():
            self._open[partition].applied = offset

    def append(self) -> dict[int, int | None]:
        """Write a frame of each state that changed, durably; return the number of each one's newest frame."""
        for state in self._open.values():
            if state.applied is None or state.log.newest_offset == state.applied:
                continue
            state.log.append(state.session.snapshot(whole=state.whole or state.log.wants_whole()), state.applied)
            state.log.sync()
            state.whole = False
        return {partition: state.log.newest_offset for partition, state in self._open.items()}

    def mark(self) -> None:
        """Let the logs forget what no checkpoint needs any more."""
        for state in self._open.values():
            if state.log.newest_offset is not None:
                state.log.mark(state.log.newest_offset)

    def close(self) -> None:
        """Let go of the logs, and write nothing."""
        for state in self._open.values():
            state.log.close()
        self._open.clear()


def forget_states(directory: Path, keep: Iterable[int] = ()) -> None:
    """Delete the states that a run without a checkpoint left, and those of partitions that are not its own."""
    kept = {directory_of(directory / DIRECTORY, partition) for partition in keep}
    for path in (directory / DIRECTORY).glob("partition-*"):
        if path not in kept:
            shutil.rmtree(path)
