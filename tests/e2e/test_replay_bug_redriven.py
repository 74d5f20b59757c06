"""A bug in a stage behind velocity: its letters are clustered, marked as fixed, and redriven to the mended flow.

The redrive is killed between sending and recording, and resumed. Every event then has the result of a run without the
bug. The traffic stays below ``SCORE_LAG`` rows a partition: what later events see of an earlier score they would have
seen without those that failed, and no redrive mends that (a replay of the range does).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from enrichers.present import present
from flows.lookups.memory_shared import MemorySharedCounts
from flows.pipeline import build_pipeline
from flows.run_stage import Monitor
from flows.sinks.encoded import encoder
from infra.account import Account
from infra.cli import app
from schemas.batches import Ledger, Origin, RawBatch
from schemas.redriven import is_redriven
from schemas.result import Result, decode_result
from scoring.deployment import only
from scoring.explain import Explainer
from scoring.model import Model, find_model
from tests.e2e.system import System
from tests.waiting import PATIENCE, PATIENT_FLOW
from tests.wire import LATENESS, RING, digest, enveloped, header, parcel, payload, sealed

HERE = Path(__file__).parent
ROWS = 240
FAILING = [row for row in range(ROWS) if row % 20 == 7]
BLOCK = 8  # letters, by --rate
PARTITIONS = 4
# The keys of one partition: shared counts then see the events in one order, whoever reads them.
DEVICES = [number for number in range(40) if zlib.crc32(digest("device", number)[:16]) % PARTITIONS == 0][:5]


def record(row: int) -> tuple[bytes, bytes]:
    """Return an event's key and record: five devices, sessions of four events, some of them automated."""
    head = header(row, device=DEVICES[row // 4 % len(DEVICES)])._replace(session_id=digest("session", row // 4)[:16])
    shown = {"navigator.webdriver": row % 9 == 0, "canvas.pixel_differences": row % 5, "storage.quota": 1024 + row}
    return head.device_id, enveloped(row, sealed(row, payload(shown), head=head))


class Story:
    """What happened, told by the commands that an operator runs."""

    def __init__(self, system: System) -> None:
        self.system = system
        flow = system.start_flow(script=HERE / "buggy_enrich.py", **PATIENT_FLOW)
        self._append()
        self.before: Account = system.account()
        self.clusters = self.said("stats", "--by", "cluster", "--backup", "none")["clusters"]
        cluster = self.clusters[0]["id"]
        self.early = self.said("redrive", "--cluster", cluster)
        self.said("fixed", "--cluster", cluster, "--note", "mended", "--yes")
        self.dry = self.said("redrive", "--cluster", cluster)
        system.stack.remove(flow)
        words = ("deadletters", "redrive", "--cluster", cluster, "--yes", "--rate", str(2 * BLOCK), "--json")
        self.killed = self._killed(words)
        self.command = self.killed.stderr.split()[1]
        self.recorded = len(self.listed("redriven"))
        system.start_flow(**PATIENT_FLOW)
        self.resumed = self.said("redrive", "--resume", self.command, "--wait", "180")
        self.again = self.said("redrive", "--resume", self.command)
        self.after: Account = system.account()

    def _append(self) -> None:
        producer = Producer({"bootstrap.servers": self.system.stack.bootstrap, "linger.ms": 1})
        for row in range(ROWS):
            key, value = record(row)
            producer.produce("events.raw", value, key=key)
        assert producer.flush(PATIENCE) == 0

    def _killed(self, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, **self.system.stack.env()}
        return subprocess.run(
            [sys.executable, str(HERE / "killed_redrive.py"), *words],
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    def said(self, *words: str) -> Any:
        """Return what a command of the group prints as JSON."""
        done = CliRunner().invoke(app, ["deadletters", *words, "--json"], env=self.system.stack.env())
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def listed(self, state: str) -> list[Any]:
        found: list[Any] = self.said("list", "--state", state, "--limit", "100")["letters"]
        return found

    def results(self) -> list[Result]:
        """Return every record of events.scored."""
        return [decode_result(message.value() or b"") for message in self.system.records("events.scored")]


@pytest.fixture(scope="module")
def story(system: System) -> Story:
    return Story(system)


def test_the_letters_of_the_bug_are_one_cluster(story: Story) -> None:
    (cluster,) = story.clusters
    assert (cluster["letters"], cluster["reason"], cluster["stage"]) == (len(FAILING), "internal.bug", "enrich")
    assert story.before.problems == []
    assert (story.before.scored, story.before.dead_lettered) == (ROWS - len(FAILING), len(FAILING))


def test_nothing_is_sent_before_it_is_marked_as_fixed_nor_without_yes(story: Story) -> None:
    assert story.early["would_send"] == {}
    assert [count for why, count in story.early["left_out"].items() if why.startswith("it is new")] == [len(FAILING)]
    assert (story.dry["would_send"], story.dry["left_out"]) == ({"events.raw": len(FAILING)}, {})


def test_a_redrive_that_is_killed_after_sending_is_resumed_and_nothing_comes_twice(story: Story) -> None:
    assert story.killed.returncode == -9
    assert story.recorded == BLOCK
    rest = len(FAILING) - BLOCK
    assert (story.resumed["sent"], story.resumed["sent_before"]) == (rest, BLOCK)
    assert (story.resumed["scored"], story.resumed["failed_again"]) == (len(FAILING), 0)
    assert (story.again["sent"], story.again["sent_before"]) == (0, len(FAILING))
    redriven = [message for message in story.system.records("events.raw") if is_redriven(message.value() or b"")]
    assert len(redriven) == len(FAILING) + rest  # the block that was killed was sent twice
    ids = [result.event_id for result in story.results()]
    assert len(ids) == len(set(ids)) == ROWS


def test_the_account_balances_and_every_event_is_scored(story: Story) -> None:
    account = story.after
    assert account.problems == []
    assert (account.accepted, account.scored, account.dead_lettered) == (ROWS, ROWS, 0)
    assert (account.deduplicated, account.lost, account.duplicated_for_users) == (0, 0, 0)
    assert account.redrives == 2 * len(FAILING) - BLOCK


def test_each_letter_says_who_redrove_it_and_what_its_event_was_scored(story: Story) -> None:
    letters = story.listed("resolved")
    assert len(letters) == len(FAILING)
    (shown,) = story.said("show", letters[0]["address"])["letters"]
    assert [(change["from"], change["to"]) for change in shown["history"]] == [
        ("new", "fixed"), ("fixed", "redriven"), ("redriven", "resolved")
    ]  # fmt: skip
    score = shown["final_score"]
    assert shown["history"][-1]["note"] == f"scored {score['score']:.2f}, {score['decision']}, by {score['model']}"
    assert shown["attempts"] == 2


def test_every_result_is_that_of_a_run_without_the_bug(story: Story) -> None:
    found = {result.event_id: plain(result) for result in story.results()}
    expected = {result.event_id: plain(result) for result in without_the_bug(story.system)}
    assert found.keys() == expected.keys()
    for event_id, result in expected.items():
        assert found[event_id] == result
    assert {result.event_id for result in story.results()} >= {digest("event", row)[:16].hex() for row in FAILING}


def plain(result: Result) -> Mapping[str, Any]:
    """Return a result but for where and when it was made."""
    made = msgspec.to_builtins(result)
    for name in ("ledger", "origin"):
        made.pop(name)
    made["versions"].pop("build")
    return dict(made)


def without_the_bug(system: System) -> list[Result]:
    """Return the results of the same records by a pipeline in this process."""
    messages = [message for message in system.records("events.raw") if not is_redriven(message.value() or b"")]
    assert len({message.partition() for message in messages}) == 1
    times = np.array([message.timestamp()[1] for message in messages], np.int64)
    origin = Origin(
        "events.raw",
        np.array([message.partition() for message in messages], np.int32),
        np.array([message.offset() for message in messages], np.int64),
        times,
        times,
    )
    values = tuple(message.value() or b"" for message in messages)
    batch = RawBatch(origin, values, Ledger((), np.zeros((len(values), 0), np.int64)))
    model = Model.load(find_model())
    pipeline = build_pipeline(RING, only(model), lateness_ms=LATENESS, shared=MemorySharedCounts())
    done = pipeline.run(parcel(batch), pipeline.keyed.open(()), Monitor.silent())
    return list(encoder(Explainer(), present, "here")(done).results)
