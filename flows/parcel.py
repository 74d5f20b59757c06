"""The one item of the dataflow: what was read in one poll, and what became of each row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from schemas.batches import RawBatch
from schemas.dead_letter import DeadLetter
from schemas.stage import StageOut

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

    def after(self, out: StageOut[C]) -> Parcel[C]:
        """Return the parcel after a stage; a stage that loses or invents a row is a bug and raises."""
        if len(out.oks) + len(out.errs) + out.dropped != len(self.batch):
            raise AssertionError(
                f"a stage took {len(self.batch)} rows and gave {len(out.oks)} + {len(out.errs)} + {out.dropped}"
            )
        errs = (*self.errs, *out.errs) if out.errs else self.errs
        return Parcel(self.spans, out.oks, self.rows_in, errs, self.dropped + out.dropped)
