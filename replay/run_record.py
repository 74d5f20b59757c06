"""The record of a run, ``run.json``: what was asked, what it ran with, how far it is and what came of it.

It lies in the run's directory, beside what the engine keeps there, and is replaced as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from flows.state_lock import holder_of
from flows.state_segments import sync_directory
from replay.checkpoint import Account
from replay.live_digest import Compared
from replay.namespace import NAME, REPLAYS, STORES, BadName, Part, check_name, directory_of
from replay.plan import Plan

FILE: Final = "run.json"
LOCK: Final = "process"
"""The directory whose lock the process has that works on the run."""
_FORMAT: Final = 1


class RecordError(Exception):
    """A run's record is missing or cannot be read; the message is one sentence."""


class State(StrEnum):
    """Where a run is."""

    PLANNED = "planned"  # its names are being made
    RUNNING = "running"
    PAUSED = "paused"  # by a signal, at a checkpoint
    DONE = "done"
    FAILED = "failed"  # ``sentence`` says why; it may be resumed


class RunOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was asked beside the plan, as it was typed; results depend on ``model``, ``policies``, ``rules``, ``rows``.

    Empty means what is live.
    """

    model: str = ""
    policies: str = ""
    rules: str = "live"
    into: tuple[Part, ...] = STORES
    counts: str = "memory"
    order: str = "appended"  # of rows of different partitions; "history": as the live flow counted them
    rate: float = 0.0
    speed: float = 0.0
    rows: int = 512


class Versions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What outcomes depend on beside the plan: two runs of one plan with the same are the same to the byte."""

    build: str
    model: str  # the live one
    candidate: str = ""
    percent: float = 0.0
    shadows: tuple[str, ...] = ()
    policies: str = ""  # digest; empty: each model's own
    rules: str = ""  # digest of what is in force
    lists: str = ""  # digest of all lists
    list_entries: int = 0
    settings: str = ""  # digest of the settings that outcomes depend on
    data: str = ""  # digest of the look-ups' data files


class Range(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Times of the first and the last event of the range, ms since the epoch, as far as they are known."""

    first: int = 0
    last: int = 0


class Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The record."""

    name: str
    id: str  # tells runs of the same name apart
    state: State
    plan: Plan
    options: RunOptions
    versions: Versions
    host: str
    begun_at: int  # ms since the epoch
    changed_at: int
    ended_at: int = 0
    account: Account = Account()
    seconds: float = 0.0  # of work, all attempts together
    cpu_seconds: float = 0.0  # of the attempts that ended at a checkpoint
    appended: Range = Range()
    resumed: int = 0  # how often
    sentence: str = ""  # of a failure
    live: Compared | None = None  # what is live, before and after
    format: int = _FORMAT

    @property
    def rows(self) -> int:
        """Return the rows of the range that were dealt with."""
        return self.account.read

    @property
    def rate(self) -> float:
        """Return events a second, those that were warmed up too."""
        return (self.account.read + self.account.warmed) / self.seconds if self.seconds else 0.0


def write_run(directory: Path, run: Run) -> None:
    """Replace the record, durably."""
    path, temporary = directory / FILE, directory / f"{FILE}.tmp"
    with temporary.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(directory)


def read_run(directory: Path) -> Run:
    """Return the record; RecordError where there is none that this build can read."""
    path = directory / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Run)
    except FileNotFoundError:
        raise RecordError(f"there is no replay {directory.name}: `clickgoose replay list` names them") from None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise RecordError(f"{path} cannot be read by this build ({error}): use the one that made it") from None
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}") from None


def runs_in(home: Path) -> Iterator[tuple[str, Run | RecordError]]:
    """Give the runs of a home by their names; of a record that cannot be read, why."""
    root = home / REPLAYS
    for path in sorted(root.iterdir()) if root.is_dir() else ():
        if NAME.fullmatch(path.name) and path.is_dir():
            try:
                yield path.name, read_run(path)
            except RecordError as error:
                yield path.name, error


def is_running(directory: Path) -> bool:
    """Return whether a process works on a run."""
    return holder_of(directory / LOCK) is not None


def read_named(home: Path, name: str) -> Run:
    """Return the record of a run by its name; RecordError also where no run can be called so."""
    try:
        check_name(name)
    except BadName as error:
        raise RecordError(str(error)) from None
    return read_run(directory_of(home, name))
