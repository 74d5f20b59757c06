"""A day of generated traffic is scored by the real flow and replayed: nothing differs, but for what was changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from infra.cli import app
from infra.traffic.dataset import dataset_keys, labelled_batches
from infra.traffic.scenario import Mix
from schemas.envelope import sealed_start
from schemas.result import Result, decode_result
from tests.e2e.system import System
from tests.replay_files_kit import records_of
from tests.waiting import PATIENT_FLOW

EVENTS = 2_000
PARTITIONS = 4
SEED = 20
COPY_EVERY = 50
A_MINUTE = EVENTS / (24 * 60)
KEYS = "{" + ", ".join(f'"{number}": "{master.hex()}"' for number, master in dataset_keys().masters.items()) + "}"
AS_LIVE = ("--order", "history", "--counts", "redis")
REVIEW, DENY, MARGIN = 30.0, 80.0, 5.0


def records_of_a_day() -> list[tuple[int, bytes]]:
    """Return sealed events in the order of their time, with copies and broken ones among them, and their partitions."""
    batches = labelled_batches(EVENTS, SEED, mix=Mix(), paces=[A_MINUTE], small=True)
    values = [value for batch in batches for value in batch.raw.values]
    found = [(partition_of(value), value) for value in values]
    for row in range(COPY_EVERY, EVENTS, COPY_EVERY):  # a browser that did not hear our answer sends it again
        found.insert(row, found[row - 20])
    return found


def partition_of(record: bytes) -> int:
    """Return the partition of a device: where its id lies does not matter as long as it is one."""
    at = sealed_start(record)
    return sum(record[at + 24 : at + 40]) % PARTITIONS


class Day:
    """The system once the day is scored."""

    def __init__(self, system: System) -> None:
        self.system = system
        policies = system.work / "policies.yaml"
        policies.write_text(f"default: {{review: 40, deny: {DENY:g}, margin: {MARGIN:g}}}\n")
        self.env = {
            "CLICKGOOSE_MASTER_KEYS": KEYS,
            "CLICKGOOSE_FLOW__POLICIES_FILE": str(policies),
            **PATIENT_FLOW,
        }
        system.append(records_of_a_day())
        system.start_flow(None, False, (), (), **self.env)
        self.account = system.account()

    def command(self, *words: str, expect: int = 0) -> str:
        """Run a clickgoose command in this process and return what it prints."""
        env = {**self.env, "CLICKGOOSE_HOME": str(self.system.stack.home)}
        with patch("infra.flow_serving.stop_on_signals"):  # signals are pytest's
            done = CliRunner().invoke(app, words, env=env)
        assert done.exit_code == expect, f"{words}: {done.exit_code}\n{done.output[-2000:]}\n{done.exception!r}"
        return done.stdout

    def json(self, *words: str, expect: int = 0) -> Any:
        """Run a command with --json and return the object."""
        return json.loads(self.command(*words, "--json", expect=expect))

    def results(self, topic: str = "events.scored") -> list[bytes]:
        """Return the values of a topic of results."""
        return [message.value() or b"" for message in self.system.records(topic)]


@pytest.fixture(scope="module")
def day(system: System) -> Day:
    return Day(system)


def test_the_day_itself_is_accounted_for(day: Day) -> None:
    account = day.account
    assert account.problems == []
    assert account.scored > EVENTS * 0.8
    assert account.dead_lettered > 0
    assert account.deduplicated > 0
    assert not [found for value in day.results() for found in decode_result(value).degraded]


def test_a_replay_as_live_is_what_history_says(day: Day) -> None:
    ran = day.json("replay", "run", "aslive", "--last", "1h", *AS_LIVE)
    assert ran["account"]["scored"] == day.account.scored
    assert ran["live"]["unchanged"] is True
    diff = day.json("replay", "diff", "aslive", "history", "--fail-on", "changed", "--fail-on", "missing")
    assert diff["verdict"] == "identical"
    assert diff["events"]["both"] == day.account.scored


def test_a_replay_into_files_is_what_history_says_and_what_kafka_would_have(day: Day) -> None:
    ran = day.json("replay", "run", "infiles", "--last", "1h", *AS_LIVE, "--into", "files")
    assert ran["live"]["unchanged"] is True
    diff = day.json("replay", "diff", "infiles", "history", "--fail-on", "changed", "--fail-on", "missing")
    assert diff["verdict"] == "identical"
    assert diff["events"]["both"] == day.account.scored
    assert sum(diff["letters"]["a"].values()) == day.account.dead_lettered
    assert sorted(records_of(day.system.stack.home / "replays" / "infiles")) == sorted(
        day.results("events.scored.aslive")
    )


def test_two_replays_give_the_same_bytes(day: Day) -> None:
    for name in ("one", "two"):
        day.command("replay", "run", name, "--last", "1h", "--into", "kafka,clickhouse")
    one, two = day.results("events.scored.one"), day.results("events.scored.two")
    assert len(one) == day.account.scored
    assert sorted(one) == sorted(two)
    assert day.json("replay", "diff", "one", "two", "--fail-on", "changed")["verdict"] == "identical"


def test_a_changed_threshold_flips_exactly_the_expected_decisions(day: Day) -> None:
    policies = day.system.work / "stricter.yaml"
    policies.write_text(f"default: {{review: {REVIEW:g}, deny: {DENY:g}, margin: {MARGIN:g}}}\n")
    words = ("replay", "run", "stricter", "--last", "1h", *AS_LIVE, "--policies", str(policies))
    day.command(*words)
    history = [decode_result(value) for value in day.results()]
    replayed = {
        result.event_id: result for value in day.results("events.scored.stricter") for result in [decode_result(value)]
    }
    expected = decisions_by(history, REVIEW, DENY, MARGIN)
    assert {event_id: result.decision for event_id, result in replayed.items()} == expected
    flips = {result.event_id for result in history if expected[result.event_id] != result.decision}
    assert flips
    diff = day.json("replay", "diff", "stricter", "history", "--fail-on", "flips>0", expect=1)
    assert diff["flips"]["flips"] == len(flips)
    assert diff["scores"]["changed"] == 0


def decisions_by(results: Sequence[Result], review: float, deny: float, margin: float) -> dict[str, str]:
    """Decide results anew, one after the other: a session's standing decision is that of its event before."""
    standing: dict[tuple[int, str], tuple[str, int]] = {}
    found = {}
    for result in sorted(results, key=lambda result: (result.origin.partition, result.origin.offset)):
        session = (result.origin.partition, result.session_id)
        before, at = standing.get(session, ("allow", 0))
        if result.occurred_at - at > 30 * 60_000:
            before = "allow"
        decision = "allow"
        if result.score >= review - (margin if before in ("review", "deny") else 0):
            decision = "review"
        if result.score >= deny - (margin if before == "deny" else 0):
            decision = "deny"
        standing[session] = (decision, result.occurred_at)
        found[result.event_id] = decision
    return found
