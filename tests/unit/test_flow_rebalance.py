"""Rebalance: every partition ends where its process looks for it, whole, also when it is killed at any step."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra import flow_layout, flow_rebalance
from infra.flow_layout import Layout, LayoutRefused, StateRoot, partitions_in, read_layout, write_layout
from infra.flow_rebalance import RebalanceFailed, look, rebalance, wanted

PARTITIONS = range(7)


class Killed(BaseException):
    """The process ended here."""


def contents(partition: int) -> dict[str, bytes]:
    return {f"segment-{n:020d}.log": bytes([partition, n]) * (1000 + n) for n in range(3)}


def laid_out(root: Path, processes: int, partitions: range = PARTITIONS) -> Path:
    """Write the state of a flow with so many processes."""
    root.mkdir(parents=True, exist_ok=True)
    for partition in partitions:
        directory = flow_layout.partition_directory(root, partition % processes, partition)
        directory.mkdir(parents=True)
        (directory / "lock").write_text("1234")
        for name, data in contents(partition).items():
            (directory / name).write_bytes(data)
    write_layout(root, Layout(processes, "owner"))
    return root


def is_whole(directory: Path, partition: int) -> bool:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "lock"} == contents(partition)


def check(roots: list[Path], partitions: range = PARTITIONS) -> None:
    """Every partition is whole where its process of ``len(roots)`` looks, and nowhere else; nothing is left beside."""
    processes = len(roots)
    for root in set(roots):
        layout = read_layout(root)
        assert layout is not None and layout.processes == processes and layout.moving is None
        assert not [path for path in root.rglob("*") if path.name.startswith(".")]
    found = {held.partition: held for root in set(roots) for held in partitions_in(root)}
    assert sorted(found) == list(partitions)
    for partition, held in found.items():
        process = partition % processes
        assert held.path == flow_layout.partition_directory(roots[process].resolve(), process, partition)
        assert is_whole(held.path, partition)
    for root in set(roots):
        StateRoot(root, processes).close()


@contextmanager
def other_file_systems(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make a rename of a partition out of its directory fail as between two file systems."""
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if self.name.startswith("partition-") and Path(target).parent != self.parent:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return real(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", rename)
        yield


@contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, step: int) -> Iterator[None]:
    """End the process before its n-th change of the disk."""
    steps = itertools.count()

    def limited(real: Callable[..., Any]) -> Callable[..., Any]:
        def change(*args: Any, **kwargs: Any) -> Any:
            if next(steps) == step:
                raise Killed
            return real(*args, **kwargs)

        return change

    with monkeypatch.context() as patched:
        for owner, name in ((Path, "rename"), (Path, "replace"), (Path, "mkdir"), (os, "fsync"), (shutil, "rmtree")):
            patched.setattr(owner, name, limited(getattr(owner, name)))
        yield


@pytest.mark.parametrize(("before", "after"), [(2, 4), (4, 3), (1, 7), (3, 1), (2, 2)])
def test_every_partition_moves_to_its_process_in_one_root(tmp_path: Path, before: int, after: int) -> None:
    root = laid_out(tmp_path / "state", before)
    plan = rebalance(wanted(after, [root], [root]))
    assert {move.partition for move in plan.moves} == {p for p in PARTITIONS if p % before != p % after}
    assert plan.partitions == tuple(PARTITIONS)
    check([root] * after)
    layout = read_layout(root)
    assert layout is not None and layout.owner == "owner", "the fence would take it for another flow's state"


@pytest.mark.parametrize("apart", [False, True], ids=["one file system", "several"])
def test_volumes_of_pods_are_rebalanced_from_2_to_4_to_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, apart: bool
) -> None:
    two = [laid_out(tmp_path / f"volume-{n}", 2, range(n, 7, 2)) for n in range(2)]
    four = [*two, tmp_path / "volume-2", tmp_path / "volume-3"]
    with other_file_systems(monkeypatch) if apart else monkeypatch.context():
        rebalance(wanted(4, two, four))
        check(four)
        rebalance(wanted(3, four, four[:3]))
    check(four[:3])
    assert partitions_in(four[3]) == []


@pytest.mark.parametrize("apart", [False, True], ids=["one file system", "several"])
def test_a_run_that_is_killed_at_any_step_is_completed_by_running_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, apart: bool
) -> None:
    """At no step are there two copies that a flow would read, or none, or may a flow start on half of a move."""
    few = range(2)
    for step in itertools.count():
        volumes = [tmp_path / str(step) / f"volume-{n}" for n in range(2)]
        laid_out(volumes[0], 1, few)
        order = wanted(2, volumes[:1], volumes)
        with other_file_systems(monkeypatch) if apart else monkeypatch.context():
            try:
                with killed_at(monkeypatch, step):
                    rebalance(order)
            except Killed:
                pass
            else:
                break
            _check_interrupted(volumes, few)
            rebalance(order)
        check(volumes, few)
    assert step > (25 if apart else 15), "the run has fewer steps than it was thought to have"


