"""The state of a process that runs a part of the pipeline: its keyed stages as one, and how far it has read.

``extract`` keys nothing, ``enrich`` has velocity and recognize, ``score`` has decide. A frame is, little-endian:
``magic 4 | version u8 | part u8 | stages u16 | stream 8 | positions i64, i64``, then the bytes of each stage's snapshot
as u64, and the snapshots in turn. Positions are offsets of the topics that the process reads besides ``events.raw``: of
batches, and of scores that come back; ``stream`` tells one ``events.raw`` from another of that name.

The state of all three stages together (flows/chain.py) has other frames: neither can be taken for the other.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Final, Protocol

from schemas.batches import Decided, RawBatch
from schemas.stage import Applies, Snapshot, StageOut
from schemas.velocity import SLICES
from scoring.decide import DecideSession

STREAM_BYTES: Final = 8
UNKNOWN: Final = -1
_MAGIC: Final = b"CGPS"
_VERSION: Final = 1
_HEAD: Final = struct.Struct(f"<4sBBH{STREAM_BYTES}sqq")
_SIZE: Final = struct.Struct("<Q")


class Part(StrEnum):
    """The parts of the pipeline that a process may run alone."""

    EXTRACT = "extract"  # decode, verify_mask
    ENRICH = "enrich"  # normalize to enrich
    SCORE = "score"  # score, judge, decide, and the results


_PARTS: Final = tuple(Part)


def stream_digest(name: str) -> bytes:
    """Return what tells the offsets of one topic from those of another: of its name and id."""
    return blake2b(name.encode(), digest_size=STREAM_BYTES).digest()


@dataclass(slots=True)
class Positions:
    """The next offset to read in the topics between the processes; ``UNKNOWN``: the earliest."""

    batches: int = UNKNOWN
    scores: int = UNKNOWN


class StageState:
    """A keyed stage of the keyed stages of one part. Several follow the first: they write the slices that it does."""

    def __init__(self, part: Part, stream: bytes, stages: Sequence[Any] = ()) -> None:
        self._part = part
        self._stream = stream
        self._stages = tuple(stages)

    @property
    def name(self) -> str:
        """Return the names of the stages."""
        return "+".join(stage.name for stage in self._stages) or self._part.value

    def open(self, snapshots: Sequence[bytes], /) -> StageSession:
        """Return the session of a partition after the given snapshots; without any, an empty one.

        ValueError where one is not of this part, stream and build, or they do not cover all slices.
        """
        found = [self._split(data) for data in snapshots]
        sessions = [stage.open([parts[at] for _, parts in found]) for at, stage in enumerate(self._stages)]
        positions = found[-1][0] if found else Positions()
        return StageSession(self._part, self._stream, [s.name for s in self._stages], sessions, positions)

    def _split(self, data: bytes) -> tuple[Positions, list[bytes]]:
        if len(data) < _HEAD.size or data[:4] != _MAGIC:
            raise ValueError(f"not a state of `clickgoose flow run --stage {self._part}`")
        _, version, part, stages, stream, batches, scores = _HEAD.unpack_from(data)
        if version != _VERSION:
            raise ValueError(f"a state of version {version}, this build has {_VERSION}")
        if part >= len(_PARTS) or _PARTS[part] is not self._part or stages != len(self._stages):
            other = f"of `--stage {_PARTS[part]}`" if part < len(_PARTS) else "of another build"
            raise ValueError(f"a state {other}, not of `--stage {self._part}`")
        if stream != self._stream:
            raise ValueError("a state of another topic of that name: events.raw was made anew")
        at = _HEAD.size + _SIZE.size * stages
        pieces = []
        for number in range(stages):
            (size,) = _SIZE.unpack_from(data, _HEAD.size + _SIZE.size * number)
            pieces.append(data[at : at + size])
            at += size
        if at != len(data):
            raise ValueError("a state that is cut off")
        return Positions(batches, scores), pieces


@dataclass(slots=True)
class StageSession:
    """The open state of one partition. ``positions`` is set by who reads, and written with the state."""

    part: Part
    stream: bytes
    names: Sequence[str]
    sessions: Sequence[Any]
    positions: Positions = field(default_factory=Positions)

    @property
    def steps(self) -> Sequence[tuple[str, Applies[Any, Any]]]:
        """Return what ``apply`` does in turn, with the names of the stages; decide waits for the scores."""
        return () if self.part is not Part.ENRICH else tuple(zip(self.names, self.sessions, strict=True))

    @property
    def last(self) -> DecideSession:
        """Return the session that decides; TypeError where this part has none."""
        if self.part is not Part.SCORE:
            raise TypeError(f"the part {self.part} of the pipeline decides nothing")
        session: DecideSession = self.sessions[0]
        return session

    def apply(self, batch: RawBatch, /) -> StageOut[Any]:
        """Run the steps."""
        out: StageOut[Any] = StageOut(batch)
        for _, session in self.steps:
            done = session.apply(out.oks)
            out = StageOut(done.oks, (*out.errs, *done.errs), out.dropped + done.dropped)
        return out

    def remember(self, batch: Decided, /) -> None:
        """Tell the steps of scores and decisions."""
        for session in self.sessions if self.part is Part.ENRICH else ():
            session.remember(batch)

    def snapshot(self, *, whole: bool = False) -> Snapshot:
        """Return the next snapshot of all."""
        first, slices, data = 0, SLICES, list[bytes]()
        for session in self.sessions:
            made: Snapshot = session.snapshot_of(first, slices) if data else session.snapshot(whole=whole)
            first, slices = made.first_slice, made.slices
            data.append(made.data)
        head = _HEAD.pack(
            _MAGIC, _VERSION, _PARTS.index(self.part), len(data), self.stream, self.positions.batches,
            self.positions.scores,
        )  # fmt: skip
        return Snapshot(b"".join((head, *(_SIZE.pack(len(one)) for one in data), *data)), first, slices)


class _HasSessions(Protocol):
    def session(self, partition: int) -> Any: ...


def positions_of(checkpoints: _HasSessions, partition: int) -> Positions:
    """Return how far the process has read for a partition, to be set; TypeError where its state says nothing of it."""
    session = checkpoints.session(partition)
    if not isinstance(session, StageSession):
        raise TypeError("this flow runs the whole pipeline: it reads no batches")
    return session.positions
