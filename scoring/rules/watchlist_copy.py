"""The serving copy of all lists in Redis: what is kept there, and what is sent for it. Nothing is sent here.

All keys are ``<prefix>:{lists}:...``, one slot of Redis Cluster, so that a change and its place in the stream are one:

- ``00`` to ``3f``: hashes of entries by the digest's first six bits. Field: the list's code (8 bytes) and the digest
  (16); value: until and version (8 bytes each, big-endian). A removed entry stays as REMOVED, so that a change that
  comes late cannot bring it back; ``restore`` clears these away after a day.
- ``names``: code -> ``[merchant, mode, name]``.
- ``epoch``: names the copy; without it there is none, and nobody takes an empty Redis for empty lists.
- ``last`` and ``changes``: the id of the last change, and a bounded stream of them. An id is a number, one more than
  the one before, and a random part; each change names the id before its own. A reader whose last id the next change
  does not name reads everything anew: it fell behind, or a replica took over that did not have all.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from scoring.rules.watchlists import DIGEST_BYTES, MODES, REMOVED, Line, ListName

Command = tuple[Any, ...]
BUCKETS: Final = 64
SCRIPT: Final = Path(__file__).with_name("watchlist_apply.lua").read_bytes()
STREAM_LENGTH: Final = 10_000
MOST_RECORDS: Final = 1_000
"""Of one call of the script, which takes about 2 ms then."""
NO_CHANGE: Final = b"0-0"
_RANDOM: Final = 2**48
FIELD_BYTES: Final = 8 + DIGEST_BYTES
VALUE: Final = struct.Struct(">qQ")
_RECORD: Final = struct.Struct(">16sqQ")
_STREAMED: Final = struct.Struct(">16sq")


class StoreAway(Exception):
    """The store does not answer, or refuses; the text is one sentence without data."""


class StoreLost(StoreAway):
    """The store answers, but has no copy of the lists: it was emptied, or is new."""


class Port(Protocol):
    """One round trip to the store. StoreAway where it does not answer.

    Replies are as the protocol (RESP2) gives them: bytes, int, list or None, or an exception where one was refused.
    """

    def __call__(self, *commands: Command) -> list[Any]:
        """Send commands and return their replies, in order."""


class Kept(NamedTuple):
    """What is kept of an entry. ``version``: in microseconds; 0: nothing is kept."""

    until: int = REMOVED
    version: int = 0


class Record(NamedTuple):
    """A change of one entry of a list."""

    digest: bytes
    until: int
    version: int


class Look(NamedTuple):
    """What one look at the stream found: the id of the last change, and where there are new ones, their ends.

    ``previous``: the id that the first of them follows; ``newest``: that of the last of them; None without any.
    """

    epoch: bytes | None
    last: bytes
    previous: bytes | None
    newest: bytes | None
    lines: tuple[Line, ...]

    def follows(self, id: bytes) -> bool:
        """Return whether this goes on behind a change, and nothing was missed."""
        return (self.last if self.previous is None else self.previous) == id


def code_of(name: ListName) -> bytes:
    """Return the 8 bytes that stand for a list."""
    return hashlib.blake2b(packed_name(name), digest_size=8, person=b"rules.list").digest()


def packed_name(name: ListName) -> bytes:
    """Return a list's name as it is kept."""
    return json.dumps(name).encode()


def read_name(packed: bytes) -> ListName | None:
    """Return a list's name; None where a newer build kept what this one does not know."""
    merchant, mode, name = json.loads(packed)
    return ListName(merchant, mode, name) if mode in MODES else None


class CopyKeys:
    """The keys under a prefix, and the commands on them."""

    def __init__(self, prefix: str = "l", stream_length: int = STREAM_LENGTH) -> None:
        self.epoch, self.last, self.changes, self.names, self.lock = (
            f"{prefix}:{{lists}}:{name}" for name in ("epoch", "last", "changes", "names", "restoring")
        )
        self.buckets = tuple(f"{prefix}:{{lists}}:{number:02x}" for number in range(BUCKETS))
        self._stream_length = stream_length
        self._keys = (self.epoch, self.last, self.changes, self.names, *self.buckets)

    def bucket(self, digest: bytes) -> str:
        """Return the key of the hash that a digest is in."""
        return self.buckets[digest[0] % BUCKETS]

    def apply(self, name: ListName, records: Sequence[Record], restoring: bool = False) -> list[Command]:
        """Return the commands that apply changes to one list; each replies how many counted."""
        code, packed = code_of(name), packed_name(name)
        settled = (self._stream_length, int(restoring))
        return [
            ("EVAL", SCRIPT, len(self._keys), *self._keys, code, packed, part, *settled, secrets.randbelow(_RANDOM))
            for first in range(0, len(records), MOST_RECORDS)
            for part in [b"".join(_RECORD.pack(*one) for one in records[first : first + MOST_RECORDS])]
        ]

    def kept(self, name: ListName, digests: Sequence[bytes]) -> list[Command]:
        """Return the commands that ask what is kept; ``read_kept`` reads the replies."""
        code = code_of(name)
        return [("HGET", self.bucket(digest), code + digest) for digest in digests]

    def look(self, after: bytes, count: int) -> list[Command]:
        """Return the commands of one look at the stream; ``read_look`` reads the replies."""
        return [
            ("MGET", self.epoch, self.last),
            ("XREAD", "COUNT", count, "STREAMS", self.changes, after),
        ]

    def has(self, id: bytes) -> list[Command]:
        """Return the commands that ask for a change and for the oldest one; ``read_has`` reads the replies."""
        return [("XRANGE", self.changes, id, id), ("XRANGE", self.changes, "-", "+", "COUNT", 1)]


def read_kept(replies: Iterable[Any]) -> list[Kept]:
    """Return what is kept of each entry that was asked of."""
    return [Kept() if reply is None else Kept(*VALUE.unpack(reply)) for reply in _good(replies)]


def read_look(replies: Sequence[Any]) -> Look:
    """Return what a look found; StoreAway where the store refused."""
    (epoch, last), streams = _good(replies)
    entries: list[tuple[bytes, list[bytes]]] = streams[0][1] if streams else []
    every = [dict(zip(fields[::2], fields[1::2], strict=True)) for _, fields in entries]
    lines: list[Line] = []
    for said in every:
        if name := read_name(said[b"l"]):
            lines += [Line(name, digest, until) for digest, until in _STREAMED.iter_unpack(said[b"c"])]
    previous, newest = (every[0][b"p"], entries[-1][0]) if every else (None, None)
    return Look(epoch, last or NO_CHANGE, previous, newest, tuple(lines))


def read_has(replies: Sequence[Any], id: bytes) -> bool:
    """Return whether the stream has a change, or may have had it before its oldest."""
    found, oldest = _good(replies)
    return bool(found) or (bool(oldest) and number_of(oldest[0][0]) > number_of(id))


def number_of(id: bytes) -> int:
    """Return the number in the id of a change."""
    return int(id.partition(b"-")[0])


def _good(replies: Iterable[Any]) -> list[Any]:
    found = list(replies)
    for reply in found:
        if isinstance(reply, Exception):
            raise refusal(reply)
    return found


def refusal(error: Exception) -> StoreAway:
    """Return what a reply that is an error means."""
    said = str(error)
    lost = said.startswith("LISTSLOST")
    return StoreLost("the store has no lists") if lost else StoreAway(f"the store refuses: {said[:200]}")
