"""Sides of a diff in files, for tests: parcels as a run leaves them, with the checkpoint that says what counts."""

from __future__ import annotations

from pathlib import Path

from flows.sinks.encoded import EncodedParcel
from infra.replay_diff_sides import Side
from replay.checkpoint import Account, Checkpoint, write_checkpoint
from replay.outputs_files import FileResults
from replay.plan import Piece, Start
from replay.result_files import Kind, ResultFiles
from tests.diff_kit import plan_of


def in_files(directory: Path, *parcels: EncodedParcel) -> Path:
    """Write parcels as a run does that is done; return its directory."""
    directory.mkdir()
    out = FileResults(directory, {})
    out.write(parcels)
    marks = out.sync()
    out.close()
    scored, dead = (sum(len(part) for part in parts) for parts in
                    ([one.records for one in parcels], [one.parcel.errs for one in parcels]))  # fmt: skip
    account = Account(read=scored + dead, scored=scored, dead=dead, written=scored, written_dead=dead)
    write_checkpoint(directory, Checkpoint("x", Start.SEALED.value, 1, {}, account, marks, finished=True))
    return directory


def files_side(directory: Path, pieces: tuple[Piece, ...]) -> Side:
    """Return a run that has files alone."""
    return Side(directory.name, "", "done", plan_of(pieces, directory.name), files=directory)


def records_of(directory: Path, kind: Kind = Kind.SCORED) -> list[bytes]:
    """Return the records that a run's checkpoint names, partition by partition."""
    from replay.checkpoint import read_checkpoint

    checkpoint = read_checkpoint(directory)
    files = ResultFiles(directory, checkpoint.marks if checkpoint else {})
    return [one for number in files.partitions(kind) for frame in files.frames(kind, number) for one in frame.records]
