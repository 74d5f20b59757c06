"""Several processes, a Bytewax cluster, state that moves between processes: the account and every count stay exact."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.e2e.system import WIRE_KEYS
from tests.faults.harness import Case, World
from tests.faults.load import joined

Fault = Callable[[str], AbstractContextManager[Case]]
_SECONDS = 240  # only where a machine is very busy
_EVENTS = 100


def command(world: World, *words: str) -> subprocess.CompletedProcess[str]:
    """Run ``clickgoose flow`` to its end, with the addresses and keys of the world."""
    env = {**os.environ, **world.system.stack.env(), "CLICKGOOSE_MASTER_KEYS": WIRE_KEYS}
    argv = [sys.executable, "-m", "infra.cli", "flow", *words]
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=_SECONDS, check=False)


@pytest.fixture(scope="module")
def without_flow(world: World) -> Iterator[World]:
    """The world without a flow; after all tests it has its one process again."""
    world.end("flow")
    try:
        yield world
    finally:
        world.rebalance(1)
        world.start_flow()


@pytest.fixture
def scaled(without_flow: World) -> Iterator[World]:
    """The world without a flow, also after the test."""
    yield without_flow
    if any(child.name == "flow" for child in without_flow.system.stack._extra):
        without_flow.kill("flow")


def test_counts_stay_exact_from_1_to_2_processes_and_back(world: World, fault: Fault) -> None:
    """The shortest way that moves state to another process and back; the world has its one process again."""
    with fault("flow rebalance from 1 to 2 processes and back") as one:
        world.end("flow")
        assert world.rebalance(2) == [1, 3]
        flow = world.start_flow(words=("--processes", "2"))
        try:
            with joined(one.append(_EVENTS, seconds=2.0, part="two")):
                one.wait_for_results()
                assert command(world, "rebalance", "--processes", "1").returncode == 1, "state was moved under a flow"
                world.kill("flow")  # the parent and its processes: what they had not written is read again
        finally:
            if flow.running:
                world.kill("flow")
            moved = world.rebalance(1)
            world.start_flow()
        assert moved == [1, 3]
        one.append(_EVENTS, part="one")
        one.settle()


@pytest.mark.whole_form
def test_counts_stay_exact_from_2_to_4_to_3_processes(scaled: World, fault: Fault) -> None:
    with fault("flow rebalance from 2 to 4 to 3 processes") as one:
        scaled.rebalance(2)
        scaled.start_flow(words=("--processes", "2"))
        with joined(one.append(_EVENTS, seconds=2.0, part="two")):
            one.wait_for_results()
            scaled.kill("flow")  # the parent and its processes: what they had not written is read again
        assert scaled.rebalance(4) == [2, 3]
        scaled.start_flow(words=("--processes", "4"))
        with joined(one.append(_EVENTS, seconds=2.0, part="four")):
            one.wait_for_results()
            assert command(scaled, "rebalance", "--processes", "3").returncode == 1, "state was moved under a flow"
            scaled.end("flow")
        assert scaled.rebalance(3) == [3]
        scaled.start_flow(words=("--processes", "3"))
        one.append(_EVENTS, part="three")
        one.settle()
        assert len((scaled.system.work / "flow.ready").read_text().split()) == 3, "a metrics port a process"


@pytest.mark.whole_form
def test_a_cluster_may_be_killed_and_drains(scaled: World, fault: Fault) -> None:
    with fault("kill -9 of a Bytewax cluster of two processes") as one:
        scaled.rebalance(2)
        scaled.start_flow(words=("--processes", "2", "--as-cluster"))
        with joined(one.append(_EVENTS, seconds=2.0, part="before")):
            one.wait_for_results()
            time.sleep(one.random.uniform(0.0, 0.5))
            scaled.kill("flow")
        scaled.start_flow(words=("--processes", "2", "--as-cluster"))
        one.append(_EVENTS, part="after")
        account = one.settle()
        assert account.scored_again > 0, "no event was replayed: the kill came too early or too late to prove anything"
        scaled.end("flow")
        assert one.said_by("flow").count("flow drained") == 2


@pytest.mark.whole_form
def test_a_second_flow_with_another_state_refuses_and_one_with_a_copy_takes_over(
    scaled: World, fault: Fault, tmp_path: Path
) -> None:
    """A copy of the state on the same host is what neither locks nor the look at the start can see."""
    with fault("a second flow with a state of its own") as one:
        scaled.rebalance(1)
        flow = scaled.start_flow()
        load = one.append(seconds=2.0)
        with joined(load):
            second_flow = command(scaled, "run", "--state", str(tmp_path / "other"))
        assert second_flow.returncode == 2
        assert f"by process {flow.pid} on " in second_flow.stderr.splitlines()[-1]
        assert flow.running
        one.wait_for_scores(load)
        copy = tmp_path / "copy"
        subprocess.run(["cp", "-r", str(scaled.system.stack.home / "flow"), str(copy)], check=True)
        env = {**os.environ, **scaled.system.stack.env(), "CLICKGOOSE_MASTER_KEYS": WIRE_KEYS}
        argv = [sys.executable, "-m", "infra.cli", "flow", "run", "--state", str(copy)]
        second = subprocess.Popen(argv, env=env, stderr=subprocess.DEVNULL)
        try:
            until = time.monotonic() + _SECONDS
            while flow.running:
                assert time.monotonic() < until, "both go on"
                time.sleep(0.1)
            assert flow.exit_code == 1
            assert "another flow took over" in one.said_by("flow")
            assert second.poll() is None
        finally:
            second.terminate()
            assert second.wait(_SECONDS) == 0
        scaled.system.stack.remove(flow)
        scaled.start_flow()
        one.settle()
