"""Shared counts in Redis or Valkey: one round trip a batch, nothing counted twice, and never an exception.

Entities are cut into so many hash tags as a setting says (``v:{3of16}``), so that a cluster can spread them. Each
touched tag gets one call of one script (``shared_*.lua``), all in one pipeline. The script keeps the applied offset of
every partition in the same hash tag as the counts, and the answers that it gave: a row at or below it is answered as it
was the first time. No key of one cut is a key of another.
"""

from __future__ import annotations

import hashlib
import logging
import struct
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from redis import Redis
from redis.exceptions import RedisError

from flows.lookups.backlog import Backlog
from flows.lookups.breaker import Breaker, Clock, Pauses
from flows.lookups.packing import PackedQuery, pack, span_bytes, unpack
from flows.metrics import FlowMetrics
from flows.redis_trip import Command, scripted_trip
from schemas.batches import F32
from schemas.shared import SharedAnswer, SharedQuery, unknown

log = logging.getLogger("clickgoose.flow")
_PARTS: Final = ("shared_rows", "shared_panes", "shared_records", "shared_answers")
SCRIPT: Final = b"".join((Path(__file__).parent / f"{part}.lua").read_bytes() for part in _PARTS)
DIGEST: Final = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest()  # Redis names scripts so
_FIRST_CUT: Final = 8  # of all builds before the number of tags was a setting
_ROUND_TRIP_ROWS: Final = 1_024
_CALL_ROWS: Final = 256  # of a tag, about: nobody else is answered while a script runs
_DRAINED_PER_BATCH: Final = 2_048


@dataclass(frozen=True, slots=True)
class Limits:
    """What is kept. ``late_ms``: so late a row may be, by window, and its counts are still known.

    A light entity's counts are known in all windows up to the last; the first two bind heavy ones.
    """

    light_records: int = 64  # of an entity a day, as they came; one with more is heavy: panes and samples
    sample: int = 16_384  # devices of a heavy entity and stretch of a window of which every one is kept
    late_ms: tuple[int, int, int] = (900_000, 10_800_000, 86_400_000)
    idle_seconds: int = 16 * 86_400  # a part of a shard that nobody writes goes; else what event time has left behind
    answers: int = 131_072  # offsets below the highest of a partition whose answers are kept at most
    answers_below: int = 16_384  # and below what is acknowledged: a flow resumes at a frame somewhat before that
    backlog_rows: int = 262_144

    def packed(self) -> bytes:
        """Return what the script is told."""
        return struct.pack("<III", self.light_records, self.sample, self.idle_seconds) + b"".join(
            late.to_bytes(6, "little") for late in self.late_ms
        )


