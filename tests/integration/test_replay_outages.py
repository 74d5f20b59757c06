"""``clickgoose replay run`` while stores are away, or refuse, in its middle; and with another build's executable."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from infra.stack.local import LocalStack
from replay.plan import PLAN_VERSION
from replay.run_record import State
from tests.gate import Gate
from tests.replay_commands import Replays, differences, ended
from tests.stack_fixture import Namespace
from tests.valkey_part import Valkey

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]  # many processes: long where a machine is very busy
ROWS, WARM = 450, 20
AWAY_SECONDS = 1.5


@pytest.fixture
def replays(stack: LocalStack, namespace: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Replays:
    made = Replays(stack, namespace, tmp_path / "home")
    made.send(ROWS, dead=3)
    for name, value in made.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("infra.flow_serving.stop_on_signals", lambda _: None)  # for commands in this process
    return made


@contextmanager
def gate_to(url: str) -> Iterator[tuple[Gate, str]]:
    """Give a gate to a store, and the address that leads through it."""
    parts = urlsplit(url)
    assert parts.port is not None
    gate = Gate(parts.port)
    gate.open()
    try:
        place = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        yield gate, urlunsplit(parts._replace(netloc=f"{place}127.0.0.1:{gate.port}"))
    finally:
        gate.shut()


def test_stores_that_are_away_for_a_while_are_waited_for_and_the_results_are_the_same(replays: Replays) -> None:
    one, two = (f"{replays.namespace.prefix}_{name}" for name in ("whole", "outage"))
    words = ("--rows", "32", "--counts", "redis")
    whole = replays.here("run", one, "--plan", str(replays.plan(one, WARM)), *words, "--json")
    kafka = replays.stack.child("kafka").pid
    assert kafka is not None
    stack, namespace = replays.stack, replays.namespace
    with gate_to(stack.redis_url) as (redis, redis_url), gate_to(namespace.clickhouse_url) as (tables, tables_url):
        through = {"CLICKGOOSE_REDIS__URL": redis_url, "CLICKGOOSE_CLICKHOUSE__URL": tables_url}
        plan = str(replays.plan(two, WARM))
        running = replays.start("run", two, "--plan", plan, *words, "--rate", "40", "--json", **through)
        topic = replays.names(two).topics.scored
        for shut, again in (
            (redis.shut, redis.open),
            (tables.shut, tables.open),
            (lambda: os.kill(kafka, signal.SIGSTOP), lambda: os.kill(kafka, signal.SIGCONT)),
        ):
            before = replays.held(topic)
            replays.until(lambda before=before: running.poll() is not None or replays.held(topic) > before)  # type: ignore[misc] # bound now
            assert running.poll() is None, running.communicate()
            try:
                shut()
                time.sleep(AWAY_SECONDS)
            finally:
                again()
        _, told = ended(running, 0)
    assert "waits: " in told and "goes on" in told
    assert "Traceback" not in told
    assert replays.here("show", two, "--json")["account"] == whole["account"]
    assert differences(replays.outcome(one), replays.outcome(two)) == []


def test_a_store_that_refuses_ends_the_run_with_a_sentence_and_it_goes_on_once_that_is_mended(
    replays: Replays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (f"{replays.namespace.prefix}_{name}" for name in ("whole", "refused"))
    words = ("--rows", "32", "--counts", "redis", "--into", "clickhouse")
    replays.here("run", one, "--plan", str(replays.plan(one)), *words, "--json")
    valkey = Valkey(tmp_path / "valkey")
    valkey.start()
    try:
        monkeypatch.setenv("CLICKGOOSE_REDIS__URL", valkey.url)
        with valkey.client() as client:
            client.acl_setuser("default", enabled=True, commands=["-eval", "-evalsha"], reset=False)
            _, told = replays.done(
                "run", two, "--plan", str(replays.plan(two)), *words, code=1, CLICKGOOSE_REDIS__URL=valkey.url
            )
            assert "Redis refuses " in told and f"`clickgoose replay run {two} --resume` goes on from" in told
            assert "Traceback" not in told
            assert replays.here("show", two, "--json")["state"] == State.FAILED
            client.acl_setuser("default", enabled=True, commands=["+@all"], reset=False)
        replays.here("run", two, "--resume", "--json")
    finally:
        valkey.kill()
    rows = "SELECT * FROM events FINAL ORDER BY partition, offset"
    assert repr(replays.rows(one, rows)) == repr(replays.rows(two, rows))  # as text: no NaN is equal to itself


def test_tables_that_refuse_rows_end_the_run_with_one_sentence(replays: Replays) -> None:
    name = f"{replays.namespace.prefix}_tables"
    running = replays.start("run", name, "--plan", str(replays.plan(name)), "--rows", "32", "--rate", "60")
    replays.until(lambda: running.poll() is not None or replays.held(replays.names(name).topics.scored) > 0)
    replays.live.execute(f"DROP TABLE {replays.names(name).database}.events SYNC")
    _, told = ended(running, 1)
    assert "it refuses the replay's rows" in told and "Traceback" not in told, told


def test_another_build_runs_the_plan_and_one_that_reads_other_plans_is_refused(
    replays: Replays, tmp_path: Path
) -> None:
    name = f"{replays.namespace.prefix}_build"

    def build(words: str) -> str:
        path = tmp_path / "build"
        path.write_text(f"#!/bin/sh\n{words}\n")
        path.chmod(0o755)
        return str(path)

    plan = ("run", name, "--plan", str(replays.plan(name)), "--into", "clickhouse")
    other = build(f"echo {PLAN_VERSION + 1}")
    assert replays.refused(*plan, "--build", other) == (
        f"{other} reads plans of version {PLAN_VERSION + 1}, and this build makes version {PLAN_VERSION}: run the "
        "replay with it alone"
    )
    assert "has no replays" in replays.refused(*plan, "--build", build("echo 'No such command' >&2; exit 2"))
    assert "does not run: " in replays.refused(*plan, "--build", str(tmp_path))
    assert replays.left(replays.names(name)) == []
    this = build(f'echo "ran: $*" >> {tmp_path}/said\nexec {sys.executable} -m infra.cli "$@"')
    done = replays.said(*plan, "--build", this, "--rows", "64")
    assert (done["state"], done["options"]["rows"], done["account"]["scored"]) == (State.DONE, 64, ROWS)
    assert "--rows 64" in (tmp_path / "said").read_text()
