"""Sessions of several partitions as one: the rows of a batch, which lie together, go to that of their partition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Generic, Protocol, TypeGuard, TypeVar, runtime_checkable

from flows.chain import ChainSession
from schemas.batches import Counted, Decided, Normalized, RawBatch, Recognized
from schemas.stage import Applies, Part, StageOut, each_part, parts_of
from scoring.decide import Together

In = TypeVar("In", bound=RawBatch)
Out = TypeVar("Out", bound=RawBatch)


@runtime_checkable
class TakesParts(Protocol):
    """A session that takes the parts of a batch, its own and those of other sessions of its stage, all at once."""

    def apply_parts(self, batch: Any, parts: Sequence[Part[Any]], /) -> StageOut[Any]:
        """Apply each part to its session."""
        ...

    def remember_parts(self, batch: Any, parts: Sequence[Part[Any]], /) -> None:
        """Let the session of each part take note of the scores of its rows."""
        ...


class _Kinds(dict[type[Any], bool]):
    """Which classes of sessions take parts, asked once: the protocol would take 8 us at every batch."""

    def __missing__(self, kind: type[Any]) -> bool:
        self[kind] = found = issubclass(kind, TakesParts)
        return found


_KINDS: Final = _Kinds()


def _takes_parts(session: object) -> TypeGuard[TakesParts]:
    return _KINDS[type(session)]


def by_partition(batch: In, partitions: list[int]) -> list[tuple[int, In]]:
    """Return the rows of each partition that has any."""
    found = parts_of(batch.origin.partition, {partition: partition for partition in partitions})
    return [(partition, batch.part(first, end)) for partition, first, end in found]


class ByPartition(Generic[In, Out]):
    """Several sessions of one stage as one: rows go to that of their partition, and come back in their order.

    Where the sessions take parts (``TakesParts``), no row is cut off or copied: what asks no state is done once for the
    batch, and each session reads and writes its rows of columns that all share.
    """

    def __init__(self, sessions: Mapping[int, Applies[In, Out]]) -> None:
        self._sessions: Mapping[int, Any] = sessions

    def apply(self, batch: In, /) -> StageOut[Out]:
        """Return what all sessions give, in the order of the batch."""
        parts = parts_of(batch.origin.partition, self._sessions)
        session = parts[0][0] if parts else next(iter(self._sessions.values()))
        if len(parts) <= 1:
            out: StageOut[Out] = session.apply(batch)
        elif _takes_parts(session):
            out = session.apply_parts(batch, parts)
        else:
            out = each_part(batch, parts)
        return out

    def remember(self, batch: Decided, /) -> None:
        """Let each session take note of the scores and decisions of its rows."""
        parts = parts_of(batch.origin.partition, self._sessions)
        if len(parts) > 1 and _takes_parts(parts[0][0]):
            parts[0][0].remember_parts(batch, parts)
            return
        for session, first, end in parts:
            session.remember(batch.part(first, end))


class TogetherSessions:
    """What ``Pipeline`` asks of the keyed stages' session, for parcels of several partitions."""

    def __init__(self, sessions: Mapping[int, ChainSession[Normalized, Counted, Recognized]]) -> None:
        self.first = ByPartition({partition: session.first for partition, session in sessions.items()})
        self.second = ByPartition({partition: session.second for partition, session in sessions.items()})
        self.last = Together({partition: session.last for partition, session in sessions.items()})

    def remember(self, batch: Decided, /) -> None:
        """Let each session take note of the scores and decisions of its rows."""
        self.first.remember(batch)
        self.second.remember(batch)
