"""What recognize should say, by a program that remembers everything in dicts and looks at one row after the other."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flows.stages.recognize.layout import Rows
from schemas.recognition import PrevalenceSeed
from schemas.velocity import SCORE_LAG

LEAST, SEEDED, LEVELS = 1_000.0, 4_000.0, 64
TERMS = [math.log(2) ** power / math.factorial(power) for power in range(9)]
DAY_SECONDS = 86_400


def rounded(number: float) -> float:
    """Return a number with the 24 bits of a float32, whatever its size."""
    fraction, exponent = math.frexp(number)
    return math.ldexp(round(fraction * (1 << 24)), exponent - 24)


def power_of_two(exponent: float) -> float:
    whole = math.floor(exponent)
    value = 0.0
    for term in reversed(TERMS):
        value = value * (exponent - whole) + term
    return math.ldexp(value, whole)


def level_of(share: float) -> int:
    for level in range(LEVELS - 1, 1, -1):
        k, half = divmod(level - 1, 2)
        if share >= math.ldexp(1.5 if half else 1.0, k - 31):
            return level
    return 1


@dataclass
class Oracle:
    """One partition. Keys and copies are those of the stage; what is counted of them is this program's own."""

    prevalence_half: int
    reputation_half: int
    landmark: int | None = None
    watermark: int = 0
    weights: dict[tuple[int, int], float] = field(default_factory=lambda: defaultdict(float))
    usual: dict[tuple[int, int], float] = field(default_factory=lambda: defaultdict(float))
    shown: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    events: dict[tuple[int, int], float] = field(default_factory=lambda: defaultdict(float))
    denials: dict[tuple[int, int], float] = field(default_factory=lambda: defaultdict(float))
    everybody: list[float] = field(default_factory=lambda: [0.0, 0.0])
    copies: dict[tuple[int, int], int] = field(default_factory=dict)
    decided: list[tuple[int, int, list[int], bool]] = field(default_factory=list)

    def begin(self, seed: PrevalenceSeed) -> None:
        rows = list(zip(seed.kinds.tolist(), seed.keys.tolist(), seed.counts.tolist(), strict=True))
        for kind, key, count in rows:
            scale = SEEDED / sum(times for other, _, times in rows if other == kind)
            share = (count - 1) * scale / (SEEDED - scale) if count > 1 else 0.0
            self.usual[kind, level_of(share) if count > 1 else 0] += count * scale
            self.weights[kind, key] = rounded(count * scale)
            self.shown[kind] += count * scale

    def row(self, rows: Rows, at: int) -> dict[str, Any]:
        time = int(rows.time[at])
        self.landmark = time if self.landmark is None else self.landmark
        self.watermark = max(self.watermark, time)
        while self.decided and self.decided[0][0] <= rows.offset[at] - SCORE_LAG:
            self._take_in(*self.decided.pop(0)[1:])
        said = [self._combination(kind, int(key), time) for kind, key in enumerate(rows.combinations[at])]
        now = power_of_two((self.watermark - self.landmark) / self.reputation_half)
        entities = [(kind, int(key)) for kind, key in enumerate(rows.entities[at])]
        seconds = min(max(time // 1_000, 1), 0xFFFFFFFF)
        copied = sum(
            1 << kind for kind, key in enumerate(rows.copies[at]) if key and self._copied(kind, int(key), seconds)
        )
        return {
            "seen": [seen for seen, _ in said],
            "tail": [tail for _, tail in said],
            "weight": [self.events[one] / now for one in entities] + [self.everybody[0] / now],
            "denied": [self.denials[one] / now for one in entities] + [self.everybody[1] / now],
            "copied": copied,
        }

    def _combination(self, kind: int, key: int, time: int) -> tuple[float, float]:
        assert self.landmark is not None
        if not key:
            return math.nan, math.nan
        now = power_of_two((self.watermark - self.landmark) / self.prevalence_half)
        added = power_of_two((time - self.landmark) / self.prevalence_half)
        weight, shown = self.weights[kind, key], self.shown[kind]
        level = level_of(weight / shown) if weight >= now / 64 else 0
        tail = math.nan
        if shown >= LEAST * now:
            rare = max(sum(self.usual[kind, each] for each in range(level + 1)), weight)
            tail = (rare + added) / (shown + added)
        self.weights[kind, key] = rounded(weight + added)
        self.usual[kind, level] += added
        self.shown[kind] += added
        return weight / now, tail

    def _take_in(self, time: int, keys: list[int], denied: bool) -> None:
        assert self.landmark is not None
        added = power_of_two((time - self.landmark) / self.reputation_half)
        self.everybody = [self.everybody[0] + added, self.everybody[1] + added * denied]
        for kind, key in enumerate(keys):
            if key:
                self.events[kind, key] = rounded(self.events[kind, key] + added)
                self.denials[kind, key] = rounded(self.denials[kind, key] + added * denied)

    def _copied(self, kind: int, key: int, seconds: int) -> bool:
        before = self.copies.get((kind, key))
        self.copies[kind, key] = seconds if before is None else max(before, seconds)
        return before is not None and abs(before - seconds) <= DAY_SECONDS

    def decide(self, rows: Rows, at: int, denied: bool) -> None:
        keys = [int(key) for key in rows.entities[at]]
        self.decided.append((int(rows.offset[at]), int(rows.time[at]), keys, denied))


def columns_of(said: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: np.array([row[name] for row in said]) for name in ("seen", "tail", "weight", "denied", "copied")}
