"""The flow's state on a full disk, spoilt on disk, and wanted by two flows: scores and counts stay what they were."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from infra.live.run import flow_child
from tests.e2e.system import WIRE_KEYS
from tests.faults.harness import SECONDS, Case, World
from tests.faults.load import PARTITIONS, joined
from tests.faults.small_disk import SmallDisk

Fault = Callable[[str], AbstractContextManager[Case]]
MEBIBYTE = 1 << 20
SENTENCE = "cannot be written: "


@pytest.mark.whole_form
def test_a_full_disk_under_the_state_does_not_stop_scoring(world: World, fault: Fault) -> None:
    state = world.system.stack.home / "flow"
    world.end("flow")
    held = sum(path.stat().st_size for path in state.rglob("*") if path.is_file())  # of all tests before
    disk = SmallDisk(world, "flow", held + 16 * MEBIBYTE, state)
    world.start_flow(wrap=disk.wrap, words=("--state", str(disk.folder)))
    with fault("disk full under the state, then kill -9") as one:
        well = one.append(100, seconds=1.0, part="before")
        with joined(well):
            pass
        one.wait_for_scores(well)
        disk.fill()
        for turn in range(20):  # the last page of each file still has room
            load = one.append(60, part=f"full {turn}")
            with joined(load):
                one.wait_for_scores(load)
            if SENTENCE in one.said_by("flow"):
                break
        assert SENTENCE in one.said_by("flow")
        disk.free()
        after = one.append(100, seconds=1.0, part="after")
        with joined(after):
            one.wait_for_scores(after)
        os.kill(world.child("flow").pid or 0, signal.SIGSTOP)
        disk.keep()
        world.kill("flow")
        world.start_flow()
        one.settle()


def test_a_spoilt_state_log_is_rebuilt_from_kafka_and_said_aloud(world: World, fault: Fault) -> None:
    with fault("state log spoilt on disk") as one:
        before = one.append(seconds=2.0, part="before")
        with joined(before):
            one.wait_for_scores(before)
        world.end("flow")
        files = list(files_of_the_log(world))
        assert len(files) >= PARTITIONS
        for file in files:
            spoil(file)
        world.start_flow()
        after = one.append(seconds=2.0, part="after")
        with joined(after):
            one.wait_for_scores(after)
        account = one.settle()
        one.wait_until_said("flow", "state log: ", "checksum does not match", "no frame starts where one should")
        assert account.scored_again > 0, "nothing was rebuilt from Kafka"


def files_of_the_log(world: World) -> Iterator[Path]:
    """Return the files of the state log that hold frames."""
    for folder in sorted((world.system.stack.home / "flow").rglob("partition-*")):
        yield from (file for file in sorted(folder.iterdir()) if file.is_file() and file.stat().st_size > 200)


def spoil(file: Path) -> None:
    """Change bytes in the middle of a file."""
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 8] = bytes(byte ^ 0xFF for byte in data[middle : middle + 8])
    file.write_bytes(data)


@pytest.mark.whole_form
def test_a_second_flow_on_the_same_partitions_refuses_and_the_first_goes_on(
    world: World, fault: Fault, tmp_path: Path
) -> None:
    with fault("a second flow, with the same state and elsewhere") as one:
        load = one.append(seconds=4.0)
        first = world.child("flow").pid
        with joined(load), ThreadPoolExecutor(2) as pool:
            refused = list(pool.map(lambda words: second_flow(world, *words), ((), ("--state", str(tmp_path / "own")))))
        for ended in refused:
            assert ended.returncode != 0
            assert "Traceback" not in ended.stderr and "partition" in ended.stderr.strip().splitlines()[-1]
        assert world.child("flow").running and world.child("flow").pid == first
        account = one.settle()
        assert account.scored_again == 0


def second_flow(world: World, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the flow's ordinary command beside the one that runs, to its end."""
    child = flow_child(world.system.stack, world.folder)
    env = {**os.environ, **world.system.stack.env(), "CLICKGOOSE_MASTER_KEYS": WIRE_KEYS}
    return subprocess.run([*child.argv, *words], env=env, capture_output=True, text=True, timeout=SECONDS, check=False)
