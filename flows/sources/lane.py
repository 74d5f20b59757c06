"""The records of one partition between two processes, put in order: each range of offsets once, none left out.

A process that was killed sends again what nobody acknowledged, cut anew. So a record may cover what was taken already,
wholly or at its beginning; and where a send failed in between, a later one may lie before it: it is passed over, for
it comes again after it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Generic, NamedTuple, TypeVar

import numpy as np

from flows.parcel import Span
from flows.stage_records import Head
from schemas.batch_codec import decode_batch
from schemas.batches import I64
from schemas.columns import Columns

B = TypeVar("B", bound=Columns)
log = logging.getLogger("clickgoose.flow")
PATIENCE_SECONDS: Final = 30.0


class RangeMissing(RuntimeError):
    """Rows between two processes are gone; the message is one sentence for the user."""


class Arrived(NamedTuple, Generic[B]):
    """What a record brought. ``position``: the next offset of its topic."""

    span: Span
    batch: B
    position: int


class Lane(Generic[B]):
    """Takes the records of one partition, in the order of their topic.

    ``next``: the next offset of ``events.raw`` that is wanted, None where any is. ``position``: that of the topic.
    """

    def __init__(
        self,
        topic: str,
        kind: type[B],
        offsets: Callable[[B], I64],
        stream: bytes,
        clock: Callable[[], float],
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._topic, self._kind, self._offsets, self._stream = topic, kind, offsets, stream
        self._clock, self._patience = clock, patience
        self._beyond_since: float | None = None
        self._lost = False  # records of the topic, since the last one that was taken
        self.next: int | None = None
        self.position: int | None = None
        self.passed_over = 0  # records

    def take(self, head: Head | None, value: bytes, offset: int) -> Arrived[B] | None:
        """Return what a record brings that was not there; None where that is nothing.

        RangeMissing where a range stays away that was not sent again; ValueError where a record cannot be read.
        """
        self._lost |= self.position is not None and offset > self.position
        self.position = offset + 1
        if head is None or head.stream != self._stream or (self.next is not None and head.span.next <= self.next):
            self.passed_over += 1
            return None
        if self.next is not None and head.span.first > self.next:
            if not self._lost:
                self._wait_for_gap(head.span)
                return None
            log.warning(
                "offsets %d to %d are no longer in %s: retention passed them before they were read",
                self.next, head.span.first - 1, self._topic, extra={"partition": head.span.partition},
            )  # fmt: skip
            self.next = None
        self._beyond_since, self._lost = None, False
        batch, span = decode_batch(value, self._kind), head.span
        if self.next is not None and span.first < self.next:
            batch, span = self._rest(batch, self.next), span._replace(first=self.next)
        self.next = span.next
        return Arrived(span, batch, self.position)

    def _rest(self, batch: B, first: int) -> B:
        return batch.take(np.flatnonzero(self._offsets(batch) >= first))

    def _wait_for_gap(self, span: Span) -> None:
        """Pass over a record that came before those that it follows."""
        now = self._clock()
        if self._beyond_since is None:
            self._beyond_since = now
        if now - self._beyond_since > self._patience:
            raise RangeMissing(
                f"offsets {self.next} to {span.first - 1} of partition {span.partition} are not in {self._topic} and "
                f"did not come within {self._patience:g} s: move the state of this process away to begin anew with "
                "what the topic holds"
            )
        self.passed_over += 1
