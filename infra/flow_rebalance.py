"""Moving the state of partitions to the processes that will own them, so that it survives kill -9 at any moment.

The layout file of every root says that a move has begun, so no flow starts before it has ended, and running it again
completes it. Within a file system a partition's directory is renamed. Between two it is copied beside its place as
``.arriving-...``, synced and compared; the original steps aside as ``.leaving-...``, the copy takes its place, and only
then the original is deleted. So a flow never finds two copies, and one whole copy exists at every moment.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from flows.state_segments import sync_directory
from infra.flow_layout import (
    Held,
    Layout,
    LayoutRefused,
    Moving,
    hold_alone,
    holder_of,
    let_go,
    new_owner,
    partition_directory,
    partitions_in,
    process_of,
    read_layout,
    take_over,
    told,
    write_layout,
)

_ASIDE = re.compile(r"\.(arriving|leaving)-(partition-(\d{5}))")
_FLAT = re.compile(r"partition-\d{5}")
_CHUNK = 1 << 20
_NOT_STATE = {"lock"}


class RebalanceFailed(Exception):
    """The move could not be carried out, or not wholly; the message is one sentence for the user."""


class Move(NamedTuple):
    """One partition's way."""

    partition: int
    source: Path
    target: Path
    bytes: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asked for: the roots that hold state now, and the root of each process to come."""

    processes: int
    sources: tuple[Path, ...]
    targets: tuple[Path, ...]

    @property
    def roots(self) -> tuple[Path, ...]:
        """Return every root once, in an order that is the same in every run."""
        return tuple(sorted({*self.sources, *self.targets}))


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done. ``resumes``: an earlier run did not end."""

    processes: int
    before: int
    moves: tuple[Move, ...]
    staying: tuple[int, ...]
    resumes: bool

    @property
    def partitions(self) -> tuple[int, ...]:
        """Return every partition of the flow."""
        return tuple(sorted({*self.staying, *(move.partition for move in self.moves)}))


def wanted(processes: int, sources: Sequence[Path], targets: Sequence[Path]) -> Wanted:
    """Return what was asked for; LayoutRefused where the directories do not fit the number of processes."""
    if len(targets) not in (1, processes):
        raise LayoutRefused(
            f"{len(targets)} directories to move to for {processes} processes: give one, or one a process"
        )
    for root in sources:
        if not root.is_dir():
            raise LayoutRefused(f"{root} is no directory: name where the flow keeps its state")
    spread = tuple(targets) * processes if len(targets) == 1 else tuple(targets)
    return Wanted(processes, tuple(root.resolve() for root in sources), tuple(root.resolve() for root in spread))


def look(order: Wanted) -> Plan:
    """Return what a rebalance would do, changing nothing. LayoutRefused or RebalanceFailed say why it cannot."""
    for root in order.roots:
        with told(root):
            if root.is_dir() and any(_FLAT.fullmatch(path.name) for path in root.iterdir()):
                raise LayoutRefused(f"{root} is of an earlier version: run this once without --dry-run")
    return _plan(order)


def rebalance(order: Wanted, on_bytes: Callable[[int], None] = lambda _: None) -> Plan:
    """Move every partition to where it belongs; return what was done. ``on_bytes`` hears of progress."""
    with ExitStack() as held:
        for root in order.roots:
            with told(root):
                root.mkdir(parents=True, exist_ok=True)
                held.callback(let_go, _hold(root))
                if root in order.sources and read_layout(root) is None and take_over(root):
                    write_layout(root, Layout(1, new_owner()))
        plan = _plan(order)
        _refuse_held(order)
        try:
            _carry_out(order, plan, on_bytes)
        except OSError as error:
            raise RebalanceFailed(
                f"the move stopped ({error.strerror or error}): nothing is lost; mend that and run it again"
            ) from error
    return plan


def _hold(root: Path) -> int:
    try:
        return hold_alone(root)
    except LayoutRefused as refused:
        raise RebalanceFailed(str(refused)) from None


def total_bytes(order: Wanted) -> int:
    """Return about how many bytes lie in all roots: for a progress bar."""
    return sum(_size(held.path) for root in order.roots if root.is_dir() for held in partitions_in(root))


def _plan(order: Wanted) -> Plan:
    with ExitStack() as said:
        for root in order.roots:
            said.enter_context(told(root))
        layouts = {root: layout for root in order.roots if root.is_dir() and (layout := read_layout(root)) is not None}
        found = _found(order)
    moving = {layout.moving for layout in layouts.values() if layout.moving is not None}
    _check_moving(order, moving, found)
    _check_whole(order, layouts, found, bool(moving))
    moves, staying = [], []
    for partition, held in sorted(found.items()):
        process = process_of(partition, order.processes)
        target = partition_directory(order.targets[process], process, partition)
        if held.path == target:
            staying.append(partition)
        else:
            moves.append(Move(partition, held.path, target, _size(held.path)))
    before = next((layouts[root].processes for root in order.sources if root in layouts), order.processes)
    return Plan(order.processes, before, tuple(moves), tuple(staying), bool(moving))


