"""The contract of a smart signal: clues with a stated weight, joined by noisy-or.

A clue's ``weight`` is the share of events that the signal is true for among events that show this clue and no other.
Independent clues join as ``1 - (1 - w1)(1 - w2)...``: several weak ones make a strong one, one weak one never does.
That value is the signal's confidence, and the signal is true from its ``threshold`` on. A row on which nothing could
be asked is -1 (not computable), never 0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from enrichers.view import View
from schemas.batches import F32, I8, U32, Bool

MAX_REASONS = 32  # reasons are the bits of a uint32


@dataclass(frozen=True, slots=True)
class Clue:
    """One reason: its code, its weight, and why the weight is what it is."""

    reason: str
    weight: float
    why: str


class Verdict(NamedTuple):
    """One signal on a batch of n rows."""

    result: I8  # [n]: 1 true, 0 false, -1 not computable
    confidence: F32  # [n]: 0 to 1 that the signal is true, NaN where not computable
    reasons: U32  # [n]: bit i is clue i


class SmartSignal(ABC):
    """One smart signal. Subclasses name their inputs and clues, and observe a batch; they hold no state."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    question: ClassVar[str]
    threshold: ClassVar[float] = 0.5
    inputs: ClassVar[tuple[str, ...]]
    clues: ClassVar[tuple[Clue, ...]]
    held_down: ClassVar[str] = ""  # known false positives, and what keeps them down

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return the codes of the clues; bit i of the reasons is the i-th."""
        return tuple(clue.reason for clue in self.clues)

    @abstractmethod
    def computable(self, view: View) -> Bool:
        """Return where the inputs suffice for a "no", bool[n]. A clue that is seen suffices for itself."""

    @abstractmethod
    def observe(self, view: View) -> Sequence[Bool]:
        """Return one bool[n] for each clue, in the order of ``clues``."""

    def evaluate(self, view: View) -> Verdict:
        """Judge a batch."""
        seen = self.observe(view)
        if len(seen) != len(self.clues):
            raise AssertionError(f"smart signal {self.name} has {len(self.clues)} clues but observed {len(seen)}")
        hits = np.stack(seen)
        # Products run down the clues, so that a row's value does not depend on its neighbours or on their number.
        doubt = np.where(hits, _doubts(self.clues), 1.0).prod(axis=0)
        confidence = (1.0 - doubt).astype(np.float32)
        reasons = np.where(hits, _BITS[: len(seen)], _NO_BIT).sum(axis=0, dtype=np.uint32)
        asked = self.computable(view) | (reasons != 0)
        result = (confidence >= np.float32(self.threshold)).astype(np.int8)
        result[~asked] = -1
        confidence[~asked] = np.nan
        return Verdict(result, confidence, reasons)


_BITS: U32 = (np.uint32(1) << np.arange(MAX_REASONS, dtype=np.uint32))[:, None]
_NO_BIT = np.uint32(0)


def _doubts(clues: Sequence[Clue]) -> NDArray[np.float64]:
    return np.array([[1.0 - clue.weight] for clue in clues], np.float64)
