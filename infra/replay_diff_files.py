"""One side of a diff that is kept in files of a run's directory: all of them are read once for each bucket.

Files lie in the order of offsets and buckets are by a hash of the event id, so each bucket reads all frames and decodes
its own records. At most a bucket's heads and a few thousand results are in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, groupby
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from infra.replay_diff_clickhouse import WINDOW, DiffError, Extent
from infra.replay_diff_sql import Chosen, bounds
from replay.checkpoint import ReplayRefused, read_checkpoint
from replay.diff import Letters
from replay.diff_rows import Heads
from replay.diff_told import Told, device_ids, event_orders, told_of
from replay.engine_selection import SAMPLED
from replay.result_files import FilesDamaged, Kind, ResultFiles
from schemas.columns import Bool
from schemas.result import decode_result
from scoring.chosen_devices import chosen_devices

Window = tuple[int, int]
"""A partition, and which of its stretches of ``WINDOW`` offsets."""
_ROWS_AT_ONCE: Final = 2_048
_BEGINS: Final = b'{"event_id":"'
_ID: Final = slice(len(_BEGINS), len(_BEGINS) + 32)


class _Letter(msgspec.Struct):
    """What a diff looks at of a dead letter."""

    reason: str
    stage: str
    detail: str
    partition: int
    offset: int
    payload_sha256: str
    event_id: str | None = None
    merchant: str | None = None

    @property
    def place(self) -> tuple[int, int]:
        return self.partition, self.offset

    @property
    def line(self) -> bytes:
        said = (self.reason, self.stage, self.event_id or "", self.payload_sha256, self.detail)
        return b"\x1f".join((b"%d" % self.partition, b"%d" % self.offset, *(one.encode() for one in said)))


_LETTER: Final = msgspec.json.Decoder(_Letter)


class FilesSide:
    """The events and letters of a run's files, those that are chosen. DiffError where the files are damaged.

    ``more``: events are told with what no table has.
    """

    def __init__(self, directory: Path, chosen: Chosen, *, more: bool) -> None:
        self._chosen, self._more = chosen, more
        try:
            checkpoint = read_checkpoint(directory)
        except ReplayRefused as error:
            raise DiffError(str(error)) from error
        self._account = checkpoint.account if checkpoint else None
        self._files = ResultFiles(directory, checkpoint.marks if checkpoint else {})

    def extent(self) -> Extent:
        """Return how much there is at most; between which times is not looked at."""
        account = self._account
        return Extent(account.written, account.written_dead, 0, 0) if account else Extent(0, 0, 0, 0)

    def told(self, part: int, parts: int, ids: Collection[bytes] | None = None) -> Iterator[list[Told]]:
        """Yield the events of a bucket, some at a time; of ``ids`` alone, 32 hexadecimal digits each, where given."""
        waiting: list[Told] = []
        for records in self._records():
            among = [_id_of(record) for record in records]
            kept = _in_bucket(among, part, parts)
            if ids is not None:
                kept &= np.fromiter((one in ids for one in among), np.bool_, len(among))
            waiting += [self._told(records[row]) for row in np.flatnonzero(kept).tolist()]
            if len(waiting) >= _ROWS_AT_ONCE:
                yield chosen_rows(waiting, self._chosen)
                waiting = []
        if waiting:
            yield chosen_rows(waiting, self._chosen)

    def letters(self) -> Iterator[tuple[Window, Letters]]:
        """Yield the letters by windows of their places, in order, of each place one."""
        wanted = (one for one in self._letters() if self._is_chosen(one))
        firsts = (next(same) for _, same in groupby(wanted, lambda one: one.place))
        for window, found in groupby(firsts, lambda one: (one.partition, one.offset // WINDOW)):
            yield window, _as_letters(list(found))

    def reasons(self, heads: Heads) -> list[str]:
        """Return why events of the other side are dead-lettered here; empty where they are not."""
        places = list(zip(heads.partition.tolist(), heads.offset.tolist(), strict=True))
        among, found = set(places), dict[tuple[int, int], str]()
        for one in self._letters({partition for partition, _ in among}):
            if one.place in among:
                found.setdefault(one.place, one.reason)
        return [found.get(place, "") for place in places]

    def close(self) -> None:
        """Do nothing: no file is open between two readings."""

    def _told(self, record: bytes) -> Told:
        return told_of(decode_result(record), more=self._more)

    def _records(self) -> Iterator[list[bytes]]:
        partitions = {piece.partition for piece in self._chosen.pieces}
        with said_plainly():
            for partition in self._files.partitions(Kind.SCORED):
                if partition in partitions:
                    for frame in self._files.frames(Kind.SCORED, partition):
                        yield frame.records

    def _letters(self, partitions: Collection[int] | None = None) -> Iterator[_Letter]:
        with said_plainly():
            for partition in self._files.partitions(Kind.DEAD_LETTER):
                if partitions is None or partition in partitions:
                    frames = self._files.frames(Kind.DEAD_LETTER, partition)
                    yield from map(_LETTER.decode, chain.from_iterable(frame.records for frame in frames))

    def _is_chosen(self, letter: _Letter) -> bool:
        chosen = self._chosen
        return (
            any(one.partition == letter.partition and one.first <= letter.offset < one.next for one in chosen.pieces)
            and (chosen.places is None or letter.place in chosen.places)
            and (not chosen.merchants or letter.merchant in chosen.merchants)
            and letter.stage not in chosen.not_run
        )


def chosen_rows(rows: Sequence[Told], chosen: Chosen) -> list[Told]:
    """Return those of some events that a diff compares."""
    kept = np.zeros(len(rows), np.bool_)
    partition, offset = (np.array([getattr(one, name) for one in rows], np.int64) for name in ("partition", "offset"))
    for piece in chosen.pieces:
        kept |= (partition == piece.partition) & (offset >= piece.first) & (offset < piece.next)
    places, merchants = chosen.places, {one.encode() for one in chosen.merchants}
    sessions = {one.encode() for one in chosen.sessions}
    if places is not None:
        kept &= _which((one.partition, one.offset) in places for one in rows)
    if merchants:
        kept &= _which(one.merchant in merchants for one in rows)
    if sessions:
        kept &= _which(one.session_id in sessions for one in rows)
    if chosen.sample < 1:
        kept &= chosen_devices(device_ids(rows), SAMPLED, 100 * chosen.sample)
    return [rows[row] for row in np.flatnonzero(kept).tolist()]


def _which(found: Iterable[bool]) -> Bool:
    return np.fromiter(found, np.bool_)


def _in_bucket(ids: Sequence[bytes], part: int, parts: int) -> Bool:
    if parts == 1:
        return np.ones(len(ids), np.bool_)
    first, last = bounds(part, parts)
    order = event_orders(ids)
    return np.asarray((order >= np.uint64(first)) & (order <= np.uint64(last)))


def _id_of(record: bytes) -> bytes:
    if not record.startswith(_BEGINS):
        raise DiffError("a result does not begin with its event's id: another build wrote it, compare with that one")
    return record[_ID]


def _as_letters(found: Sequence[_Letter]) -> Letters:
    place = np.array([one.place for one in found], np.int64).reshape(-1, 2)
    return Letters(place, tuple(one.reason for one in found), tuple(one.line for one in found))


@contextmanager
def said_plainly() -> Iterator[Any]:
    """Turn what is wrong with files into DiffError."""
    try:
        yield
    except FilesDamaged as error:
        raise DiffError(str(error)) from error
    except msgspec.MsgspecError as error:
        raise DiffError(f"a record in the files of a run cannot be read by this build: {error}") from error
