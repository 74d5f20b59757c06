"""What a sink is made of: a destination that holds parcels, and a backup for what it will not take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar, runtime_checkable

from flows.parcel import Span
from schemas.dead_letter import DeadLetter


class DestinationError(Exception):
    """The destination did not take the parcels, for a reason that may pass. The text holds no field's value."""


class RowsRefused(DestinationError):
    """The destination answered, and did not take the rows: it may be them, or a limit of its own that is reached."""


class DestinationEnded(Exception):
    """No row will be taken any more; whoever puts rows or flushes them is told, so nobody logs it as unforeseen."""


class Deliverable(Protocol):
    """What a writer carries."""

    @property
    def spans(self) -> tuple[Span, ...]:
        """Return what is acknowledged once it is held."""
        ...

    @property
    def rows(self) -> int:
        """Return what counts against the queue's bound."""
        ...

    @property
    def size(self) -> int:
        """Return about how many bytes of memory it takes."""
        ...


T = TypeVar("T", bound=Deliverable, contravariant=True)


class Destination(Protocol[T]):
    """Holds parcels durably. Writing the same parcel twice must show nothing twice to users."""

    @property
    def name(self) -> str:
        """Return the sink's name: in progress, metrics and logs."""
        ...

    def write(self, parcels: Sequence[T], /) -> None:
        """Return once every row is held; DestinationError otherwise, with nothing promised about any row."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@runtime_checkable
class Choosy(Protocol[T]):
    """A destination that most parcels have nothing for: those are not handed to it where nothing waits before them."""

    def concerned(self, parcel: T, /) -> bool:
        """Tell whether there is anything to write."""
        ...


class Recoverable(Destination[T], Protocol[T]):
    """A destination whose rows can wait in the backup."""

    def probe(self) -> bool:
        """Tell whether the destination answers at all: cheap, and within about two seconds."""
        ...

    def letters(self, parcels: Sequence[T], detail: str, /) -> list[DeadLetter]:
        """Return all that is needed to write the rows later."""
        ...


class Redrivable(Protocol):
    """A destination that takes rows back from the backup."""

    @property
    def name(self) -> str:
        """Return the sink's name."""
        ...

    def probe(self) -> bool:
        """Tell whether the destination answers at all: cheap, and within about two seconds."""
        ...

    def rewrite(self, letters: Sequence[DeadLetter], /) -> None:
        """Write the rows of letters; RowsRefused where they are answered with an error, else DestinationError."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class Backup(Protocol):
    """Keeps rows that a destination did not take."""

    def append(self, letters: Sequence[DeadLetter], /) -> None:
        """Return once all are held durably; DestinationError otherwise."""
        ...
