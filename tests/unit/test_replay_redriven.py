"""A range that holds a record that failed, and what a redrive sent for it: the event is scored once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from replay.engine import Replay
from replay.plan import Piece, Plan
from schemas.dead_letter import decode_dead_letter
from schemas.result import decode_result
from schemas.stage import StageOut
from tests.redriven import sent_again
from tests.replay_engine_kit import Disk, Kept, Log, log_of, parts_of
from tests.wire import mixture

ROWS = 60
FAILING = frozenset({22, 30})


class FailsFirst:
    """A stage that raises where one of some records comes as it was first received."""

    def __init__(self, stage: Any, offsets: Collection[int]) -> None:
        self.name = stage.name
        self._stage, self._offsets = stage, offsets

    def __call__(self, batch: Any, /) -> StageOut[Any]:
        if any(offset in self._offsets for offset in batch.origin.offset.tolist()):
            raise ZeroDivisionError("a bug that the test put there")
        out: StageOut[Any] = self._stage(batch)
        return out


def replayed(plan: Plan, log: Log, directory: Path, failing: Collection[int], **more: Any) -> tuple[Kept, Any]:
    disk = Disk()
    parts = parts_of(plan, log, directory, disk, **more)
    parts.monitor.budget._limit = 2.0
    score: Any = FailsFirst(parts.pipeline.score, failing)
    replay = Replay(replace(parts, pipeline=replace(parts.pipeline, score=score)))
    assert replay.run().finished
    return disk.kept, replay.run().account


@cache
def records() -> tuple[bytes, ...]:
    return tuple(mixture(ROWS - 2))


def redriven(directory: Path, behind: int) -> Log:
    """Return the log with the records that were sent again so many rows behind the last one that failed."""
    kept, _ = replayed(log_of(records(), 1).plan(), log_of(records(), 1), directory, FAILING)
    letters = [decode_dead_letter(value) for (_, _, stage), value in kept.items() if stage == "score"]
    assert {letter.offset for letter in letters} == FAILING
    assert all(letter.told for letter in letters)
    at = max(FAILING) + 1 + behind
    return log_of([*records()[:at], *sent_again(letters), *records()[at:]], 1)


def events(kept: Kept) -> list[str]:
    return [decode_result(value).event_id for (_, _, stage), value in kept.items() if not stage]


@pytest.mark.parametrize("rows", [7, 64], ids=["parcels between them", "one parcel"])
@pytest.mark.parametrize("behind", [0, 25])
def test_a_record_that_does_not_fail_any_more_is_scored_and_what_was_sent_again_is_its_copy(
    tmp_path: Path, rows: int, behind: int
) -> None:
    log = redriven(tmp_path / "failed", behind)
    kept, account = replayed(log.plan(), log, tmp_path / "run", (), rows=rows)
    alone, before = replayed(log_of(records(), 1).plan(), log_of(records(), 1), tmp_path / "alone", (), rows=rows)
    found = {decode_result(value).event_id: decode_result(value).score for name, value in kept.items() if not name[2]}
    expected = {
        decode_result(value).event_id: decode_result(value).score for name, value in alone.items() if not name[2]
    }
    assert len(events(kept)) == len(found), "no event is scored twice"
    assert found == expected, "nothing is remembered twice"
    assert (account.scored, account.dropped) == (before.scored, before.dropped + len(FAILING))


@pytest.mark.parametrize("rows", [7, 64])
def test_a_record_that_fails_again_is_scored_by_what_was_sent_again(tmp_path: Path, rows: int) -> None:
    log = redriven(tmp_path / "failed", 5)
    kept, account = replayed(log.plan(), log, tmp_path / "run", FAILING, rows=rows)
    assert len(events(kept)) == len(set(events(kept))) == account.scored
    at = max(FAILING) + 6
    assert {(0, at + turn, "") for turn in range(len(FAILING))} <= kept.keys()
    assert {(0, offset, "score") for offset in FAILING} <= kept.keys()


def test_what_was_sent_again_is_scored_where_its_first_record_lies_before_the_range(tmp_path: Path) -> None:
    log = redriven(tmp_path / "failed", 5)
    at = max(FAILING) + 6
    plan = Plan("late", log.plan().topic, log.plan().start, (), (Piece(0, at, len(log.records[0])),))
    kept, _ = replayed(plan, log, tmp_path / "run", ())
    assert {(0, at + turn, "") for turn in range(len(FAILING))} <= kept.keys()
