"""Every process's replica of the lists: a thread that looks at the stream of changes four times a second.

While the store is away, the process goes on with what it knows. A process that has read nothing yet answers that
nobody knows; so it does with a store that lost its copy, until that is restored.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from scoring.rules.lists import Lists
from scoring.rules.watchlist_copy import NO_CHANGE, CopyKeys, Port, StoreAway, StoreLost, read_has, read_look
from scoring.rules.watchlist_load import Snapshot, load
from scoring.rules.watchlist_table import ListTable, NotLoaded
from scoring.rules.watchlists import ListKeys

log = logging.getLogger("clickgoose.lists")
POLL_SECONDS: Final = 0.25
_LONGEST_PAUSE: Final = 2.0
_CHANGES: Final = 200  # of one look, each of up to 1,000 entries
_NOT_READ: Final = NotLoaded("the lists have not been read yet")
Restore = Callable[[], None]


class FollowerState(NamedTuple):
    """For metrics. ``behind_seconds``: since the store was last asked with success; None: never."""

    loaded: bool
    entries: int
    memory: int
    behind_seconds: float | None
    reloads: int


class ListFollower:
    """Gives the lists as they are known, from another thread where it was started.

    ``restore`` is called where the store has lost its copy or a part of it: it makes the copy again, or raises
    StoreAway. Without it, a store without a copy is taken for one without lists.
    """

    def __init__(
        self,
        port: Port,
        copy: CopyKeys,
        keys: ListKeys,
        restore: Restore | None = None,
        *,
        seconds: float = POLL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._port, self._copy, self._keys, self._restore = port, copy, keys, restore
        self._seconds, self._clock = seconds, clock
        self._table: ListTable | None = None
        self._epoch: bytes | None = None
        self._last = NO_CHANGE
        self._reloads = 0
        self._asked_at: float | None = None
        self._away = ""
        self._one_at_a_time = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self) -> Lists:
        """Return the lists at this moment; never waits."""
        return _NOT_READ if self._table is None else self._table

    @property
    def table(self) -> ListTable | None:
        """The lists, None where they have not been read yet."""
        return self._table

    def state(self) -> FollowerState:
        """Return what metrics show."""
        table = self._table
        behind = None if self._asked_at is None else self._clock() - self._asked_at
        return FollowerState(
            table is not None, table.size if table else 0, table.memory if table else 0, behind, self._reloads
        )

    def start(self) -> None:
        """Read the lists and follow them, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="lists", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop following."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def catch_up(self) -> bool:
        """Take in all that the store knows now: after a change of this process's own, or in a test.

        False where the store is away; what was known stays.
        """
        with self._one_at_a_time:
            try:
                self._catch_up()
            except StoreAway as away:
                self._say(str(away))
                return False
            self._asked_at = self._clock()
            self._say("")
            return True

    def _catch_up(self) -> None:
        if self._table is None or self._epoch is None:
            self._reload()
        while True:
            look = read_look(self._port(*self._copy.look(self._last, _CHANGES)))
            if look.epoch != (self._epoch or None) or not look.follows(self._last):
                self._reload()
                continue
            if look.newest is None:
                return
            assert self._table is not None  # noqa: S101 -- _reload has set it, or raised
            self._table = self._table.changed(look.lines)
            self._last = look.newest

    def _reload(self) -> None:
        """Read everything anew, and what changed meanwhile, before anybody sees it."""
        snapshot = self._snapshot()
        if self._table is not None:
            self._reloads += 1
            log.warning("lists: read anew, the stream of changes does not go on where it was left")
        table = ListTable(self._keys, snapshot.names, snapshot.columns)
        last = snapshot.last
        while True:
            look = read_look(self._port(*self._copy.look(last, _CHANGES)))
            if look.epoch != (snapshot.epoch or None) or not look.follows(last):
                raise StoreAway("the lists change faster than they can be read")
            if look.newest is None:
                break
            table, last = table.changed(look.lines), look.newest
        self._table, self._epoch, self._last = table, snapshot.epoch, last
        log.info("lists: read", extra={"entries": table.size, "bytes": table.memory})

    def _snapshot(self) -> Snapshot:
        if self._restore is None:
            try:
                return load(self._port, self._copy)
            except StoreLost:
                if self._table is not None:
                    raise  # it is known that there were lists
                return Snapshot(b"", NO_CHANGE, (), ListTable(self._keys).columns)
        if self._lacks():
            self._restore()
        return load(self._port, self._copy)

    def _lacks(self) -> bool:
        """Tell whether the store has no copy, or surely one that lacks changes which were seen."""
        look = read_look(self._port(*self._copy.look(self._last, 1)))
        if look.epoch is None:
            return True
        if look.epoch != self._epoch or self._last == NO_CHANGE:
            return False
        return not read_has(self._port(*self._copy.has(self._last)), self._last)

    def _run(self) -> None:
        pause = self._seconds
        while True:
            try:
                good = self.catch_up()
            except Exception:  # a bug of ours must not end the following
                log.exception("lists: following failed; what is known goes on")
                good = False
            pause = self._seconds if good else min(2 * pause, _LONGEST_PAUSE)
            if self._closing.wait(pause):
                return

    def _say(self, away: str) -> None:
        """Tell changes once."""
        if away and not self._away:
            log.warning("lists: %s; %s", away, "what is known goes on" if self._table else "nothing is known yet")
        elif self._away and not away:
            log.warning("lists: the store is back")
        self._away = away
