"""The engine: what it writes, what it accounts for, where it stops, and what it will not resume."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flows.state_lock import let_go, take_lock
from replay.engine import Progress, Replay, ReplayRefused, Step
from replay.parts import SourceFailed
from replay.plan import Piece, Plan, Selection
from schemas.batches import RawBatch
from schemas.dead_letter import decode_dead_letter
from schemas.result import decode_result
from scoring.judge import Judge
from tests.replay_engine_kit import (
    Disk,
    DiskOutput,
    Kept,
    Log,
    LogSource,
    flowed,
    later_log,
    log_of,
    parts_of,
    replayed,
)
from tests.wire import NOW, mixture

ROWS = 40


@cache
def recorded(partitions: int = 1) -> Log:
    return log_of(mixture(ROWS - 2), partitions)


@cache
def all_of(partitions: int = 1) -> Kept:
    return flowed(recorded(), 0, 16) if partitions == 1 else _replayed(partitions)


def _replayed(partitions: int) -> Kept:
    with tempfile.TemporaryDirectory() as root:
        return replayed(recorded(partitions).plan(), recorded(partitions), Path(root))[0].kept


def test_a_replay_of_one_partition_is_what_the_flow_made_of_it(tmp_path: Path) -> None:
    disk, _ = replayed(recorded().plan(), recorded(), tmp_path)
    assert disk.kept == all_of()
    assert sum(1 for _, _, stage in disk.kept if stage) >= 10, "dead letters are written too"
    letter = next(decode_dead_letter(value) for (_, _, stage), value in disk.kept.items() if stage)
    assert letter.first_failed_at == NOW + 50 + 1000 * letter.offset, "a replay has no clock of its own"


def test_where_no_rule_looks_at_events_judge_says_the_same_in_any_order(tmp_path: Path) -> None:
    log, found = recorded(3), []
    for remembers in (True, False):
        disk = Disk()
        parts = parts_of(log.plan(), log, tmp_path / str(remembers), disk, rows=16)
        pipeline = dataclasses.replace(parts.pipeline, judge=Judge())
        replay = Replay(dataclasses.replace(parts, pipeline=pipeline, remembers=remembers))
        assert replay.run().finished
        found.append(disk.kept)
    assert found[0] == found[1] and len(found[0]) == ROWS


def test_all_partitions_are_opened_before_the_first_row_is_waited_for(tmp_path: Path) -> None:
    log, opened = recorded(3), list[int]()

    class Source(LogSource):
        def read(self, piece: Piece, first: int, /) -> Iterator[RawBatch]:
            opened.append(piece.partition)
            return self._rows(super().read(piece, first))

        def _rows(self, rows: Iterator[RawBatch]) -> Iterator[RawBatch]:
            assert sorted(opened) == [0, 1, 2]
            yield from rows

    disk, _ = replayed(log.plan(), log, tmp_path, source=Source(log))
    assert disk.kept == all_of(3)


def test_warming_up_writes_nothing_and_leaves_the_range_as_if_all_had_been_replayed(tmp_path: Path) -> None:
    disk, replay = replayed(recorded().plan(warm=13), recorded(), tmp_path)
    assert disk.kept == {name: value for name, value in all_of().items() if name[1] >= 13}
    account = replay.run().account
    assert (account.warmed, account.read) == (13, ROWS - 13)
    assert account.read == account.scored + account.dead + account.dropped == account.written + account.written_dead + 2


def test_without_warming_up_the_range_finds_an_empty_state(tmp_path: Path) -> None:
    log = recorded()
    plan = Plan("cold", log.plan().topic, log.plan().start, (), (Piece(0, 13, ROWS),))
    disk, _ = replayed(plan, log, tmp_path)
    assert disk.kept != {name: value for name, value in all_of().items() if name[1] >= 13}


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        (Selection(merchants=("shop-1",)), lambda said: said.merchant == "shop-1"),
        (Selection(merchants=("shop-2",)), lambda said: False),
        (Selection(places=frozenset({(0, 1), (0, 2), (0, 4), (1, 5)})), None),
    ],
    ids=["its merchant", "another merchant", "places"],
)
def test_only_what_is_selected_is_written_and_all_of_it_is_counted(
    tmp_path: Path, partitions: int, selection: Selection, wanted: Callable[[Any], bool] | None
) -> None:
    log = recorded(partitions)
    disk, replay = replayed(log.plan(selection=selection), log, tmp_path)
    expected = {
        name: value
        for name, value in all_of(partitions).items()
        if ((name[0], name[1]) in (selection.places or ()) if wanted is None else wanted(_said(name, value)))
    }
    assert disk.kept == expected
    account = replay.run().account
    assert account.read == ROWS == account.scored + account.dead + account.dropped
    assert account.written + account.written_dead == len(expected)


def _said(name: tuple[int, int, str], value: bytes) -> Any:
    return decode_dead_letter(value) if name[2] else decode_result(value)


def test_sessions_are_selected_with_the_letters_whose_header_can_be_read(tmp_path: Path) -> None:
    said = {name: _said(name, value) for name, value in all_of().items() if not name[2]}
    session = next(iter(said.values())).session_id
    disk, _ = replayed(recorded().plan(selection=Selection(sessions=(session,))), recorded(), tmp_path)
    scored = {name for name, one in said.items() if one.session_id == session}
    assert {name for name in disk.kept if not name[2]} == scored
    rows = {offset for _, offset, _ in scored}
    dead = {offset for _, offset, stage in disk.kept if stage}
    assert dead
    assert {offset % 8 for offset in dead} == {offset % 8 for offset in rows}, "eight sessions take turns"
    unreadable = {name for name, value in all_of().items() if name[2] and b"bad_envelope" in value}
    assert unreadable
    assert not unreadable & set(disk.kept)


def test_a_sample_is_of_devices_and_the_same_in_every_run(tmp_path: Path) -> None:
    found = [
        set(replayed(recorded().plan(selection=Selection(sample=share)), recorded(), tmp_path / str(n))[0].kept)
        for n, share in enumerate([0.6, 0.6, 0.9, 1.0])
    ]
    assert found[0] == found[1] < found[3]
    assert found[0] <= found[2] <= found[3]
    devices = [
        {_said(name, all_of()[name]).device_id for name in some if not name[2]}
        for some in (found[0], found[3] - found[0])
    ]
    assert devices[0]
    assert not devices[0] & devices[1]


def test_a_run_that_is_told_to_stop_is_resumed_where_it_stopped(tmp_path: Path) -> None:
    log, disk, told = recorded(2), Disk(), list[Progress]()
    parts = parts_of(
        log.plan(), log, tmp_path, disk, checkpoint_seconds=1e9, stopping=lambda: len(told) >= 2, progress=told.append
    )
    outcome = Replay(dataclasses.replace(parts, clock=iter(range(10_000)).__next__)).run()
    assert not outcome.finished
    assert outcome.account.read == 14
    assert outcome.checkpoints == 1
    output = DiskOutput(disk)
    source = LogSource(log)
    again = Replay(parts_of(log.plan(), log, tmp_path, disk, output=output, source=source, progress=told.append))
    assert again.resumes
    assert sum(again.positions.values()) == 14
    outcome = again.run()
    assert outcome.finished
    assert outcome.rows_here == ROWS - 14
    assert {piece.partition: first for piece, first in source.reads} == {0: 7, 1: 7}
    assert output.marks == {"topic": {"0": 1}}, "the output is given the marks of the checkpoint"
    assert disk.kept == all_of(2)
    assert disk.again == 0
    assert (told[-1].share, told[-1].offsets, told[-1].account) == (1.0, ROWS, outcome.account)


def test_a_run_that_has_ended_is_not_run_again(tmp_path: Path) -> None:
    _, first = replayed(recorded().plan(), recorded(), tmp_path)
    source = LogSource(recorded())
    again = Replay(parts_of(recorded().plan(), recorded(), tmp_path, Disk(), source=source))
    assert again.run().account == first.run().account
    assert source.reads == []


def test_a_source_that_fails_ends_the_run_at_its_last_checkpoint(tmp_path: Path) -> None:
    log, disk = recorded(), Disk()
    with pytest.raises(SourceFailed, match="away"):
        Replay(parts_of(log.plan(), log, tmp_path, disk, source=LogSource(log, fails_at=5))).run()
    replay = Replay(parts_of(log.plan(), log, tmp_path, disk))
    assert 0 < replay.positions[0] < ROWS
    replay.run()
    assert disk.kept == all_of()


@pytest.mark.parametrize("start", ["extracted", "enriched"])
@pytest.mark.parametrize("partitions", [1, 3])
def test_a_replay_from_a_later_stage_says_the_same_of_the_rows_that_came_so_far(
    tmp_path: Path, start: str, partitions: int
) -> None:
    log, plan = later_log(recorded(partitions), start)
    disk, _ = replayed(plan, log, tmp_path, sizes=(3, 8), rows=9)
    results = {name: value for name, value in all_of(partitions).items() if not name[2]}
    assert {name: value for name, value in disk.kept.items() if not name[2]} == results


def test_results_are_those_of_the_state_that_a_snapshot_of_a_run_holds(tmp_path: Path) -> None:
    log = recorded(2)
    plan = log.plan()
    half = tuple(Piece(piece.partition, piece.first, 11) for piece in plan.range)
    rest = tuple(Piece(piece.partition, 11, piece.next) for piece in plan.range)
    replayed(dataclasses.replace(plan, range=half), log, tmp_path / "one")
    later = dataclasses.replace(plan, range=rest, snapshot=str(tmp_path / "one"))
    before = _files(tmp_path / "one")
    disk, _ = replayed(later, log, tmp_path / "two")
    assert disk.kept == {name: value for name, value in all_of(2).items() if name[1] >= 11}
    assert _files(tmp_path / "one") == before, "a snapshot is only read"


def test_rows_before_a_snapshot_warm_up_what_partitions_share_and_not_its_state(tmp_path: Path) -> None:
    log, plan = recorded(2), recorded(2).plan(warm=14)
    replayed(dataclasses.replace(plan, warm=(), range=tuple(Piece(at, 0, 11) for at in (0, 1))), log, tmp_path / "one")
    for name in ("checkpoint.json", *(path.name for path in (tmp_path / "one").glob("*.dump"))):
        (tmp_path / "one" / name).unlink()  # as a flow's directory: states and nothing else
    later = dataclasses.replace(plan, snapshot=str(tmp_path / "one"))
    expected = {name: value for name, value in all_of(2).items() if name[1] >= 14}
    assert replayed(later, log, tmp_path / "two")[0].kept == expected
    for steps in (1, 5, 13, 20):  # killed before and after the state took over
        disk, output = Disk(), None
        output = DiskOutput(disk)
        run = Replay(parts_of(later, log, tmp_path / str(steps), disk, output=output)).steps()
        list(islice(run, steps))
        run.close()  # type: ignore[attr-defined] # it is a generator
        Replay(parts_of(later, log, tmp_path / str(steps), disk)).run()
        assert disk.kept == expected


def test_a_snapshot_that_begins_behind_the_range_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    log = recorded(2)
    replayed(log.plan(), log, tmp_path / "one")
    later = log.plan(snapshot=str(tmp_path / "one"))
    with pytest.raises(ReplayRefused, match="no whole state at or before offset 0"):
        Replay(parts_of(later, log, tmp_path / "two", Disk()))
    with pytest.raises(ReplayRefused, match="holds no state"):
        Replay(parts_of(log.plan(snapshot=str(tmp_path / "none")), log, tmp_path / "two", Disk()))
    assert not (tmp_path / "two").exists()


def test_a_run_goes_on_only_with_what_it_was_begun_with(tmp_path: Path) -> None:
    log, plan = recorded(), recorded().plan()
    _stopped(tmp_path)
    for other in (
        {"fingerprint": "another build"},
        {"plan": dataclasses.replace(plan, range=(Piece(0, 0, ROWS - 1),))},
        {"plan": dataclasses.replace(plan, selection=Selection(places=frozenset({(0, 1)})))},
        {"rows": 8},
    ):
        with pytest.raises(ReplayRefused, match="begun with another"):
            Replay(parts_of(other.pop("plan", plan), log, tmp_path, Disk(), **other))  # type: ignore[arg-type]
    with pytest.raises(ReplayRefused, match="kept elsewhere"):
        Replay(parts_of(plan, log, tmp_path, Disk(), counts=None))
    other_place = dataclasses.replace(
        plan, range=tuple(dataclasses.replace(one, store="archive") for one in plan.range)
    )
    assert Replay(parts_of(other_place, log, tmp_path, Disk())).resumes, "wherever its records are read meanwhile"


def test_a_run_is_worked_on_by_one_process(tmp_path: Path) -> None:
    lock = take_lock(tmp_path)
    with pytest.raises(ReplayRefused, match="being worked on by process"):
        Replay(parts_of(recorded().plan(), recorded(), tmp_path, Disk())).run()
    let_go(lock)
    assert Replay(parts_of(recorded().plan(), recorded(), tmp_path, Disk())).run().finished


def _files(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def _stopped(directory: Path) -> None:
    """Leave a run behind that was killed after some checkpoints."""
    run = Replay(parts_of(recorded().plan(), recorded(), directory, Disk())).steps()
    assert next(step for number, step in enumerate(run) if number > 20 and step is Step.MARKED)
    run.close()  # type: ignore[attr-defined] # it is a generator


def _altered(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("pattern", ["checkpoint.json", "counts-*.dump", "history-*.dump", "state/*/segment-*"])
@pytest.mark.parametrize("damage", ["altered", "cut off", "gone"])
def test_damage_to_what_a_run_resumes_from_is_said_in_one_sentence(tmp_path: Path, pattern: str, damage: str) -> None:
    _stopped(tmp_path)
    (path,) = tmp_path.glob(pattern)
    if damage == "altered":
        _altered(path, path.stat().st_size // 2)
    elif damage == "cut off":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif pattern == "checkpoint.json":
        return  # a run without one begins anew
    else:
        path.unlink()
    with pytest.raises(ReplayRefused) as refused:
        Replay(parts_of(recorded().plan(), recorded(), tmp_path, Disk())).run()
    assert "damaged" in str(refused.value)
    assert "clickgoose replay drop" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_checkpoint_of_another_build_is_not_guessed_at(tmp_path: Path) -> None:
    _stopped(tmp_path)
    path = tmp_path / "checkpoint.json"
    stored = json.loads(path.read_bytes())
    path.write_bytes(msgspec.json.encode({**stored, "version": 99}))
    with pytest.raises(ReplayRefused, match="of another build"):
        Replay(parts_of(recorded().plan(), recorded(), tmp_path, Disk()))


def test_what_a_killed_checkpoint_left_behind_is_deleted(tmp_path: Path) -> None:
    _stopped(tmp_path)
    (tmp_path / "counts-99.dump").write_bytes(b"half of it")
    (tmp_path / "checkpoint.json.tmp").write_bytes(b"half of it")
    (tmp_path / "run.json").write_bytes(b"not the engine's")
    Replay(parts_of(recorded().plan(), recorded(), tmp_path, Disk())).run()
    names = {path.name.split("-")[0] for path in tmp_path.iterdir()}
    assert names == {"checkpoint.json", "counts", "history", "lock", "run.json", "state"}
    assert len(list(tmp_path.glob("*.dump"))) == 2


@pytest.mark.parametrize(
    ("warm", "range_", "sentence"),
    [
        ((), (), "empty"),
        ((), (Piece(0, 4, 4),), "empty"),
        ((Piece(0, 0, 9),), (Piece(0, 8, 12),), "overlap"),
        ((), (Piece(0, 9, 12), Piece(0, 0, 4)), "out of order"),
    ],
)
def test_a_plan_that_is_none_is_refused(
    tmp_path: Path, warm: tuple[Piece, ...], range_: tuple[Piece, ...], sentence: str
) -> None:
    plan = dataclasses.replace(recorded().plan(), warm=warm, range=range_)
    with pytest.raises(ValueError, match=sentence):
        Replay(parts_of(plan, recorded(), tmp_path / "none", Disk()))
    assert not (tmp_path / "none").exists()
