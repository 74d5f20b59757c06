"""Outcomes of a run in files of its own, a frame at a time, and which bytes of them count.

::

    results/scored-00000.frames        results of partition 0, as events.scored would have them
    results/dead_letter-00000.frames   its dead letters, as events.dead_letter would

A frame is ``"CGRF" | rows u32 | plain u32 | packed u32 | crc u32`` and then ``packed`` bytes, little-endian: LZ4 of
``rows`` lengths as u32, of which the highest bit says that events.alerts would have the record too, and of the records
themselves. ``crc`` is the CRC-32 of every byte of the file before it, and of the packed bytes behind it. So no frame
can be damaged, missing or moved unseen. The checkpoint keeps length and CRC of each file: what lies beyond was never
there, and is cut off where the run goes on. Where frames end depends on when checkpoints were made; records do not.
"""

from __future__ import annotations

import errno
import os
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import lz4.block
import numpy as np

from flows.state_segments import sync_directory
from replay.parts import Marks, OutputFailed
from schemas.columns import Bool

DIRECTORY: Final = "results"
LENGTHS, CRCS = "files", "files_crc"
"""Of the marks in a checkpoint: by name of a file, how many of its bytes count, and the CRC-32 at their end."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NAME: Final = re.compile(r"(scored|dead_letter)-(\d{5,10})\.frames")
_HEAD: Final = struct.Struct("<4sIII")
_CRC: Final = struct.Struct("<I")
_MAGIC: Final = b"CGRF"
_ALERT: Final = np.uint32(1 << 31)
_ALL_BUT_ALERT: Final = np.uint32((1 << 31) - 1)


class Kind(StrEnum):
    """What a file holds."""

    SCORED = "scored"
    DEAD_LETTER = "dead_letter"


class FilesDamaged(Exception):
    """Files do not hold what the checkpoint says; the message is one sentence."""


class Frame(NamedTuple):
    """Records in the order in which they were appended, and which of them are alerts, bool[n]."""

    records: list[bytes]
    alert: Bool


class FrameFile:
    """One file that is appended to. It is cut at ``length``; OutputFailed where it is shorter."""

    def __init__(self, path: Path, length: int = 0, crc: int = 0) -> None:
        self._path = path
        with disk_said(path):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if os.fstat(self._descriptor).st_size < length:
                os.close(self._descriptor)
                raise OutputFailed(str(_damaged(path, "it is shorter than the checkpoint says")))
            os.ftruncate(self._descriptor, length)
            os.lseek(self._descriptor, length, os.SEEK_SET)
        self.length, self.crc = length, crc
        self._synced = -1

    def append(self, records: Sequence[bytes], alert: Bool) -> None:
        """Append a frame. OutputFailed where the disk does not take it."""
        lengths = np.fromiter(map(len, records), np.uint32, len(records))
        lengths[alert] |= _ALERT
        plain = b"".join((lengths.astype("<u4").tobytes(), *records))
        packed = lz4.block.compress(plain, store_size=False)
        head = _HEAD.pack(_MAGIC, len(records), len(plain), len(packed))
        crc = zlib.crc32(packed, zlib.crc32(head, self.crc))
        parts = head + _CRC.pack(crc), packed
        with disk_said(self._path):
            for part in parts:
                _write(self._descriptor, part)
        self.length += sum(map(len, parts))
        self.crc = crc

    def sync(self) -> None:
        """Make durable what was appended."""
        if self.length != self._synced:
            with disk_said(self._path):
                os.fdatasync(self._descriptor)
            self._synced = self.length

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def is_full(error: OSError) -> bool:
    """Return whether a disk, or what a user may have of it, is full."""
    return error.errno in _FULL


class disk_said:  # noqa: N801 - read as a function
    """Raise OutputFailed with one sentence where the disk does not do what is asked of it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Say it."""
        if isinstance(error, OSError):
            if is_full(error):
                raise OutputFailed(f"the disk of {self._path} is full: make room and go on with --resume") from error
            raise OutputFailed(f"{self._path} cannot be written: {error.strerror or error}") from error


def file_name(kind: Kind, partition: int) -> str:
    """Return the name of a file in the marks."""
    return f"{kind}-{partition:05d}"


def opened(directory: Path, marks: Marks) -> dict[str, FrameFile]:
    """Return the files that a checkpoint's marks name, each cut at what counts; remove all others."""
    lengths, crcs = marks.get(LENGTHS, {}), marks.get(CRCS, {})
    with disk_said(directory):
        directory.mkdir(mode=0o700, exist_ok=True)
        for path in directory.iterdir():
            if path.name.removesuffix(".frames") not in lengths:
                path.unlink()
    files = {
        name: FrameFile(directory / f"{name}.frames", length, crcs.get(name, 0)) for name, length in lengths.items()
    }
    with disk_said(directory):
        sync_directory(directory)
        sync_directory(directory.parent)
    return files


class ResultFiles:
    """The files of a run as its checkpoint has them, to read. FilesDamaged, or none at all where there are none."""

    def __init__(self, directory: Path, marks: Marks) -> None:
        self._directory = directory / DIRECTORY
        self._lengths, self._crcs = marks.get(LENGTHS, {}), marks.get(CRCS, {})

    @property
    def bytes(self) -> int:
        """Return how much there is on the disk."""
        return sum(self._lengths.values())

    def partitions(self, kind: Kind) -> list[int]:
        """Return the partitions of which there is anything, in order."""
        found = [match for name in self._lengths if (match := _NAME.fullmatch(f"{name}.frames"))]
        return sorted(int(match[2]) for match in found if match[1] == kind.value)

    def frames(self, kind: Kind, partition: int) -> Iterator[Frame]:
        """Yield the frames of a file, those of smaller offsets first."""
        name = file_name(kind, partition)
        path, ends, crc = self._directory / f"{name}.frames", self._lengths[name], 0
        try:
            with path.open("rb") as file:
                while file.tell() < ends:
                    frame, crc = _read(file, path, crc)
                    yield frame
                if file.tell() != ends or crc != self._crcs.get(name, 0):
                    raise _damaged(path, "it does not end where the checkpoint says")
        except OSError as error:
            raise _damaged(path, error.strerror or str(error)) from error


def _read(file: BinaryIO, path: Path, before: int) -> tuple[Frame, int]:
    at = file.tell()
    head = file.read(_HEAD.size + _CRC.size)
    if len(head) < _HEAD.size + _CRC.size:
        raise _damaged(path, f"it ends within the frame at byte {at}")
    magic, rows, size, packed = _HEAD.unpack_from(head)
    (crc,) = _CRC.unpack_from(head, _HEAD.size)
    data = file.read(packed) if magic == _MAGIC else b""
    if len(data) != packed or zlib.crc32(data, zlib.crc32(head[: _HEAD.size], before)) != crc:
        raise _damaged(path, f"the frame at byte {at} is not what was written")
    return _frame(lz4.block.decompress(data, uncompressed_size=size), rows), crc


def _frame(plain: bytes, rows: int) -> Frame:
    said = np.frombuffer(plain, "<u4", rows)
    ends = (4 * rows + np.cumsum(said & _ALL_BUT_ALERT, dtype=np.int64)).tolist()
    begins = [4 * rows, *ends[:-1]] if rows else []
    return Frame([plain[first:end] for first, end in zip(begins, ends, strict=True)], (said & _ALERT) != 0)


def _damaged(path: Path, why: str) -> FilesDamaged:
    return FilesDamaged(f"{path} is damaged, {why}: drop the run with `clickgoose replay drop` and run it again")
