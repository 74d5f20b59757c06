"""The one item of the dataflow: what was read in one poll, and what became of each row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from schemas.batches import RawBatch
from schemas.dead_letter import DeadLetter
from schemas.makers import constructor

B = TypeVar("B", bound=RawBatch)
C = TypeVar("C", bound=RawBatch)


class Span(NamedTuple):
    """A range of offsets of one partition, the end excluded."""

    partition: int
    first: int
    next: int


@dataclass(frozen=True, slots=True)
class Parcel(Generic[B]):
    """A batch with the spans that it was read from, one a partition. It travels to every sink even when no row is left.

    ``rows_in == len(batch) + len(errs) + dropped``: so a sink that acknowledges the spans acknowledges every row of
    them, and the flow's offsets can follow the lowest acknowledged ones. The rows of a partition lie together, in the
    order of ``spans`` and of their offsets.
    """

    spans: tuple[Span, ...]
    batch: B
    rows_in: int
    errs: tuple[DeadLetter, ...] = ()
    dropped: int = 0

    def after(self, batch: C, errs: Sequence[DeadLetter] = (), dropped: int = 0) -> Parcel[C]:
        """Return the parcel after a stage, given what became of its rows.

        AssertionError where rows were lost or invented: a bug of the stage.
        """
        taken, given = len(self.batch.values), len(batch.values)
        if given + len(errs) + dropped != taken:
            raise AssertionError(f"a stage took {taken} rows and gave {given} + {len(errs)} + {dropped}")
        return _made(
            self.spans, batch, self.rows_in, (*self.errs, *errs) if errs else self.errs, self.dropped + dropped
        )


_made: Callable[..., Parcel[Any]] = constructor(Parcel)
