"""Where the processes of a flow keep their state: ``ROOT/process-I/partition-XXXXX``, and ``ROOT/layout.json``.

A partition belongs to process ``partition % processes``. A root may hold the directories of all processes, or of one:
a pod has a volume of its own. A running flow holds ``ROOT/lock`` shared; whoever moves partitions holds it alone.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from flows.state_segments import sync_directory

log = logging.getLogger("clickgoose.flow")
_PARTITION = re.compile(r"partition-(\d{5})")
_PROCESS = re.compile(r"process-(\d+)")
_LOCK_SECONDS = 5.0


class LayoutRefused(Exception):
    """The state cannot be used as it lies; the message is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class Moving:
    """A rebalance that has begun: nothing may run on the root until it has ended."""

    processes: int
    partitions: tuple[int, ...]  # all that the flow had when it began


@dataclass(frozen=True, slots=True)
class Layout:
    """What ``layout.json`` says. ``owner`` names the flows of this root to the fence (flows/sources/fence.py)."""

    processes: int
    owner: str
    moving: Moving | None = None


class Held(NamedTuple):
    """One partition's directory in a root."""

    partition: int
    process: int
    path: Path


def process_of(partition: int, processes: int) -> int:
    """Return which process a partition belongs to."""
    return partition % processes


def process_directory(root: Path, process: int) -> Path:
    """Return where a process keeps the state of its partitions."""
    return root / f"process-{process}"


def partition_directory(root: Path, process: int, partition: int) -> Path:
    """Return where the state of a partition lies."""
    return process_directory(root, process) / f"partition-{partition:05d}"


class StateRoot:
    """A root that a running flow holds open: its layout fits, and nobody moves partitions meanwhile."""

    def __init__(self, root: Path, processes: int) -> None:
        """Open a root for one of ``processes`` processes; LayoutRefused says why not.

        A new root gets its layout. A root of the version that had partitions directly below it is taken over as that
        of one process.
        """
        self._root = root
        with told(root):
            root.mkdir(parents=True, exist_ok=True)
            _make_layout(root, processes)
            self._lock = _take(root, fcntl.LOCK_SH)
        try:
            self.owner = _fitting(root, processes).owner
        except BaseException:
            self.close()
            raise

    def directory(self, process: int) -> Path:
        """Return a process's directory."""
        return process_directory(self._root, process)

    def close(self) -> None:
        """Let go of the root. Twice is once."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        """Return the root."""
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        """Let go of the root."""
        self.close()


def _fitting(root: Path, processes: int) -> Layout:
    layout = read_layout(root)
    if layout is None:
        raise LayoutRefused(f"{root}/layout.json went away while the flow started: start it again")
    if layout.moving is not None:
        raise LayoutRefused(
            f"the state in {root} is half moved to {layout.moving.processes} processes: "
            f"run `clickgoose flow rebalance --processes {layout.moving.processes}` again, which completes it"
        )
    advice = f"run `clickgoose flow rebalance --processes {processes}` first"
    if layout.processes != processes:
        plural = "es" if layout.processes > 1 else ""
        raise LayoutRefused(
            f"the state in {root} is laid out for {layout.processes} process{plural}, not {processes}: {advice}"
        )
    for held in partitions_in(root):
        if held.process != process_of(held.partition, processes):
            raise LayoutRefused(f"{held.path} is not where {processes} processes look for it: {advice}")
    return layout


def _make_layout(root: Path, processes: int) -> None:
    """Write the layout of a root that has none."""
    if read_layout(root) is not None:
        return
    lock = _take(root, fcntl.LOCK_EX)
    try:
        if read_layout(root) is None:
            taken = take_over(root)
            write_layout(root, Layout(1 if taken else processes, new_owner()))
    finally:
        os.close(lock)


def take_over(root: Path) -> bool:
    """Move partitions that lie directly below a root to process 0. The caller holds the root alone."""
    flat = sorted(path for path in root.iterdir() if path.name.startswith("partition-") and path.is_dir())
    if not flat:
        return False
    for path in flat:
        if (holder := holder_of(path)) is not None:
            raise LayoutRefused(f"the state in {path} is in use by process {holder}: stop that flow first")
    target = process_directory(root, 0)
    target.mkdir(exist_ok=True)
    for path in flat:
        path.rename(target / path.name)
    sync_directory(target)
    sync_directory(root)
    log.warning("the state of an earlier version in %s was moved to %s, once", root, target)
    return True


def new_owner() -> str:
    """Return a name for the flows of a root."""
    return secrets.token_hex(8)


def read_layout(root: Path) -> Layout | None:
    """Return what the root's layout file says; None where there is none."""
    path = root / "layout.json"
    try:
        found = json.loads(path.read_text("utf-8"))
        moving = found.get("moving")
        begun = Moving(int(moving["processes"]), tuple(moving["partitions"])) if moving else None
        return Layout(int(found["processes"]), str(found["owner"]), begun)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise LayoutRefused(f"{path} is damaged: delete it, then run `clickgoose flow rebalance`") from None


def write_layout(root: Path, layout: Layout) -> None:
    """Replace the root's layout file, durably."""
    temporary = root / "layout.json.tmp"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(asdict(layout), file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(root / "layout.json")
    sync_directory(root)


def partitions_in(root: Path) -> list[Held]:
    """Return every partition's directory in a root."""
    found = []
    for process, directory in _numbered(root, _PROCESS):
        found += [Held(partition, process, path) for partition, path in _numbered(directory, _PARTITION)]
    return sorted(found)


def _numbered(directory: Path, pattern: re.Pattern[str]) -> Iterable[tuple[int, Path]]:
    for path in directory.iterdir():
        if (match := pattern.fullmatch(path.name)) and path.is_dir():
            yield int(match[1]), path


def holder_of(partition: Path) -> str | None:
    """Return who has a partition's state open now, None where nobody has."""
    try:
        descriptor = os.open(partition / "lock", os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip() or "unknown"
    else:
        return None
    finally:
        os.close(descriptor)


def hold_alone(root: Path) -> int:
    """Return a descriptor that holds a root alone; LayoutRefused names who has it."""
    lock = _take(root, fcntl.LOCK_EX, seconds=0.0)
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def let_go(lock: int) -> None:
    """Give a root back that was held alone."""
    with suppress(OSError):
        os.ftruncate(lock, 0)
    os.close(lock)


def _take(root: Path, kind: int, seconds: float | None = None) -> int:
    """Wait for the root's lock: another process may just be writing the first layout."""
    descriptor = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    gives_up = time.monotonic() + (_LOCK_SECONDS if seconds is None else seconds)
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < gives_up:
                time.sleep(0.02)
                continue
            mover = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise LayoutRefused(_who_holds(root, mover)) from None
        return descriptor


def _who_holds(root: Path, mover: str) -> str:
    holders = {holder for held in partitions_in(root) if (holder := holder_of(held.path)) is not None}
    if mover and not holders:
        return f"the state in {root} is being moved by process {mover} (flow rebalance): wait until it has ended"
    who = f"process {', '.join(sorted(holders))}" if holders else "a flow that starts"
    return f"the state in {root} is in use by {who}: stop that flow first"


@contextmanager
def told(root: Path) -> Iterator[None]:
    """Turn what the file system refuses into one sentence."""
    try:
        yield
    except OSError as error:
        raise LayoutRefused(f"the state in {root} cannot be used: {error.strerror or error}") from error