def _found(order: Wanted) -> dict[int, Held]:
    """Return the one place of every partition; one that stepped aside for a copy that is not there yet counts."""
    places: dict[int, list[Held]] = defaultdict(list)
    aside: dict[int, list[Held]] = defaultdict(list)
    for root in order.roots:
        if root.is_dir():
            for held in partitions_in(root):
                places[held.partition].append(held)
            for kind, held in _aside(root):
                if kind == "leaving":
                    aside[held.partition].append(held)
    for partition, several in places.items():
        if len(several) > 1:
            raise RebalanceFailed(
                f"partition {partition} has state in {several[0].path} and in {several[1].path}: "
                "two flows kept it; move the one that is behind out of the way (`clickgoose flow state` shows offsets)"
            )
    for partition, left in aside.items():
        if partition not in places:
            places[partition] = left[:1]
    return {partition: several[0] for partition, several in places.items()}


def _aside(root: Path) -> Iterator[tuple[str, Held]]:
    for directory in sorted(root.glob("process-*")):
        for path in sorted(directory.iterdir()):
            if match := _ASIDE.fullmatch(path.name):
                yield match[1], Held(int(match[3]), int(directory.name.removeprefix("process-")), path)


def _check_moving(order: Wanted, moving: set[Moving], found: dict[int, Held]) -> None:
    for begun in moving:
        if begun.processes != order.processes:
            raise LayoutRefused(
                f"a move to {begun.processes} processes has begun: complete it first with "
                f"`clickgoose flow rebalance --processes {begun.processes}` and the same directories"
            )
        if missing := sorted(set(begun.partitions) - found.keys()):
            raise LayoutRefused(
                f"partition {missing[0]} was part of the move that has begun and is in none of these directories: "
                "name all of them"
            )


def _check_whole(order: Wanted, layouts: dict[Path, Layout], found: dict[int, Held], resumes: bool) -> None:
    """Refuse where directories were forgotten: their partitions would begin anew."""
    if not any(root in layouts for root in order.sources) and not found:
        raise LayoutRefused(f"there is no state of a flow in {', '.join(map(str, order.sources))}")
    counts = {layouts[root].processes for root in order.sources if root in layouts}
    if len(order.roots) > 1 and not resumes:
        if len(counts) > 1:
            raise LayoutRefused(f"the directories are of flows with {' and '.join(map(str, sorted(counts)))} processes")
        have = {held.process for held in found.values()}
        lacking = sorted(set(range(*counts)) - have) if counts else []
        if lacking:
            raise LayoutRefused(f"process {lacking[0]}'s state is in none of the directories: name all with --from")


def _refuse_held(order: Wanted) -> None:
    for root in order.roots:
        for held in partitions_in(root):
            if (holder := holder_of(held.path)) is not None:
                raise RebalanceFailed(f"{held.path} is in use by process {holder}: stop that flow first")


def _carry_out(order: Wanted, plan: Plan, on_bytes: Callable[[int], None]) -> None:
    owners = {root: layout.owner if (layout := read_layout(root)) else new_owner() for root in order.roots}
    if plan.moves or plan.resumes:
        for root in order.roots:
            layout = read_layout(root)
            before = layout.processes if layout else plan.before
            write_layout(root, Layout(before, owners[root], Moving(plan.processes, plan.partitions)))
        _tidy(order)
        for move in _moves_now(order):
            _move(move, on_bytes)
        _tidy(order)
    for root in order.roots:
        write_layout(root, Layout(plan.processes, owners[root]))


def _moves_now(order: Wanted) -> tuple[Move, ...]:
    """Return what is left to do after an interrupted run was tidied up."""
    return _plan(order).moves


def _tidy(order: Wanted) -> None:
    """Undo or finish what an interrupted run left: copies not in place, originals not needed."""
    live = {held.partition for root in order.roots for held in partitions_in(root)}
    for root in order.roots:
        for kind, held in list(_aside(root)):
            if kind == "leaving" and held.partition not in live:
                held.path.rename(held.path.with_name(f"partition-{held.partition:05d}"))
                live.add(held.partition)
            else:
                shutil.rmtree(held.path)
            sync_directory(held.path.parent)


def _move(move: Move, on_bytes: Callable[[int], None]) -> None:
    move.target.parent.mkdir(parents=True, exist_ok=True)
    sync_directory(move.target.parent.parent)
    try:
        move.source.rename(move.target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _move_between_file_systems(move, on_bytes)
    else:
        on_bytes(move.bytes)
    sync_directory(move.target.parent)
    sync_directory(move.source.parent)


def _move_between_file_systems(move: Move, on_bytes: Callable[[int], None]) -> None:
    arriving = move.target.with_name(f".arriving-{move.target.name}")
    leaving = move.source.with_name(f".leaving-{move.source.name}")
    arriving.mkdir()
    for path in sorted(move.source.iterdir()):
        if path.name not in _NOT_STATE:
            _copy(path, arriving / path.name, on_bytes)
    sync_directory(arriving)
    sync_directory(arriving.parent)
    move.source.rename(leaving)
    sync_directory(leaving.parent)
    arriving.rename(move.target)
    sync_directory(move.target.parent)
    shutil.rmtree(leaving)


def _copy(source: Path, target: Path, on_bytes: Callable[[int], None]) -> None:
    """Copy a file, sync it, and compare what can be read back."""
    with source.open("rb") as reader, target.open("wb") as writer:
        while chunk := reader.read(_CHUNK):
            writer.write(chunk)
            on_bytes(len(chunk))
        writer.flush()
        os.fsync(writer.fileno())
    shutil.copystat(source, target)
    if _digest(source) != _digest(target):
        raise RebalanceFailed(f"{target} differs from what was copied: nothing was deleted; check that disk")


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())
