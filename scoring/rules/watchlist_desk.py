"""Where people change lists and ask about them: by HTTP for one merchant, by command for any, by the same rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol

from scoring.rules.watchlist_copy import StoreAway
from scoring.rules.watchlist_follower import ListFollower
from scoring.rules.watchlist_store import ListStore, Source, Wanted
from scoring.rules.watchlist_table import ListTable
from scoring.rules.watchlists import LIST_MODES, REMOVED, ListKeys, ListName, Mode

MOST_LISTS: Final = 1_000
"""Of one merchant; rules that it has snoozed count as lists of their own, as many again."""
MOST_ENTRIES: Final = 1_000_000
"""Of one merchant, as far as it adds them itself: 28 MB in every process."""
Status = Literal["added", "renewed", "removed", "absent"]


class Life(Protocol):
    """Reads the table of changes. TruthAway where it does not answer."""

    def newest(self, name: ListName, digests: Sequence[bytes], /) -> Mapping[bytes, Mapping[str, Any]]:
        """Return the last change of each entry that there ever was."""

    def history(self, name: ListName, digest: bytes, /) -> Sequence[Mapping[str, Any]]:
        """Return the whole life of an entry, the oldest change first."""


class Summary(NamedTuple):
    """A list and how many entries it has, ended ones included."""

    name: ListName
    entries: int


class ListDesk:
    """The desk of one process. Its calls wait for stores: StoreAway and TruthAway where one does not answer."""

    def __init__(self, keys: ListKeys, store: ListStore, follower: ListFollower, life: Life) -> None:
        self.keys, self.life = keys, life
        self._store, self._follower = store, follower

    def table(self) -> ListTable:
        """Return the lists as this process knows them; StoreAway where it has not read them yet."""
        if self._follower.table is None:
            self._follower.catch_up()
        if self._follower.table is None:
            raise StoreAway("the lists have not been read yet")
        return self._follower.table

    def mode_of(self, merchant: str, name: str) -> Mode | None:
        """Return what a list of a merchant does; None where there is none of that name. A name has one mode."""
        known = set(self.table().names)
        return next((mode for mode in LIST_MODES if ListName(merchant, mode, name) in known), None)

    def known(self, merchant: str, snoozes: bool) -> set[ListName]:
        """Return the lists that a merchant ever had, or the rules that it snoozed."""
        names = self.table().names
        return {name for name in names if name.merchant == merchant and (name.mode == "snooze") == snoozes}

    def full(self, merchant: str) -> bool:
        """Tell whether a merchant has as many entries as it may."""
        return self.table().held(merchant) >= MOST_ENTRIES

    def summaries(self, merchant: str | None = None) -> list[Summary]:
        """Return the lists of one merchant (empty: the global ones), or of all; milliseconds for a million entries."""
        counts = self.table().counts()
        found = [Summary(name, counts.get(name, 0)) for name in self.table().names]
        return sorted(one for one in found if merchant is None or one.name.merchant == merchant)

    def change(self, wanted: Sequence[Wanted], source: Source) -> list[Status]:
        """Make changes and take them in at once; return what each did."""
        if not wanted:
            return []
        before = self._store.change(wanted, source)
        self._follower.catch_up()
        return [status_of(one.until, was) for one, was in zip(wanted, before, strict=True)]


def status_of(until: int, before: int) -> Status:
    """Return what a change did, from the entry's until after it and before."""
    if until == REMOVED:
        return "absent" if before == REMOVED else "removed"
    return "added" if before == REMOVED else "renewed"
