"""The checkpoint of a replay: where each partition is, what became of the rows, and what was known there.

Everything that a run must resume with lies in its directory::

    checkpoint.json            the checkpoint; the only file that says what counts
    state/partition-XXXXX/     the state log of each partition (flows.state_log)
    counts-N.dump              shared counts, where they are in the process
    history-N.dump             the rules' history, where it is in the process

``checkpoint.json`` names offsets of frames and digests of dumps, has a digest of itself, and is replaced by one rename,
after all that it names is durable. Whatever is newer than it says was never there: frames are cut off, dumps deleted.
A dump is ``"CGDU" | version u8 | 3 bytes 0`` and then blocks, each ``length u32 | bytes``, little-endian.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import msgspec

from flows.state_segments import sync_directory
from replay.parts import Marks

FILE: Final = "checkpoint.json"
_VERSION: Final = 1
_HEAD: Final = b"CGDU\x01\0\0\0"
_LENGTH: Final = struct.Struct("<I")
_CHUNK: Final = 1 << 20


class ReplayRefused(Exception):
    """The run cannot go on as it lies; the message is one sentence for the user."""


class Dumpable(Protocol):
    """What is known in the process beside the partitions' states."""

    def dump(self) -> Iterator[bytes]:
        """Yield all of it in blocks."""
        ...

    def load(self, blocks: Iterable[bytes], /) -> None:
        """Know what was dumped, and nothing else; ValueError where that cannot be."""
        ...


class At(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a partition is."""

    next: int  # offset of the next row to read
    high: int  # the largest key of the rows before
    frame: int | None  # number of the frame of its state, None where nothing was applied
    snapshot: int | None = None  # offset of the snapshot's state that is still to take over, None where none is


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of rows. Of the range: ``read == scored + dead + dropped``."""

    warmed: int = 0
    read: int = 0
    scored: int = 0
    dead: int = 0
    dropped: int = 0  # copies of events that were counted before
    written: int = 0  # of the scored, those that were selected
    written_dead: int = 0

    def __add__(self, other: Account) -> Account:
        """Return the sums."""
        return Account(*(mine + its for mine, its in zip(_numbers(self), _numbers(other), strict=True)))


def _numbers(account: Account) -> list[int]:
    return [getattr(account, name) for name in Account.__struct_fields__]


class Dumped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dump that a checkpoint names."""

    name: str
    bytes: int
    sha256: str


class Checkpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of a run. ``fingerprint`` names all that its results depend on."""

    fingerprint: str
    start: str
    number: int
    partitions: dict[int, At]
    account: Account
    marks: Marks  # the output's own
    finished: bool = False
    counts: Dumped | None = None
    history: Dumped | None = None


class _Stored(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    sha256: str  # of the checkpoint, encoded
    checkpoint: msgspec.Raw


def read_checkpoint(directory: Path) -> Checkpoint | None:
    """Return a directory's checkpoint, None where it has none; ReplayRefused where it is damaged."""
    path = directory / FILE
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=_Stored)
        if stored.version != _VERSION:
            raise ReplayRefused(f"{path} is of another build: resume the run with the one that began it")
        if hashlib.sha256(bytes(stored.checkpoint)).hexdigest() != stored.sha256:
            raise ReplayRefused(_damaged(path))
        return msgspec.json.decode(stored.checkpoint, type=Checkpoint)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError:
        raise ReplayRefused(_damaged(path)) from None


def _damaged(path: Path) -> str:
    return f"{path} is damaged: drop the run with `clickgoose replay drop` and run it again"


def write_checkpoint(directory: Path, checkpoint: Checkpoint) -> None:
    """Replace a directory's checkpoint: after this it counts, before this the one before did."""
    said = msgspec.json.encode(checkpoint)
    stored = _Stored(_VERSION, hashlib.sha256(said).hexdigest(), msgspec.Raw(said))
    temporary = directory / f"{FILE}.tmp"
    with temporary.open("wb") as file:
        file.write(msgspec.json.encode(stored))
        _make_durable(file)
    temporary.replace(directory / FILE)
    sync_directory(directory)


def write_dump(directory: Path, name: str, blocks: Iterable[bytes]) -> Dumped:
    """Write a dump, durably."""
    digest, size = hashlib.sha256(), 0
    with (directory / name).open("wb") as file:
        for part in _parts(blocks):
            digest.update(part)
            size += len(part)
            file.write(part)
        _make_durable(file)
    return Dumped(name, size, digest.hexdigest())


def _parts(blocks: Iterable[bytes]) -> Iterator[bytes]:
    yield _HEAD
    for block in blocks:
        yield _LENGTH.pack(len(block))
        yield block


def _make_durable(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def load_dump(directory: Path, said: Dumped, into: Dumpable) -> None:
    """Let something know what a dump holds. ReplayRefused where the dump is not what the checkpoint says."""
    path = directory / said.name
    try:
        with path.open("rb") as file:
            _check(file, said)
            into.load(_blocks(file))
    except (OSError, struct.error) as error:
        raise ReplayRefused(f"{_damaged(path)} ({error})") from None
    except ValueError as error:
        raise ReplayRefused(f"{path} cannot be used: {error}") from None


def _check(file: BinaryIO, said: Dumped) -> None:
    """Read the whole file once before anything in it is believed, and go back to its beginning."""
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    if file.tell() != said.bytes or digest.hexdigest() != said.sha256:
        raise ReplayRefused(_damaged(Path(file.name)))
    file.seek(0)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    if file.read(len(_HEAD)) != _HEAD:
        raise ValueError("it was written by another build")
    while head := file.read(_LENGTH.size):
        yield file.read(*_LENGTH.unpack(head))


def clean(directory: Path, keep: Checkpoint | None) -> None:
    """Delete dumps that the checkpoint does not name, and what was to become a checkpoint."""
    named = {said.name for said in (keep.counts, keep.history) if said} if keep else set()
    for path in (*directory.glob("*.dump"), directory / f"{FILE}.tmp"):
        if path.name not in named:
            path.unlink(missing_ok=True)
