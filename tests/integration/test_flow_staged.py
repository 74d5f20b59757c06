"""The pipeline in parts on real Kafka, Valkey and ClickHouse: what it gives as one, to the byte.

What devices share, and the history of rules, are counted in the order in which rows come: so partitions are compared
one after the other, or there is one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from typer.testing import CliRunner

from flows.sinks.kafka import ALERTS, SCORED
from flows.stage_state import Part
from infra.bench.events import recorded_events
from infra.cli import app
from infra.flow import Place
from infra.flow_rebalance import rebalance, wanted
from infra.replay_plan import planned
from infra.stack.local import LocalStack
from replay.batch_source import TOPICS, BatchSource, extents_of
from replay.parts import SourceFailed
from replay.plan import Piece, Plan, Start
from tests.stack_fixture import Namespace
from tests.staged_kit import ALL, Results, Topics, World, worlds
from tests.wire import mixture

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]  # many processes: long where a machine is very busy
EVENTS = 1_800  # most of one partition, many more than SCORE_LAG: devices see scores of their events before


def values() -> list[bytes]:
    """Return generated events, copies of some, and records that die of every reason; these are of a later time."""
    good = recorded_events(EVENTS, 11)
    return [*good[:600], *good[500:600], *good[600:], *mixture()]


def compare(fused: World, staged: World, results: Results) -> None:
    """Assert that two worlds hold the same, and that the account of the second one balances."""
    ours, theirs = fused.tables(), staged.tables()
    for name, rows in ours.items():
        assert len(rows) == len(theirs[name]), name
        differing = [pair for pair in zip(rows, theirs[name], strict=True) if pair[0] != pair[1]]
        assert not differing, (
            name,
            len(differing),
            [two for two in zip(*differing[0], strict=True) if two[0] != two[1]],
        )
    assert fused.answers() == staged.answers()
    assert staged.dropped() == fused.dropped() > 0
    assert len(theirs["events"]) > EVENTS - 100
    assert len(theirs["dead_letters"]) > 10
    scored = results.since(SCORED)
    assert len(scored) == len(theirs["events"])
    for records in (scored, results.since(ALERTS)):
        # The flow as one was not killed: it appended each once, so all others are of the parts.
        assert records and all(len(same) >= 2 and len(set(same)) == 1 for same in records.values())


def cut() -> list[list[bytes]]:
    """Return the records of three partitions."""
    found: list[list[bytes]] = [[], [], []]
    for value in values():
        found[max(0, crc32(value) % 9 - 6)].append(value)
    return found


def test_parts_that_are_killed_spread_over_three_processes_and_joined_in_one_give_what_the_flow_as_one_gives(
    stack: LocalStack, namespace: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics, results = Topics(stack, namespace, 3), Results(stack.bootstrap)
    records = cut()
    topics.send(records[0][:600], 0)
    with worlds(stack, topics, tmp_path, 2) as (fused, staged):
        for part in ALL:
            staged.launch(part)
        fused.launch_inside()

        staged.wait(200)
        staged.kill(Part.ENRICH)
        topics.send(records[0][600:1_200], 0)
        staged.launch(Part.ENRICH)
        staged.wait(700)
        for part in (Part.SCORE, Part.EXTRACT, Part.ENRICH):
            staged.kill(part)

        spread(staged, 3)
        for ordinal in range(3):
            staged.launch(*ALL, place=Place(ordinal, 3))
        both_take((fused, staged), topics, records[1], 1, after=1_200)
        staged.stop()

        spread(staged, 1)
        staged.launch_inside(*ALL)
        both_take((fused, staged), topics, records[2], 2)
        both_take((fused, staged), topics, records[0][1_200:], 0)
        fused.stop()
        staged.stop()
        compare(fused, staged, results)
        scored = [staged.offsets(partition) for partition in range(3)]
        commands_that_start_at_each_stage_say_the_same(topics, staged, monkeypatch)
    a_replay_can_start_at_each_topic(topics, [len(values) for values in records], scored)


def commands_that_start_at_each_stage_say_the_same(
    topics: Topics, staged: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run `clickgoose replay run --start` for each stage on what the parts left, and hold the runs against another."""
    own = {"CLICKGOOSE_HOME": str(staged.directory / "home"), "CLICKGOOSE_KAFKA__BOOTSTRAP": topics.bootstrap}
    for name, value in {**staged.env, **own}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(planned, "__defaults__", (None, topics.raw))
    monkeypatch.setattr("infra.flow_serving.stop_on_signals", lambda _: None)  # signals are pytest's
    names = {start: f"{topics.prefix}_{start.value}" for start in Start}
    for start, name in names.items():
        if start is not Start.SEALED:
            monkeypatch.setitem(TOPICS, start, f"{topics.prefix}.{start.value}")
        words = (
            "--start",
            start.value,
            "--last",
            "1h",
            "--into",
            "clickhouse",
            "--order",
            "history",
            "--counts",
            "redis",
        )
        ran = said("run", name, *words)
        assert (ran["state"], ran["live_unchanged"]) == ("done", "yes")
        other = "history" if start is Start.SEALED else names[Start.SEALED]
        diff = said("diff", name, other)
        assert (diff["verdict"], diff["events"]["both"]) == ("identical", ran["account"]["scored"])
        assert any("a side began behind them" in note for note in diff["notes"]) == (start is not Start.SEALED)
    for name in names.values():
        said("drop", name, "--yes")


def said(*words: str) -> dict[str, Any]:
    """Run a command of `clickgoose replay` and return the object that it prints."""
    found = CliRunner().invoke(app, ["replay", *words, "--json"])
    assert found.exit_code == 0, (found.output, repr(found.exception))
    told: dict[str, Any] = json.loads(found.stdout)
    return told


def both_take(both: tuple[World, World], topics: Topics, values: list[bytes], partition: int, after: int = 0) -> None:
    """Send records when all before them have come to an end, and wait until these have."""
    for world in both if after else ():
        world.drained(after)
    topics.send(values, partition)
    for world in both:
        world.drained(topics.sent)


def spread(world: World, processes: int) -> None:
    """Lay the states of all parts out for so many processes."""
    world.children.clear()
    for part in ALL:
        root = [world.directory / part]
        rebalance(wanted(processes, root, root))


def a_replay_can_start_at_each_topic(topics: Topics, sent: list[int], scored: list[set[int]]) -> None:
    """Read what the parts left between them."""
    for start, name in ((Start.EXTRACTED, "extracted"), (Start.ENRICHED, "enriched")):
        topic = f"{topics.prefix}.{name}"
        held = extents_of(topics.bootstrap, start, range(3), topic)
        assert [held[p] for p in range(3)] == [(0, sent[p]) for p in range(3)]
        pieces = tuple(Piece(p, 100, held[p].next) for p in held)
        source = BatchSource(topics.bootstrap, Plan("r", topics.raw, start, (), pieces), topic=topic)
        for piece in pieces:
            offsets = np.concatenate([batch.origin.offset for batch in source.read(piece, 130)])
            assert (np.diff(offsets) > 0).all() and offsets[0] >= 130
            assert set(offsets) >= {offset for offset in scored[piece.partition] if offset >= 130}
            assert start is Start.EXTRACTED or set(offsets) == {o for o in scored[piece.partition] if o >= 130}
        with pytest.raises(SourceFailed, match="does not hold offsets"):
            list(source.read(Piece(0, 0, held[0].next + 5), 0))
        source.close()
