"""A bounded memory of what was found clean. Nothing in it is personal data by itself."""

from __future__ import annotations

from collections.abc import Collection
from typing import Generic, TypeVar

Item = TypeVar("Item", bytes, str)

_MOST = 16_384  # items of a generation
_LONGEST = 1_024  # bytes or characters of one


class Known(Generic[Item]):
    """Two generations of items: when the young one is full it becomes the old one, and what nobody asked for goes.

    At most 32,768 items and those of the last batch, of at most 1,024 bytes each: a client cannot make the process grow
    by what it sends.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._young: set[Item] = set()
        self._old: set[Item] = set()

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._young) + len(self._old)

    def __contains__(self, item: Item) -> bool:
        """Return whether an item is known."""
        return item in self._young or item in self._old

    def without(self, items: Collection[Item]) -> set[Item]:
        """Return the items that are not known."""
        if self._young.issuperset(items):
            return set()
        new = set(items) - self._young
        again = new & self._old
        if again:
            self.add(again)
        return new - again

    def add(self, items: set[Item]) -> None:
        """Remember items. A long one is passed over: it is read anew each time."""
        short = max(map(len, items), default=0) <= _LONGEST
        self._young |= items if short else {item for item in items if len(item) <= _LONGEST}
        if len(self._young) > self._most:
            self._old = self._young
            self._young = set()
