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

from enrichers.compiled import join_clues
from enrichers.view import View
from schemas.batches import F32, I8, U32, U64, Bool, Enriched

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
        self._clues = (  # of each clue: its signal, what remains of a doubt, its bit
            np.repeat(np.arange(len(sizes)), sizes),
            np.array([1.0 - clue.weight for signal in signals for clue in signal.clues]),
            np.array([1 << bit for size in sizes for bit in range(size)], np.uint32),
        )
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
        shape = rows, signals = len(view), len(self._signals)
        result, confidence, reasons = np.zeros(shape, np.int8), np.zeros(shape, np.float32), np.zeros(shape, np.uint32)
        if rows:
            asked_of = _words(asked).view(np.uint8)[: rows * signals].reshape(signals, rows)
            join_clues(_words(seen), rows, self._clues, asked_of, self._thresholds, (result, confidence, reasons))
        return Verdict(result, confidence, reasons)


def _words(columns: Sequence[Bool]) -> U64:
    """Return columns one after another, as whole words of 8 bytes: zeros fill the last."""
    filling = np.zeros(-sum(map(len, columns)) % 8, np.bool_)
    try:
        joined = b"".join(cast("Sequence[bytes]", [*columns, filling]))
    except TypeError:  # one of them is not contiguous
        joined = np.concatenate([*columns, filling]).tobytes()
    return np.frombuffer(joined, np.uint64)