def _check_interrupted(volumes: list[Path], partitions: range) -> None:
    live = [held.partition for root in volumes if root.is_dir() for held in partitions_in(root)]
    assert len(live) == len(set(live)), "two copies that a flow would read"
    for partition in partitions:
        copies = [path for root in volumes for path in root.rglob(f"*partition-{partition:05d}")]
        assert any(is_whole(path, partition) for path in copies), "no whole copy is left"
    for process, root in enumerate(volumes):
        layout = read_layout(root) if root.is_dir() else None
        placed = {held.partition for held in partitions_in(root)} if root.is_dir() else set()
        if layout is not None and layout.moving is None and layout.processes == 2:
            assert placed == {p for p in partitions if p % 2 == process}, "a flow could start on half of a move"


def test_it_says_who_holds_the_state_and_moves_nothing(tmp_path: Path) -> None:
    root = laid_out(tmp_path / "state", 2)
    lock = (root / "process-1" / "partition-00003" / "lock").open("r+")
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(RebalanceFailed, match=r"partition-00003 is in use by process 1234: stop that flow first"):
        rebalance(wanted(4, [root], [root]))
    lock.close()
    with StateRoot(root, 2), pytest.raises(RebalanceFailed, match="is in use by a flow that starts"):
        rebalance(wanted(4, [root], [root]))
    check([root, root])


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    root = laid_out(tmp_path / "state", 2)
    plan = look(wanted(4, [root], [root]))
    assert [move.partition for move in plan.moves] == [2, 3, 6]
    assert plan.moves[0].bytes == sum(map(len, contents(2).values())) + 4
    check([root, root])


def test_a_forgotten_directory_is_refused(tmp_path: Path) -> None:
    two = [laid_out(tmp_path / f"volume-{n}", 2, range(n, 7, 2)) for n in range(2)]
    three = [laid_out(tmp_path / f"other-{n}", 3, range(n, 7, 3)) for n in range(3)]
    with pytest.raises(LayoutRefused, match=r"process 2's state is in none of the directories"):
        rebalance(wanted(2, three[:2], three[:2]))
    with pytest.raises(LayoutRefused, match=r"process 1's state is in none of the directories"):
        rebalance(wanted(2, two[:1], [two[0], tmp_path / "new"]))
    with pytest.raises(LayoutRefused, match="there is no state of a flow"):
        (tmp_path / "empty").mkdir()
        rebalance(wanted(2, [tmp_path / "empty"], [tmp_path / "empty"]))


def test_another_number_is_refused_while_a_move_is_half_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = laid_out(tmp_path / "state", 2)
    with pytest.raises(Killed), killed_at(monkeypatch, 8):
        rebalance(wanted(4, [root], [root]))
    with pytest.raises(
        LayoutRefused, match=r"half moved to 4 processes: run `clickgoose flow rebalance --processes 4`"
    ):
        StateRoot(root, 2)
    with pytest.raises(LayoutRefused, match="a move to 4 processes has begun: complete it first"):
        rebalance(wanted(3, [root], [root]))
    assert rebalance(wanted(4, [root], [root])).resumes
    check([root] * 4)


def test_what_is_done_already_is_not_done_again(tmp_path: Path) -> None:
    volumes = [laid_out(tmp_path / "volume-0", 1), tmp_path / "volume-1"]
    order = wanted(2, volumes[:1], volumes)
    rebalance(order)
    assert rebalance(order).moves == ()
    check(volumes)


def test_two_states_of_one_partition_are_told_apart_by_a_person(tmp_path: Path) -> None:
    two = [laid_out(tmp_path / f"volume-{n}", 2, range(n, 7, 2)) for n in range(2)]
    shutil.copytree(two[0] / "process-0" / "partition-00002", two[1] / "process-1" / "partition-00002")
    with pytest.raises(RebalanceFailed, match=r"partition 2 has state in .*volume-0.* and in .*volume-1"):
        rebalance(wanted(4, two, [two[0]]))


def test_a_full_disk_loses_nothing_and_the_next_run_completes_the_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, other = laid_out(tmp_path / "state", 1), tmp_path / "other"
    order = wanted(2, [root], [root, other])
    with other_file_systems(monkeypatch):
        with monkeypatch.context() as patched:
            patched.setattr(flow_rebalance, "_copy", _full)
            with pytest.raises(RebalanceFailed, match=r"No space left on device\): nothing is lost"):
                rebalance(order)
        rebalance(order)
    check([root, other])


def _full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_copy_that_differs_is_never_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, other = laid_out(tmp_path / "state", 1), tmp_path / "other"
    digests = itertools.count()
    with other_file_systems(monkeypatch), monkeypatch.context() as patched:
        patched.setattr(flow_rebalance, "_digest", lambda path: bytes([next(digests)]))
        with pytest.raises(RebalanceFailed, match="differs from what was copied: nothing was deleted"):
            rebalance(wanted(2, [root], [root, other]))
    assert all(is_whole(root / "process-0" / f"partition-{p:05d}", p) for p in PARTITIONS)


def test_a_flat_state_of_an_earlier_version_is_taken_over(tmp_path: Path) -> None:
    root = laid_out(tmp_path / "state", 1)
    for held in partitions_in(root):
        held.path.rename(root / held.path.name)
    (root / "layout.json").unlink()
    rebalance(wanted(3, [root], [root]))
    check([root] * 3)


def test_wrong_numbers_of_directories_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LayoutRefused, match="2 directories to move to for 3 processes"):
        wanted(3, [tmp_path], [tmp_path, tmp_path])
    with pytest.raises(LayoutRefused, match="is no directory"):
        wanted(1, [tmp_path / "missing"], [tmp_path])
