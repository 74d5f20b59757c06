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
from typing import Any, ClassVar, NamedTuple

import numpy as np

from enrichers.compiled import join_clues
from enrichers.recorded import Recording
from enrichers.view import View
from schemas.batches import F32, I8, U8, U32, Bool, Enriched

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
    recorded: ClassVar[bool] = False  # it does with columns only what ``enrichers.recorded`` can write down

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return the codes of the clues; bit i of the reasons is the i-th."""
        return tuple(clue.reason for clue in self.clues)

    @abstractmethod
    def computable(self, view: View) -> Bool:
        """Return where the inputs suffice for a "no", bool[n]. A clue that is seen suffices for itself."""

    @abstractmethod
    def observe(self, view: View) -> Sequence[Bool] | Bool:
        """Return one bool[n] for each clue, in the order of ``clues``; or all of them, bool[clues, n]."""

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
    """Several signals over one batch. They are joined in one pass, because small NumPy calls are what costs.

    With ``record`` the signals that can be are made one program; all give the same either way.
    """

    def __init__(self, signals: Sequence[SmartSignal], *, record: bool = False) -> None:
        sizes = [len(signal.clues) for signal in signals]
        self._clues = (  # of each clue: its signal, what remains of a doubt, its bit
            np.repeat(np.arange(len(sizes)), sizes),
            np.array([1.0 - clue.weight for signal in signals for clue in signal.clues]),
            np.array([1 << bit for size in sizes for bit in range(size)], np.uint32),
        )
        self._thresholds = np.array([signal.threshold for signal in signals], np.float32)
        self._recording = Recording(lambda view: _recorded(signals, view)) if record else None
        count = sum(sizes)
        places = np.arange(count + len(sizes)) if self._recording is None else self._recording.places
        self._places = places[:count], places[count:]  # columns of clues, and of who was asked
        self._height = len(places)
        firsts = np.cumsum([0, *sizes]).tolist()
        self._plain = [
            (signal, places[first : first + size], places[count + at])
            for at, (signal, first, size) in enumerate(zip(signals, firsts, sizes, strict=False))
            if not (record and signal.recorded)
        ]

    def judge(self, view: View) -> Verdict:
        """Return result, confidence and reasons, each [n, S]: a row's values depend on that row alone."""
        shape = len(view), len(self._thresholds)
        out = np.zeros(shape, np.int8), np.zeros(shape, np.float32), np.zeros(shape, np.uint32)
        if shape[0]:
            join_clues(self._columns(view), self._places, self._clues, self._thresholds, out)
        return Verdict(*out)

    def _columns(self, view: View) -> U8:
        """Return columns of flags, uint8[k, n], among them all clues and who was asked."""
        recording = self._recording
        columns = np.empty((self._height, len(view)), np.uint8) if recording is None else recording(view)
        for signal, clues, asked in self._plain:
            columns[clues] = _observed(signal, view)
            columns[asked] = signal.computable(view)
        return columns


def _observed(signal: SmartSignal, view: View) -> Sequence[Any] | Bool:
    clues = signal.observe(view)
    if len(clues) != len(signal.clues):
        raise AssertionError(f"smart signal {signal.name}: {len(signal.clues)} clues, {len(clues)} observed")
    return clues


def _recorded(signals: Sequence[SmartSignal], view: View) -> list[Any]:
    """Return the clues of all signals and then whom to ask; None of those that are not recorded."""
    clues = [
        one
        for signal in signals
        for one in (_observed(signal, view) if signal.recorded else [None] * len(signal.clues))
    ]
    return clues + [signal.computable(view) if signal.recorded else None for signal in signals]
