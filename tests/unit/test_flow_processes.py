"""The parent of a flow's processes, with small programs in their place: deaths, limits, refusals, drains."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.flow_processes import STOPPED, ChildOrder, FlowProcesses, FlowsFailed, Restarts

QUICK = Restarts(most=2, first_pause_seconds=0.05, longest_pause_seconds=0.1)
READ = """
import os, pathlib, signal, sys, time
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
print("reads", flush=True)
ready = pathlib.Path(sys.argv[1])
ready.with_suffix(".pid").write_text(str(os.getpid()))
ready.write_text(sys.argv[2] + "\\n")
while not ended: time.sleep(0.01)
"""
DIES_ONCE = """
import pathlib
mark = pathlib.Path(sys.argv[1]).with_suffix(".died")
if not mark.exists():
    mark.touch()
    print("a line before\\nout of luck", flush=True)
    os.abort() if sys.argv[2] == "abort" else sys.exit(3)
"""


def order(folder: Path, number: int, program: str = READ, port: str = "") -> ChildOrder:
    ready = folder / f"ready-{number}"
    argv = [sys.executable, "-c", program, str(ready), port or str(9000 + number)]
    return ChildOrder(f"process {number} of 2", argv, ready, {})


class Running:
    """A parent in a thread of its own; ``stop`` is what its signal handlers call."""

    def __init__(self, flow: FlowProcesses) -> None:
        self.flow = flow
        self.ports: list[list[str]] = []
        self.failure: FlowsFailed | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.flow.run(self.ports.append)
        except FlowsFailed as failed:
            self.failure = failed

    def wait_for(self, true: Callable[[], bool]) -> None:
        until = time.monotonic() + 20
        while not true():
            assert time.monotonic() < until and self._thread.is_alive(), self.failure
            time.sleep(0.01)

    def end(self) -> FlowsFailed | None:
        """Wait for an end that comes by itself."""
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.failure

    def stop(self) -> FlowsFailed | None:
        self.flow.stop()
        return self.end()


def pid_of(folder: Path, number: int) -> int:
    return int((folder / f"ready-{number}.pid").read_text())


def test_ports_are_told_in_order_once_all_read_and_a_stop_drains_all(tmp_path: Path) -> None:
    running = Running(FlowProcesses([order(tmp_path, 0), order(tmp_path, 1)]))
    running.wait_for(lambda: bool(running.ports))
    assert running.ports == [["9000", "9001"]]
    assert running.stop() is None
    for number in range(2):
        with pytest.raises(ProcessLookupError):
            os.kill(pid_of(tmp_path, number), 0)


@pytest.mark.parametrize(("how", "said"), [("abort", "was ended by SIGABRT"), ("exit", "ended with code 3")])
def test_one_that_dies_is_said_with_its_last_lines_and_started_again_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str, said: str
) -> None:
    dying = order(tmp_path, 1, "import os, sys\n" + DIES_ONCE + READ, how)
    with caplog.at_level(logging.ERROR, "clickgoose.flow"):
        running = Running(FlowProcesses([order(tmp_path, 0), dying], restarts=QUICK))
        running.wait_for(lambda: bool(running.ports))
    (line,) = [record.getMessage() for record in caplog.records]
    assert f"process 1 of 2 {said}" in line and "a line before | out of luck" in line and "(1 of 2)" in line
    first = pid_of(tmp_path, 0)
    os.kill(pid_of(tmp_path, 1), signal.SIGKILL)
    running.wait_for(lambda: len(running.ports) == 2)
    assert pid_of(tmp_path, 0) == first
    assert running.stop() is None


def test_past_the_limit_the_rest_is_drained_and_the_flow_fails_with_the_last_lines(tmp_path: Path) -> None:
    dying = order(tmp_path, 1, "import sys; print('no luck'); sys.exit(1)")
    failed = Running(FlowProcesses([order(tmp_path, 0), dying], restarts=QUICK)).end()
    assert failed is not None and failed.exit_code == 1
    assert "process 1 of 2 ended with code 1; it printed last: no luck" in str(failed)
    assert "ended 3 times within 5 minutes" in str(failed)


def test_one_that_refuses_to_start_ends_all_with_its_sentence_and_is_not_tried_again(tmp_path: Path) -> None:
    refusing = order(tmp_path, 1, "import sys; print('{}'); print('another flow reads it'); sys.exit(2)")
    failed = Running(FlowProcesses([order(tmp_path, 0), refusing])).end()
    assert failed is not None
    assert (str(failed), failed.exit_code) == ("another flow reads it", 2)


@pytest.mark.parametrize("together", [False, True])
def test_one_that_stops_itself_on_purpose_ends_all_with_its_sentence_and_is_not_tried_again(
    together: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.flow_processes._FOLLOW_SECONDS", 1.0)
    said = "partition 1: 9 of the last 10 rows died"
    first = order(tmp_path, 0, "import sys; sys.exit(1)") if together else order(tmp_path, 0)
    stopping = order(tmp_path, 1, f"import sys, time; time.sleep(0.2); print('{said}'); sys.exit({STOPPED})")
    failed = Running(FlowProcesses([first, stopping], together=together)).end()
    assert failed is not None
    assert (str(failed), failed.exit_code) == (said, 1)


def test_a_drain_beyond_its_bound_ends_with_kill_and_says_so(tmp_path: Path) -> None:
    deaf = order(tmp_path, 1, READ.replace("ended.append(1)", "None"))
    running = Running(FlowProcesses([order(tmp_path, 0), deaf], drain_seconds=0.3))
    running.wait_for(lambda: bool(running.ports))
    failed = running.stop()
    assert failed is not None and "process 1 of 2 did not drain within 0.3 s and was killed" in str(failed)


def test_processes_of_a_cluster_are_started_again_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.flow_processes._FOLLOW_SECONDS", 0.2)
    running = Running(FlowProcesses([order(tmp_path, n) for n in range(2)], together=True, restarts=QUICK))
    running.wait_for(lambda: bool(running.ports))
    first = [pid_of(tmp_path, number) for number in range(2)]
    os.kill(first[0], signal.SIGKILL)
    running.wait_for(lambda: len(running.ports) == 2)
    assert all(pid_of(tmp_path, number) != first[number] for number in range(2))
    assert running.stop() is None


def test_lines_that_are_not_json_name_their_process(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    talking = order(tmp_path, 1, "import sys\nprint('{\"at\": 1}')\nprint('plain')\n" + READ)
    running = Running(FlowProcesses([talking]))
    running.wait_for(lambda: bool(running.ports))
    running.stop()
    assert capfd.readouterr().err.splitlines()[:2] == ['{"at": 1}', "process 1 of 2: plain"]


def test_pauses_grow_and_end_at_a_longest_one() -> None:
    assert [Restarts().pause(deaths) for deaths in range(1, 7)] == [0.5, 1, 2, 4, 8, 8]
