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
from typing import ClassVar, NamedTuple, cast

import numpy as np

from enrichers.view import View
from schemas.batches import F32, I8, U32, Bool, Enriched

MAX_REASONS = 32  # reasons are the bits of a uint32


@dataclass(frozen=True, slots=True)
class Clue:
    """One reason: its code, its weight, and why the weight is what it is."""

    reason: str
    weight: float
    why: str


class Verdict(NamedTuple):
    """What was found on a batch of n rows: [n] of one signal, [n, S] of a jury."""

    result: I8  # 1 true, 0 false, -1 not computable
    confidence: F32  # 0 to 1 that the signal is true, NaN where not computable
    reasons: U32  # bit i is clue i


class SmartSignal(ABC):
    """One smart signal. Subclasses name their inputs and clues, and observe a batch; they hold no state."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    question: ClassVar[str]
    threshold: ClassVar[float] = 0.5
    inputs: ClassVar[tuple[str, ...]]
    clues: ClassVar[tuple[Clue, ...]]
    held_down: ClassVar[str] = ""  # known false positives, and what keeps them down
    honest_true: ClassVar[str] = ""  # why honest people show it, where more than one in 200 does
    data_kinds: ClassVar[tuple[str, ...]] = ()  # kinds of data it rests on; results name their versions

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

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return what a person who reads the result of a row should know besides the reasons; most have nothing.

        Asked only where the result is true, when results are written: never on the stage's hot path. At most 8 entries
        of at most 120 characters, and no personal data: never an address, an id or a whole user agent.
        """
        return {}

    def evaluate(self, view: View) -> Verdict:
        """Judge a batch by this signal alone."""
        result, confidence, reasons = Jury((self,)).judge(view)
        return Verdict(result[:, 0], confidence[:, 0], reasons[:, 0])


class Jury:
    """Several signals over one batch. They are joined in one pass, because small NumPy calls are what costs."""

    def __init__(self, signals: Sequence[SmartSignal]) -> None:
        self._signals = tuple(signals)
        sizes = [len(signal.clues) for signal in signals]
        self._signal_of = np.repeat(np.arange(len(sizes)), sizes)
        self._doubts = np.array([1.0 - clue.weight for signal in signals for clue in signal.clues])
        self._bits = np.array([1 << bit for size in sizes for bit in range(size)], np.uint32)
        self._thresholds = np.array([signal.threshold for signal in signals], np.float32)

    def judge(self, view: View) -> Verdict:
        """Return result, confidence and reasons, each [n, S]: a row's values depend on that row alone."""
        seen: list[Bool] = []
        asked: list[Bool] = []
        for signal in self._signals:
            clues = signal.observe(view)
            if len(clues) != len(signal.clues):
                raise AssertionError(f"smart signal {signal.name}: {len(signal.clues)} clues, {len(clues)} observed")
            seen.extend(clues)
            asked.append(signal.computable(view))
        rows, signals = len(view), len(self._signals)
        # Few clues are seen: work on those alone. They come clue by clue, so a row's product has the same order, and
        # so the same rounding, whatever the batch.
        clue, row = np.divmod(np.flatnonzero(_joined(seen)), max(rows, 1))
        cell = row * signals + self._signal_of[clue]
        doubt = np.ones((rows, signals))
        np.multiply.at(doubt.reshape(-1), cell, self._doubts[clue])
        reasons = np.zeros((rows, signals), np.uint32)
        np.bitwise_or.at(reasons.reshape(-1), cell, self._bits[clue])
        confidence = (1.0 - doubt).astype(np.float32)
        silent = ~_joined(asked).reshape(signals, rows).T & (reasons == 0)
        # Silent rows have no confidence, so their result is still 0.
        result = (confidence >= self._thresholds).view(np.int8) - silent.view(np.int8)
        confidence[silent] = np.nan
        return Verdict(result, confidence, reasons)


def _joined(columns: Sequence[Bool]) -> Bool:
    """Return columns one after another, as ``np.concatenate`` does: of hundreds of small ones in half the time."""
    try:
        return np.frombuffer(b"".join(cast("Sequence[bytes]", columns)), np.bool_)
    except TypeError:  # one of them is not contiguous
        return np.concatenate(columns)