class RedisSharedCounts:
    """The counts of all flows that use the same ``prefix`` and ``tags``, a power of two up to 64.

    ``source`` names the topic whose offsets are applied.

    While the store is away or slow, answers are not known and degraded, at once, and rows wait in a backlog that is
    counted in its order before anything new.
    """

    def __init__(
        self,
        client: Redis,
        metrics: FlowMetrics,
        *,
        prefix: str = "v",
        tags: int = 1,
        source: str = "events.raw",
        limits: Limits | None = None,
        pauses: Pauses | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._client = client
        self._metrics = metrics
        self._bases = _bases(prefix, tags)
        self._trip_rows = min(_ROUND_TRIP_ROWS, _CALL_ROWS * tags)
        self._source = source
        self._limits = limits or Limits()
        self._packed_limits = self._limits.packed()
        self._breaker = Breaker("shared counts", "events go on without them", pauses, clock)
        self._clock = clock
        self._backlog = Backlog(self._limits.backlog_rows)
        self._watermarks: dict[int, int] = {}
        self._lost = 0
        self._one_at_a_time = threading.Lock()

    def count(self, query: SharedQuery, /) -> SharedAnswer:
        """Count rows and return their counts; unknown and degraded where the store is away or behind."""
        if not len(query):
            return SharedAnswer(unknown(0), False)
        with self._one_at_a_time:
            counts = self._counted(query)
            if counts is None:
                self._wait(query)
                return SharedAnswer(unknown(len(query)), True)
            return SharedAnswer(counts, False)

    def acknowledged(self, partition: int, offset: int) -> None:
        """State that no row below ``offset`` will be asked for again: its answers may go."""
        self._watermarks[partition] = max(offset, self._watermarks.get(partition, 0))

    def settle(self) -> int:
        """Count what waits, as far as the store lets it; return the rows that still wait. For the end of a flow."""
        while len(self._backlog) and self._drained(_ROUND_TRIP_ROWS):
            pass
        return len(self._backlog)

    def close(self) -> None:
        """Count what waits, say what could not be, and let go of the connections."""
        if waiting := self.settle():
            log.error("shared counts: %d events are lost to them, the store did not come back in time", waiting)
        self._client.close()

    def _counted(self, query: SharedQuery) -> F32 | None:
        if self._breaker.open() or not self._drained(_DRAINED_PER_BATCH) or len(self._backlog):
            return None
        parts = [
            self._asked(_rows(query, first, first + self._trip_rows)) for first in range(0, len(query), self._trip_rows)
        ]
        found = [part for part in parts if part is not None]
        return np.concatenate(found) if len(found) == len(parts) else None

    def _drained(self, rows: int) -> bool:
        """Count up to so many waiting rows; False where the store failed."""
        while len(self._backlog) and rows > 0:
            oldest = self._backlog.oldest(self._trip_rows)
            if self._asked(oldest) is None:
                return False
            rows -= len(oldest)
            self._backlog.done()
            self._metrics.shared_backlog.set(len(self._backlog))
        return True

    def _wait(self, query: SharedQuery) -> None:
        lost = self._backlog.add(query)
        self._metrics.shared_degraded.inc(len(query))
        self._metrics.shared_backlog.set(len(self._backlog))
        if lost:
            self._metrics.shared_lost.inc(lost)
            if not self._lost:
                log.error("shared counts: the backlog is full, its oldest events are lost to the counts")
            self._lost += lost

    def _asked(self, query: SharedQuery) -> F32 | None:
        """Make one round trip; None where the store failed, which opens the breaker."""
        packed = pack(query, len(self._bases))
        if self._breaker.open():
            return None
        started = self._clock()
        try:
            replies = self._round_trip(packed)
        except (RedisError, OSError) as error:
            self._breaker.failed(error)
            return None
        self._metrics.shared_seconds.observe(self._clock() - started)
        self._recovered()
        return unpack(query, packed.slots, replies)

    def _round_trip(self, packed: PackedQuery) -> Sequence[Any]:
        head, limits, tail = ("EVALSHA", DIGEST, 1), self._packed_limits, self._partitions(packed)
        commands: list[Command] = [(*head, self._bases[shard], limits, *blobs, *tail) for shard, *blobs in packed.calls]
        replies = scripted_trip(self._client, commands, SCRIPT)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    def _partitions(self, packed: PackedQuery) -> list[bytes]:
        """Return each partition's name, the stream id below which its answers may go, and the offsets that it has."""
        tail = []
        for partition, lowest, highest in packed.slots:
            acknowledged = self._watermarks.get(partition, 0) - self._limits.answers_below
            below = max(acknowledged, highest - self._limits.answers, 0)
            tail += [f"{self._source}:{partition}".encode(), b"%d" % (below + 1), span_bytes(lowest, highest)]
        return tail

    def _recovered(self) -> None:
        if self._breaker.recovered():
            log.warning(
                "shared counts: the store is back; %d events wait to be counted, %d were lost to the counts",
                len(self._backlog),
                self._lost,
            )
            self._lost = 0


def _bases(prefix: str, tags: int) -> tuple[str, ...]:
    """Return what begins the keys of each tag: of each number of tags others."""
    return tuple(
        f"{prefix}:{{{tag:02d}}}" if tags == _FIRST_CUT else f"{prefix}:{{{tag}of{tags}}}" for tag in range(tags)
    )


def _rows(query: SharedQuery, first: int, last: int) -> SharedQuery:
    if first == 0 and last >= len(query):
        return query
    return SharedQuery(*(getattr(query, name)[first:last] for name in SharedQuery.__dataclass_fields__))
