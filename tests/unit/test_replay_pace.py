"""How fast a replay goes, and how often it stops for a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from replay.engine import Replay
from replay.pace import Pace
from replay.plan import Piece
from tests.replay_engine_kit import (
    Disk,
    DiskOutput,
    LogSource,
    log_of,
    parts_of,
    replayed,
)
from tests.wire import mixture

ROWS = 40


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.mark.parametrize(("how", "seconds"), [({"rate": 4.0}, 30 / 4), ({"speed": 2.0}, 30 / 2), ({}, 0.0)])
def test_a_paced_replay_takes_its_time_and_warming_up_does_not(
    tmp_path: Path, how: dict[str, float], seconds: float
) -> None:
    clock = Clock()
    log = log_of(mixture(ROWS - 2), 1)
    replayed(log.plan(warm=5), log, tmp_path, rows=5, pace=Pace(**how, clock=clock, sleep=clock.sleep))
    assert sum(clock.slept) == pytest.approx(seconds), "from the first parcel of the range to the last"
    assert max(clock.slept, default=0) <= 0.5


def test_a_pace_is_a_rate_or_a_speed() -> None:
    with pytest.raises(ValueError, match="not both"):
        Pace(rate=1, speed=1)
    with pytest.raises(ValueError, match="above 0"):
        Pace(rate=-1)


def test_who_waits_for_the_pace_can_be_told_to_stop(tmp_path: Path) -> None:
    clock, log = Clock(), log_of(mixture(ROWS - 2), 1)
    parts = parts_of(
        log.plan(), log, tmp_path, Disk(), stopping=lambda: len(clock.slept) >= 3,
        pace=Pace(rate=0.1, clock=clock, sleep=clock.sleep),
    )  # fmt: skip
    outcome = Replay(parts).run()
    assert not outcome.finished
    assert outcome.account.read == 7
    assert len(clock.slept) == 3


def test_checkpoints_are_rarer_where_they_are_dear(tmp_path: Path) -> None:
    clock = Clock()

    class Slow(DiskOutput):
        def flush(self) -> Any:
            clock.now += 1.0
            return super().flush()

    class Working(LogSource):
        def read(self, piece: Piece, first: int, /) -> Any:
            for chunk in super().read(piece, first):
                clock.now += 2.0
                yield chunk

    log, disk = log_of(mixture(150), 1), Disk()
    parts = parts_of(
        log.plan(), log, tmp_path, disk, rows=4, output=Slow(disk), source=Working(log, (4,)), checkpoint_seconds=2.0,
        clock=clock,
    )  # fmt: skip
    outcome = Replay(parts).run()
    assert outcome.checkpoints == 3, "one soon, then after 39 times what the last one took, and one at the end"
    assert outcome.checkpoint_seconds == pytest.approx(3.0)
