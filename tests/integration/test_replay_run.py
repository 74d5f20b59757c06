"""``clickgoose replay run`` on real Kafka, ClickHouse and Valkey: killed and resumed, it writes what one run writes."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from infra.stack.local import LocalStack
from infra.stack.ports import free_port
from replay.run_record import State
from tests.replay_commands import PARTITIONS, Replays, differences
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


def test_a_run_that_is_killed_and_stopped_and_resumed_writes_what_one_run_writes(replays: Replays) -> None:
    one, two = (f"{replays.namespace.prefix}_{name}" for name in ("one", "two"))
    whole = replays.here("run", one, "--plan", str(replays.plan(one, WARM)), "--rows", "32", "--json")
    account = whole["account"]
    assert whole["state"] == State.DONE and whole["live_unchanged"] == "yes"
    assert account["read"] == ROWS + DEAD - WARM * PARTITIONS == account["scored"] + account["dead"]
    assert (account["written"], account["written_dead"], account["dead"]) == (account["scored"], DEAD, DEAD)

    first = ("run", two, "--plan", str(replays.plan(two, WARM)), "--rows", "32", "--rate", "100")
    resume = ("run", two, "--resume")
    replays.kill_at(100, two, *first)  # before the first checkpoint
    assert [run["state"] for run in replays.here("list", "--json")["replays"]] == ["done", "killed"]
    said = replays.refused("run", two, "--plan", str(replays.plan(two, WARM)))
    assert said.startswith(f"the namespace {two} is in use by a replay that is not done: go on with `clickgoose replay")
    _, told = replays.kill_at(150, two, *resume, by=signal.SIGTERM)
    assert f"paused: `clickgoose replay run {two} --resume` goes on from here" in told
    paused(replays, two, one)
    replays.kill_at(100, two, *resume)  # beyond the checkpoint of the pause
    done = replays.here(*resume, "--json")
    assert (done["state"], done["resumed"], done["live_unchanged"]) == (State.DONE, 3, "yes")
    assert done["account"] == account and done["versions"] == whole["versions"]
    assert differences(replays.outcome(one), replays.outcome(two)) == []

    assert replays.refused("run", two, "--resume") == (
        f"the replay {two} is done: `clickgoose replay show {two}` shows what came of it"
    )
    names = replays.names(two)
    assert str(names.directory) in replays.refused("drop", two)
    replays.here("drop", two, "--yes", "--json")
    assert replays.left(names) == []
    assert [run["name"] for run in replays.here("list", "--json")["replays"]] == [one]
    assert len(replays.records(replays.names(one).topics.scored)) == account["scored"]


def paused(replays: Replays, name: str, whole: str) -> None:
    """Look at a run that is not done: nothing is compared with it unawares, and what it has done is as it will be."""
    done = replays.here("show", name, "--json")["account"]
    assert replays.refused("diff", name, whole) == (
        f"{name} is paused and not done: resume it, or give --partial to compare what it has done"
    )
    part = replays.here("diff", name, whole, "--partial", "--fail-on", "changed", "--fail-on", "missing", "--json")
    assert (part["verdict"], part["events"]["both"]) == ("identical", done["scored"])
    assert 0 < done["scored"] < replays.here("show", whole, "--json")["account"]["scored"]
    away = f"clickhouse://default:secret@127.0.0.1:{free_port(set())}/{replays.namespace.database}"
    said = replays.refused("diff", whole, "--url", away)
    assert said.startswith("cannot read events from ClickHouse at 127.0.0.1:") and "secret" not in said


def test_counts_in_redis_lie_in_the_namespace_and_are_told_again_after_a_kill(replays: Replays) -> None:
    one, two = (f"{replays.namespace.prefix}_{name}" for name in ("whole", "killed"))
    words = ("--counts", "redis", "--rows", "32")
    live = set(replays.redis.scan_iter("v:*", count=10_000))  # of flows of other tests
    replays.here("run", one, "--plan", str(replays.plan(one, WARM)), *words, "--json")
    replays.kill_at(200, two, "run", two, "--plan", str(replays.plan(two, WARM)), *words, "--rate", "100")
    replays.here("run", two, "--resume", "--json")
    assert differences(replays.outcome(one), replays.outcome(two)) == []
    assert any(replays.redis.scan_iter(f"{replays.names(two).prefix}v:*", count=10_000))
    assert set(replays.redis.scan_iter("v:*", count=10_000)) <= live
