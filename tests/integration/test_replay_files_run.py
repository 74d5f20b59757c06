"""``clickgoose replay run --into files`` on real Kafka: killed and resumed, it keeps what one run keeps, each once."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from unittest.mock import patch

import pytest

from infra.stack.local import LocalStack
from replay.checkpoint import read_checkpoint
from replay.result_files import DIRECTORY, Kind, ResultFiles
from replay.run_record import State
from tests.replay_commands import PARTITIONS, Replays, ended
from tests.replay_files_kit import records_of
from tests.stack_fixture import Namespace

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]  # many processes: long where a machine is very busy
ROWS, DEAD, WARM = 900, 6, 50


@pytest.fixture
def replays(stack: LocalStack, namespace: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Replays:
    made = Replays(stack, namespace, tmp_path / "home")
    made.send(ROWS, dead=DEAD)
    for name, value in made.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("infra.flow_serving.stop_on_signals", lambda _: None)  # for commands in this process
    return made


def counted_bytes(directory: Path) -> int:
    """Return how many bytes of a run's files its checkpoint names."""
    checkpoint = read_checkpoint(directory)
    return ResultFiles(directory, checkpoint.marks).bytes if checkpoint else 0


def kill_beyond(replays: Replays, size: int, name: str, *words: str) -> int:
    """Start a run, and kill it once its checkpoint names more bytes than ``size``; return how many."""
    directory = replays.names(name).directory
    running = replays.start(*words)
    try:
        replays.until(lambda: running.poll() is not None or counted_bytes(directory) > size)
        assert running.poll() is None, running.communicate()
        running.send_signal(signal.SIGKILL)
    finally:
        ended(running, -signal.SIGKILL)
    return counted_bytes(directory)


def test_a_run_that_is_killed_and_resumed_keeps_each_record_once_as_one_run_does(replays: Replays) -> None:
    one, two = (f"{replays.namespace.prefix}_{name}" for name in ("one", "two"))
    whole = replays.here("run", one, "--plan", str(replays.plan(one, WARM)), "--rows", "32", "--into", "kafka,files",
                         "--json")  # fmt: skip
    account = whole["account"]
    assert (whole["state"], whole["live_unchanged"], whole["options"]["into"]) == ("done", "yes", ["files", "kafka"])
    assert account["read"] == ROWS + DEAD - WARM * PARTITIONS == account["written"] + account["written_dead"]

    first = ("run", two, "--plan", str(replays.plan(two, WARM)), "--rows", "32", "--rate", "100", "--into", "files")
    held = kill_beyond(replays, 0, two, *first)
    said = replays.refused("run", two, "--plan", str(replays.plan(two, WARM)), "--into", "files")
    assert said.startswith(f"the namespace {two} is in use by a replay that is not done: go on with `clickgoose replay")
    part = replays.here("diff", two, one, "--partial", "--fail-on", "changed", "--fail-on", "missing", "--json")
    assert part["verdict"] == "identical" and 0 < part["events"]["both"] < account["written"]
    kill_beyond(replays, held, two, "run", two, "--resume")
    with next((replays.names(two).directory / DIRECTORY).iterdir()).open("ab") as torn:
        torn.write(b"CGRF of a frame that was not finished")
    done = replays.here("run", two, "--resume", "--json")
    assert (done["state"], done["resumed"], done["live_unchanged"]) == (State.DONE, 2, "yes")
    assert done["account"] == account

    names = [replays.names(name) for name in (one, two)]
    for kind, topic in ((Kind.SCORED, names[0].topics.scored), (Kind.DEAD_LETTER, names[0].topics.dead_letter)):
        whole_records, records = (records_of(name.directory, kind) for name in names)
        assert records == whole_records
        assert sorted(records) == sorted(value for _, value in replays.records(topic))
    diff = replays.here("diff", two, one, "--fail-on", "changed", "--fail-on", "missing", "--json")
    assert (diff["verdict"], diff["events"]["both"]) == ("identical", account["written"])
    assert (diff["letters"]["on_one_side"], diff["b"]["letters"]) == (0, DEAD)

    shown = replays.here("show", two, "--json")["files"]
    assert shown == {"directory": str(names[1].directory / DIRECTORY), "bytes": counted_bytes(names[1].directory)}
    assert str(names[1].directory) in replays.refused("drop", two)
    replays.here("drop", two, "--yes", "--json")
    assert replays.left(names[1]) == []
    assert replays.left(names[0])


@pytest.mark.parametrize("place", ["replay.result_files._write", "replay.checkpoint_states.States.append"])
def test_a_full_disk_ends_a_run_with_one_sentence_and_it_goes_on_once_there_is_room(
    replays: Replays, place: str
) -> None:
    name = f"{replays.namespace.prefix}_full"
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with patch(place, side_effect=full):
        words = ("--plan", str(replays.plan(name)), "--into", "files", "--json")
        failed = replays.here("run", name, *words, code=1)
    assert failed["state"] == State.FAILED and failed["sentence"].endswith("is full: make room and go on with --resume")
    assert records_of(replays.names(name).directory) == []
    done = replays.here("run", name, "--resume", "--json")
    assert done["state"] == State.DONE
    assert len(records_of(replays.names(name).directory)) == done["account"]["written"] == ROWS
