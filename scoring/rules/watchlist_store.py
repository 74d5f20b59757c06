"""Changes of lists: into the truth first, then into the serving copy; and the copy made again from the truth.

Of an entry the change with the greatest version holds, in the truth as in the copy. A version is the time in
microseconds, or one more than that of the change before where a clock is behind: whoever has seen a change comes
after it, and so does whoever made it, although the copy may have lost it since (a replica took over that lagged). So
changes may reach the copy twice and in any order, and making it again is harmless at any time.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol

from scoring.rules.watchlist_copy import CopyKeys, Kept, Port, Record, StoreAway, read_kept
from scoring.rules.watchlist_load import ask
from scoring.rules.watchlists import REMOVED, ListName

log = logging.getLogger("clickgoose.lists")
Source = Literal["api", "command"]
KEPT_AFTER_END_MS: Final = 90 * 86_400_000
"""So long after its end an entry stays in the copy, for events and replays that come late."""
_LOCK_SECONDS: Final = 300
_PIPELINED: Final = 8  # calls of the script in one round trip: 8,000 entries


class TruthAway(Exception):
    """The table of changes does not answer, or refuses; the text is one sentence without data."""


class Wanted(NamedTuple):
    """A change that somebody asks for. ``until``: event time in ms, FOREVER, or REMOVED."""

    list: ListName
    kind: str
    digest: bytes
    until: int
    reason: str
    author: str


class Change(NamedTuple):
    """A change as the truth keeps it: what was wanted, its version, and what held before (as ``until``)."""

    wanted: Wanted
    version: int
    before: int
    source: Source


class Truth(Protocol):
    """The table of changes. TruthAway where it does not answer."""

    def insert(self, changes: Sequence[Change], /) -> None:
        """Keep changes; when this returns they are kept."""

    def states(self) -> Iterator[tuple[ListName, Sequence[Record]]]:
        """Give what holds of every entry, list by list, in parts of some thousand; removed ones included."""


class Restored(NamedTuple):
    """What a restore did. ``entries``: that hold; ``brought``: of them and of removals, those that the copy lacked."""

    entries: int
    brought: int


class ListStore:
    """Writes. ``clock`` gives Unix microseconds. Safe to share between threads where port and truth are."""

    def __init__(
        self, port: Port, copy: CopyKeys, truth: Truth, clock: Callable[[], int] = lambda: time.time_ns() // 1_000
    ) -> None:
        self._port, self._copy, self._truth, self._clock = port, copy, truth, clock
        self._stamping = threading.Lock()
        self._greatest = 0  # version that was given here

    def change(self, wanted: Sequence[Wanted], source: Source) -> list[int]:
        """Make changes; return what held of each entry before, as its until.

        TruthAway: nothing was done. StoreAway: it is not known, or not yet in effect; the same may be asked again.
        """
        if not wanted:
            return []
        changes = self._stamped(wanted, source)
        self._truth.insert(changes)
        records: dict[ListName, list[Record]] = {}
        for one in changes:
            asked = one.wanted
            records.setdefault(asked.list, []).append(Record(asked.digest, asked.until, one.version))
        commands = [command for name, some in records.items() for command in self._copy.apply(name, some)]
        for first in range(0, len(commands), _PIPELINED):
            ask(self._port, *commands[first : first + _PIPELINED])
        return [one.before for one in changes]

    def restore(self) -> Restored:
        """Bring everything into the copy that it lacks, and make it where there is none.

        StoreAway where the store does not answer, or another process restores just now; TruthAway likewise.
        """
        mine = secrets.token_hex(8)
        (taken,) = ask(self._port, ("SET", self._copy.lock, mine, "NX", "EX", _LOCK_SECONDS))
        if not taken:
            raise StoreAway("the lists are being restored by another process")
        try:
            restored = self._bring()
            ask(self._port, ("SET", self._copy.epoch, mine, "NX"))
        finally:
            self._port(("DEL", self._copy.lock))
        log.info("lists: restored from the table of changes", extra=restored._asdict())
        return restored

    def _bring(self) -> Restored:
        ended = self._clock() // 1_000 - KEPT_AFTER_END_MS
        entries = brought = 0
        for name, records in self._truth.states():
            kept = [one for one in records if one.until == REMOVED or one.until > ended]
            entries += sum(one.until != REMOVED for one in kept)
            commands = self._copy.apply(name, kept, restoring=True)
            for first in range(0, len(commands), _PIPELINED):
                brought += sum(map(int, ask(self._port, *commands[first : first + _PIPELINED])))
        return Restored(entries, brought)

    def _stamped(self, wanted: Sequence[Wanted], source: Source) -> list[Change]:
        known = self._known((one.list, one.digest) for one in wanted)
        with self._stamping:
            least = max(self._clock(), self._greatest + 1)
            changes = []
            for one in wanted:
                place = (one.list, one.digest)
                before = known[place]
                version = max(least, before.version + 1)
                known[place] = Kept(one.until, version)
                changes.append(Change(one, version, before.until, source))
            self._greatest = max(change.version for change in changes)
        return changes

    def _known(self, places: Iterable[tuple[ListName, bytes]]) -> dict[tuple[ListName, bytes], Kept]:
        every = list(dict.fromkeys(places))
        epoch: Any = None
        for attempt in range(2):
            commands = [command for name, digest in every for command in self._copy.kept(name, [digest])]
            epoch, *kept = ask(self._port, ("GET", self._copy.epoch), *commands)
            if epoch is not None:
                return dict(zip(every, read_kept(kept), strict=True))
            if attempt == 0:
                self.restore()
        raise StoreAway("the store has no lists, and lost them again")
