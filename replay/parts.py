"""What a replay is given: where rows come from and where outcomes go. Clients are behind these, not in front."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from flows.sinks.destination import DestinationEnded
from flows.sinks.encoded import EncodedParcel
from replay.plan import Piece
from schemas.batches import RawBatch


class SourceFailed(Exception):
    """A store does not give what the plan promised; the message is one sentence for the user."""


class Source(Protocol):
    """Gives rows of one stage: ``RawBatch``, ``Verified`` or ``Enriched`` batches, as the plan's start says."""

    def read(self, piece: Piece, first: int, /) -> Iterator[RawBatch]:
        """Yield the rows of a piece from an offset on, in the order of their offsets, a bounded number at a time.

        ``origin`` is that of ``events.raw``; ``polled_at`` is ``appended_at``, and so are the ledger's marks: a replay
        has no clock of its own. SourceFailed where rows are missing that the plan promised. Readers of several pieces
        are open side by side.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


Marks = dict[str, dict[str, int]]
"""What an output wants kept in the checkpoint: by topic and partition, the end offset at that moment. It is JSON."""


class OutputFailed(DestinationEnded):
    """A store refuses the run's rows; the message is one sentence for the user. Resuming is safe."""


class OutputStopped(Exception):
    """The run was told to stop while a store was away: what is not in the checkpoint comes again when it resumes."""


class Output(Protocol):
    """Takes outcomes into the run's namespace. Writing a parcel again after a kill must show nothing twice.

    ``resume`` comes first, once. ``flush`` returns the marks that belong into the checkpoint of that moment, and the
    run that goes on from this checkpoint gives them to ``resume``: so the output knows what was written beyond it, and
    does not write that again.
    """

    def resume(self, marks: Marks, /) -> None:
        """Begin after a checkpoint with these marks; none: at the beginning, also where a first try was killed."""
        ...

    def write(self, parcel: EncodedParcel, /) -> None:
        """Take a parcel; it may be held only after ``flush``. Blocks while too much waits.

        OutputFailed, or OutputStopped where the run was told to stop and the store does not come back.
        """
        ...

    def flush(self) -> Marks:
        """Return once all that was written is held durably; OutputFailed and OutputStopped as in write."""
        ...

    def close(self) -> None:
        """Let go of connections; what was not flushed is dropped."""
        ...
