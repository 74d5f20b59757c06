"""The feed of a measurement: records in chunks, for ever if asked, and a stopwatch that stands while they are made.

After the records of the file, they come again as those of another week: new events, sessions and devices, sealed anew
with the new sessions' keys, and seven days later. So no copy is dropped, every session's key is derived, and what the
keyed stages remember grows old as it does in a flow. Addresses, accounts, cards and texts are those of the week before.
"""

from __future__ import annotations

import os
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, count, cycle, islice
from pathlib import Path
from typing import Final, TypeVar

import psutil
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.envelope import sealed_start
from schemas.keys import KeyRing, derived_key
from schemas.sealed import HEADER_BYTES, NONCE_BYTES

X = TypeVar("X")
_Ciphers = Callable[[bytes, bytes], tuple[AESGCM, AESGCM]]
CHUNK: Final = 1_024
WEEK_MS: Final = 7 * 86_400_000
_LENGTH = struct.Struct("<I")
_RECEIVED = slice(4, 12)
_SESSION, _DEVICE, _EVENT, _SENT = slice(8, 24), slice(24, 40), slice(40, 56), slice(60, 68)
_KEY_OF_SESSION, _KEY_ID_BYTES = slice(4, 24), 4
_SESSIONS_KEPT = 512  # ciphers of both, 2.5 MB
_POINTS = 512  # of the memory's course


@dataclass(slots=True)
class Stopwatch:
    """Seconds by the clock, and of the process's CPU, while it goes."""

    wall: float = 0.0
    cpu: float = 0.0

    def go(self) -> None:
        """Start, or start again."""
        self.wall -= time.perf_counter()
        self.cpu -= time.process_time()

    def stop(self) -> None:
        """Stand still."""
        self.wall += time.perf_counter()
        self.cpu += time.process_time()


def own_records(path: Path, processes: int, ordinal: int) -> list[bytes]:
    """Return the records of one of several processes: those of its devices, as keys of Kafka share them out."""
    own = []
    with path.open("rb") as file:
        while length := file.read(_LENGTH.size):
            record = file.read(_LENGTH.unpack(length)[0])
            if processes == 1 or sum(device_of(record)) % processes == ordinal:
                own.append(record)
    return own


def device_of(record: bytes) -> bytes:
    """Return the device id of a record."""
    return record[sealed_start(record) :][_DEVICE]


@dataclass(slots=True)
class Turns:
    """The chunks of one batch size: what they took, and how many events they were."""

    watch: Stopwatch = field(default_factory=Stopwatch)
    events: int = 0


@dataclass(slots=True)
class Feed:
    """What one process is measured with: ``events`` at the least, and for ``seconds`` of the stopwatch at the least.

    With ``others``, batches of those sizes take turns with those of ``batch``, chunk by chunk: the machine's speed
    changes within seconds, and so it changes for all of them.
    """

    records: Sequence[bytes]
    keys: KeyRing
    events: int
    seconds: float = 0.0
    batch: int = 256
    others: Sequence[int] = ()
    on_progress: Callable[[float], None] = lambda share: None
    watch: Stopwatch = field(default_factory=Stopwatch)
    given: int = 0
    sizes: Counter[int] = field(default_factory=Counter)
    turns: dict[int, Turns] = field(default_factory=dict)  # by batch size
    course: list[tuple[int, float]] = field(default_factory=list)  # events, and the resident memory in MiB then

    def batches(self, ready: Callable[[list[bytes], int], X]) -> Iterator[X]:
        """Give ``ready(records, offset of the first)``, made while the stopwatch stands; it goes while one is out."""
        stream, sizes = self._laps(), cycle((*self.others, self.batch))
        while (most := self._wanted(size := next(sizes))) > 0:
            chunk = list(islice(stream, most))
            cuts = [chunk[at : at + size] for at in range(0, len(chunk), size)]
            firsts = range(self.given, self.given + len(chunk), size)
            made = [ready(cut, first) for cut, first in zip(cuts, firsts, strict=True)]
            self.sizes.update(map(len, cuts))
            del cuts
            turns = self.turns.setdefault(size, Turns())
            self.watch.go()
            turns.watch.go()
            yield from made
            turns.watch.stop()
            self.watch.stop()
            turns.events += len(chunk)
            self.given += len(chunk)
            self._note()

    def _wanted(self, batch: int) -> int:
        """Return how many records the next chunk of such batches has, 0 where it was enough."""
        chunk = max(batch, CHUNK // batch * batch)
        if self.given < self.events:
            return min(chunk, self.events - self.given) if not self.seconds else chunk
        return chunk if self.watch.wall < self.seconds else 0

    def _note(self) -> None:
        by_time = self.watch.wall / self.seconds if self.seconds else 1.0
        self.on_progress(min(1.0, by_time, self.given / self.events))
        self.course.append((self.given, round(psutil.Process(os.getpid()).memory_info().rss / 2**20, 1)))
        if len(self.course) > _POINTS:
            del self.course[1::2]

    def _laps(self) -> Iterator[bytes]:
        ciphers = _ciphers(self.keys)
        again = (map(_Again(ciphers, lap), self.records) for lap in count(1))
        return chain(self.records, chain.from_iterable(again))


class _Again:
    """The same records as those of a later week."""

    def __init__(self, ciphers: _Ciphers, lap: int) -> None:
        self._ciphers = ciphers
        self._lap = lap

    def __call__(self, record: bytes) -> bytes:
        """Return a record as it comes again."""
        at = sealed_start(record)
        start = at + HEADER_BYTES + NONCE_BYTES
        old = record[at : at + HEADER_BYTES]
        nonce = record[at + HEADER_BYTES : start]
        envelope, head = bytearray(record[:at]), bytearray(old)
        self._later(envelope, _RECEIVED)
        self._later(head, _SENT)
        for place in (_SESSION, _DEVICE, _EVENT):
            head[place] = self._another(old[place])
        then, now = self._ciphers(old[_KEY_OF_SESSION], bytes(head[_KEY_OF_SESSION]))
        sealed = now.encrypt(nonce, then.decrypt(nonce, record[start:], old), bytes(head))
        return b"".join((envelope, head, nonce, sealed))

    def _later(self, header: bytearray, place: slice) -> None:
        moved = int.from_bytes(header[place], "little") + self._lap * WEEK_MS
        header[place] = moved.to_bytes(8, "little")

    def _another(self, name: bytes) -> bytes:
        return (int.from_bytes(name, "little") ^ self._lap).to_bytes(16, "little")


def _ciphers(keys: KeyRing) -> _Ciphers:
    """Return what gives the ciphers of the old and the new session, given key id and session id of each.

    Their keys are not those that ``KeyRing`` remembers: what is measured would find them there. All laps share what is
    kept, and nothing of it refers to itself: what a lap left to the collector would be taken for memory of the flow.
    """

    def cipher(of: bytes) -> AESGCM:
        master = keys.masters[int.from_bytes(of[:_KEY_ID_BYTES], "little")]
        return AESGCM(derived_key(master, of[_KEY_ID_BYTES:], "seal"))

    return lru_cache(_SESSIONS_KEPT)(lambda old, new: (cipher(old), cipher(new)))
