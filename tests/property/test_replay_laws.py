"""A replay's outcomes are those of its rows: not of chunks, parcels, kills, nor of when checkpoints were made."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import islice
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from replay.checkpoint import Account
from replay.engine import Replay
from replay.plan import Plan
from tests.replay_engine_kit import Disk, DiskOutput, Kept, Log, log_of, parts_of
from tests.wire import mixture

WARM = 3
SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=4)
KILLS = st.lists(st.tuples(st.integers(0, 24), st.floats(0, 1)), max_size=3)
WAYS = {"in turn": lambda row: row, "back and forth": lambda row: row if row % 5 else row - 9, "at once": lambda row: 7}


@cache
def recorded(partitions: int, way: str) -> Log:
    return log_of(mixture(30), partitions, WAYS[way])


@cache
def undisturbed(partitions: int, way: str) -> tuple[Kept, Account]:
    """Return what comes of a run in one piece: one chunk a partition, parcels of its own size, one checkpoint."""
    log = recorded(partitions, way)
    with directory() as root:
        disk = Disk()
        parts = parts_of(planned(log), log, root, disk, sizes=(1_000,), rows=16, checkpoint_seconds=1e9)
        outcome = Replay(parts).run()
    return disk.kept, outcome.account


def planned(log: Log) -> Plan:
    return log.plan(warm=WARM)


@contextmanager
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@settings(deadline=None, max_examples=8)
@given(
    partitions=st.integers(1, 4),
    way=st.sampled_from(sorted(WAYS)),
    rows=st.integers(2, 40),
    often=st.booleans(),
    data=st.data(),
)
def test_outcomes_are_the_same_however_rows_are_cut_and_wherever_the_run_is_killed(
    partitions: int, way: str, rows: int, often: bool, data: st.DataObject
) -> None:
    log, disk = recorded(partitions, way), Disk()
    more = {"rows": rows, "checkpoint_seconds": 0.0 if often else 1e9}
    with directory() as root:
        for steps, share in data.draw(KILLS):
            output = DiskOutput(disk)
            replay = Replay(
                parts_of(planned(log), log, root, disk, output=output, sizes=tuple(data.draw(SIZES)), **more)
            )
            run = replay.steps()
            assert isinstance(run, Iterator)
            list(islice(run, steps))
            run.close()  # type: ignore[attr-defined] # it is a generator
            output.killed(share)
        sizes = tuple(data.draw(SIZES))
        outcome = Replay(parts_of(planned(log), log, root, disk, sizes=sizes, **more)).run()
    kept, account = undisturbed(partitions, way)
    assert disk.kept == kept
    assert outcome.account == account
    assert account.read == account.scored + account.dead + account.dropped
    assert account.warmed == WARM * partitions
    assert account.written + account.written_dead == len(kept)
