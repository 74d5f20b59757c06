"""The sides of a diff by name: a run by its record, or history."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec

from infra.replay_diff_clickhouse import DiffError
from infra.replay_diff_sides import HISTORY, Side, Sides, sides_of
from replay.checkpoint import ReplayRefused, read_checkpoint
from replay.namespace import BadName, Namespace, Part, check_name, database_of
from replay.plan import Piece, Plan
from replay.run_record import RecordError, Run, State, read_named


def sides_named(a: str, b: str, *, home: Path, url: str, partial: bool = False) -> Sides:
    """Return two sides by name. ``partial``: a run that is not done stands for what it has done.

    Files are read where one side has nothing else: tables say more. ``url``: of ClickHouse; empty: there is none.
    DiffError where a side is unknown, not done or kept where nobody looks, or where both have nothing in common.
    """
    live = database_of(url) if url else ""
    first, second = (_side(name, home, live, partial) for name in (a, b))
    if first.database and second.database:
        first, second = replace(first, files=None), replace(second, files=None)
    return sides_of(first, second, live)


def _side(name: str, home: Path, live: str, partial: bool) -> Side:
    if name == HISTORY:
        return Side(HISTORY, live or "history")
    try:
        check_name(name)
        run = read_named(home, name)
        names = Namespace.of(name, live_database=live, home=home)
        plan = _written(run, names.directory, partial)
    except (BadName, RecordError, ReplayRefused) as error:
        raise DiffError(str(error)) from error
    into = run.options.into
    database = names.database if Part.CLICKHOUSE in into else ""
    files = names.directory if Part.FILES in into else None
    return Side(name, database, run.state.value, plan, msgspec.to_builtins(run.versions), files)


def _written(run: Run, directory: Path, partial: bool) -> Plan:
    """Return the plan of what a run has written."""
    if not {Part.CLICKHOUSE, Part.FILES} & set(run.options.into):
        raise DiffError(
            f"{run.name} was written neither into ClickHouse nor into files: run it again with --into clickhouse, or "
            "--into files"
        )
    if run.state is State.DONE:
        return run.plan
    if not partial:
        raise DiffError(
            f"{run.name} is {run.state.value} and not done: resume it, or give --partial to compare what it has done"
        )
    checkpoint = read_checkpoint(directory)
    done = {} if checkpoint is None else {number: at.next for number, at in checkpoint.partitions.items()}
    pieces = tuple(
        Piece(one.partition, one.first, end, one.store)
        for one in run.plan.range
        if (end := min(one.next, done.get(one.partition, one.first))) > one.first
    )
    if not pieces:
        raise DiffError(f"{run.name} is {run.state.value} and has written nothing of its range yet")
    return replace(run.plan, range=pieces)
