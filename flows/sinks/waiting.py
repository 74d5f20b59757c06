"""What waits for a destination: parcels in the order of the stream, bounded in rows and in bytes.

A parcel waits, is then taken (to be written, or to go to the backup), and is held at last. Both ways may be under way
at the same time, so a later parcel may be held before an earlier one: it is acknowledged after it, and until then only
its spans are kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from flows.parcel import Span
from flows.sinks.destination import Deliverable

T = TypeVar("T", bound=Deliverable)


@dataclass(slots=True)
class Waiting(Generic[T]):
    """One parcel and what it costs; ``parcel`` is None once it is held."""

    parcel: T | None
    spans: tuple[Span, ...]
    rows: int  # at least 1, so that empty parcels are bounded too
    size: int  # bytes, about
    since: float

    def taken(self) -> T:
        """Return the parcel, which is not held yet."""
        if self.parcel is None:
            raise AssertionError("a parcel that is held is not delivered again")
        return self.parcel


class ParcelQueue(Generic[T]):
    """Not thread-safe: its writer's lock guards it. ``acknowledge`` is called with spans, in order."""

    def __init__(self, rows: int, size: int, acknowledge: Callable[[Sequence[Span]], None]) -> None:
        self._most_rows, self._most_bytes = rows, size
        self._acknowledge = acknowledge
        self._order: deque[Waiting[T]] = deque()  # all that is not acknowledged
        self._waiting: deque[Waiting[T]] = deque()  # its end: what nobody has taken
        self.rows = 0  # waiting or taken, not held
        self.size = 0
        self.rows_waiting = 0

    def __bool__(self) -> bool:
        """Tell whether anything waits to be taken."""
        return bool(self._waiting)

    @property
    def settled(self) -> bool:
        """Tell whether everything is acknowledged."""
        return not self._order

    @property
    def waits_since(self) -> float:
        """Return since when the oldest waits; only where something waits."""
        return self._waiting[0].since

    def has_room(self, entry: Waiting[T], rows: int | None = None) -> bool:
        """Tell whether a parcel may come in, ``rows``: for now no more than so many in all.

        One that is larger than the bounds passes alone.
        """
        if not self.rows:
            return True
        most = self._most_rows if rows is None else min(rows, self._most_rows)
        return self.rows + entry.rows <= most and self.size + entry.size <= self._most_bytes

    def over(self, share: float) -> bool:
        """Tell whether more than a share of either bound is used, and something waits."""
        return bool(self._waiting) and (self.rows > share * self._most_rows or self.size > share * self._most_bytes)

    def put(self, entry: Waiting[T]) -> None:
        """Add a parcel at the end."""
        self._order.append(entry)
        self._waiting.append(entry)
        self.rows += entry.rows
        self.size += entry.size
        self.rows_waiting += entry.rows

    def take(self, rows: int, size: int) -> list[Waiting[T]]:
        """Take the oldest that wait, until either bound is reached; at least one."""
        taken: list[Waiting[T]] = []
        found_rows = found_bytes = 0
        while self._waiting and found_rows < rows and found_bytes < size:
            entry = self._waiting.popleft()
            taken.append(entry)
            found_rows += entry.rows
            found_bytes += entry.size
        self.rows_waiting -= found_rows
        return taken

    def hold(self, entries: Sequence[Waiting[T]]) -> list[T]:
        """State that parcels are held; acknowledge whatever has nothing open before it.

        Return the parcels: who holds the lock should not be the one that frees them, which takes milliseconds.
        """
        held = [entry.taken() for entry in entries]
        for entry in entries:
            entry.parcel = None
            self.rows -= entry.rows
            self.size -= entry.size
        spans = list[Span]()
        while self._order and self._order[0].parcel is None:
            spans += self._order.popleft().spans
        self._acknowledge(spans)
        return held


def let_go(parcels: list[T]) -> None:
    """Free parcels one by one: to free a block's in one call keeps the interpreter for tens of milliseconds."""
    while parcels:
        parcels.pop()


def parts_of(block: Sequence[T], rows: int) -> Iterator[list[T]]:
    """Cut a block into lists of whole parcels with at least so many rows, but for the last."""
    part: list[T] = []
    found = 0
    for parcel in block:
        part.append(parcel)
        found += parcel.rows
        if found >= rows:
            yield part
            part, found = [], 0
    if part:
        yield part
