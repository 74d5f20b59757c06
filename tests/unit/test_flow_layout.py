"""Where processes keep state: a root says for how many it is laid out, and a flow of another number is refused."""

from __future__ import annotations

import fcntl
import logging
import threading
import time
from pathlib import Path

import pytest

from infra import flow_layout
from infra.flow import Place
from infra.flow_layout import LayoutRefused, StateRoot, hold_alone, let_go, partitions_in, read_layout
from infra.flow_serving import FlowRefused


def test_a_new_root_takes_the_number_of_the_first_flow_and_keeps_its_owner(tmp_path: Path) -> None:
    with StateRoot(tmp_path / "new" / "state", 3) as root:
        assert root.directory(2) == tmp_path / "new" / "state" / "process-2"
        owner = root.owner
    with StateRoot(tmp_path / "new" / "state", 3) as again:
        assert again.owner == owner
    with StateRoot(tmp_path / "other", 3) as other:
        assert other.owner != owner


def test_another_number_of_processes_is_refused_with_the_command_that_helps(tmp_path: Path) -> None:
    StateRoot(tmp_path, 2).close()
    with pytest.raises(LayoutRefused, match=r"for 2 processes, not 3: run `clickgoose flow rebalance --processes 3`"):
        StateRoot(tmp_path, 3)


def test_a_partition_where_no_process_looks_for_it_is_refused(tmp_path: Path) -> None:
    StateRoot(tmp_path, 2).close()
    (tmp_path / "process-0" / "partition-00003").mkdir(parents=True)
    with pytest.raises(LayoutRefused, match=r"partition-00003 is not where 2 processes look for it: run"):
        StateRoot(tmp_path, 2)


def test_several_processes_open_one_root_at_the_same_time(tmp_path: Path) -> None:
    owners: list[str] = []

    def open_it() -> None:
        with StateRoot(tmp_path, 4) as root:
            owners.append(root.owner)
            time.sleep(0.05)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(owners) == 8 and len(set(owners)) == 1


def test_the_flat_state_of_an_earlier_version_is_moved_once_and_said_aloud(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for partition in range(2):
        (tmp_path / f"partition-{partition:05d}").mkdir()
        (tmp_path / f"partition-{partition:05d}" / "segment").write_text(str(partition))
    with caplog.at_level(logging.WARNING, "clickgoose.flow"):
        StateRoot(tmp_path, 1).close()
        StateRoot(tmp_path, 1).close()
    assert [record.getMessage() for record in caplog.records] == [
        f"the state of an earlier version in {tmp_path} was moved to {tmp_path / 'process-0'}, once"
    ]
    assert [(held.partition, (held.path / "segment").read_text()) for held in partitions_in(tmp_path)] == [
        (0, "0"),
        (1, "1"),
    ]


def test_a_flat_state_is_that_of_one_process(tmp_path: Path) -> None:
    (tmp_path / "partition-00001").mkdir()
    with pytest.raises(LayoutRefused, match="for 1 process, not 2"):
        StateRoot(tmp_path, 2)


def test_a_flat_state_in_use_is_not_moved(tmp_path: Path) -> None:
    (tmp_path / "partition-00001").mkdir()
    with (tmp_path / "partition-00001" / "lock").open("w") as lock:
        lock.write("77")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(LayoutRefused, match="is in use by process 77"):
            StateRoot(tmp_path, 1)
    assert (tmp_path / "partition-00001").is_dir()


def test_while_state_is_moved_no_flow_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_layout, "_LOCK_SECONDS", 0.05)
    StateRoot(tmp_path, 1).close()
    lock = hold_alone(tmp_path)
    with pytest.raises(LayoutRefused, match=r"is being moved by process \d+ \(flow rebalance\)"):
        StateRoot(tmp_path, 1)
    let_go(lock)
    StateRoot(tmp_path, 1).close()


def test_a_damaged_layout_is_said_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "layout.json").write_text('{"processes": ')
    with pytest.raises(
        LayoutRefused, match=r"layout\.json is damaged: delete it, then run `clickgoose flow rebalance`"
    ):
        StateRoot(tmp_path, 1)


def test_a_root_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LayoutRefused, match=r"cannot be used: Not a directory"):
        StateRoot(tmp_path / "file" / "state", 1)


def test_a_new_layout_is_read_as_it_was_written(tmp_path: Path) -> None:
    layout = flow_layout.Layout(2, "owner", flow_layout.Moving(4, (0, 3)))
    flow_layout.write_layout(tmp_path, layout)
    assert read_layout(tmp_path) == layout


def test_every_partition_belongs_to_one_process_and_none_has_nothing() -> None:
    own = [Place(ordinal, 3).partitions(range(7)) for ordinal in range(3)]
    assert own == [(0, 3, 6), (1, 4), (2, 5)]
    with pytest.raises(FlowRefused, match="process 2 of 3 would have none of the 2 partitions"):
        Place(2, 3).partitions(range(2))
