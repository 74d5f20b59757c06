"""The stage: numbers against their ranges, then the environment of what is left, and where its address lies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from flows.stages.normalize.compiled import Compiled
from schemas.batches import Bool, Normalized, Verified
from schemas.catalogue import Catalogue, load_catalogue
from schemas.columns import widen
from schemas.dead_letter import DeadLetter, Reason, dead_letters
from schemas.places import Locate, nowhere
from schemas.stage import StageOut


class Normalize:
    """Numbers checked against the catalogue; what the browser says of itself parsed and reconciled."""

    name = "normalize"

    def __init__(self, catalogue: Catalogue | None = None, locate: Locate = nowhere) -> None:
        """``locate``: the lookup of addresses; without one, all are unknown."""
        self._locate = locate
        self._catalogue = catalogue or load_catalogue()
        self._compiled = Compiled(self._catalogue)
        self._low, self._high, self._dead = self._catalogue.bounds()

    def __reduce__(self) -> tuple[type[Normalize], tuple[Any, ...]]:
        """Pickle by the catalogue and the lookup: the tables are made again."""
        return Normalize, (self._catalogue, self._locate)

    def __call__(self, batch: Verified, /) -> StageOut[Normalized]:
        """Return rows with an environment and a network; infinite and impossible numbers become dead letters."""
        odd = np.empty(len(batch), np.bool_)
        letters: list[DeadLetter] = []
        environment, is_odd = self._compiled.environment_of(batch, odd)
        if is_odd:
            batch, letters, odd = self._refuse(batch, odd)
            environment, _ = self._compiled.environment_of(batch, odd, is_settled=True)
        network = self._locate(batch.event.address)
        return StageOut(widen(Normalized, batch, environment=environment, network=network), letters)

    def _refuse(self, batch: Verified, odd: Bool) -> tuple[Verified, list[DeadLetter], Bool]:
        """Return the rows that go on, without their numbers outside the ranges; the others; which had some."""
        outside = (batch.signals.numbers < self._low) | (batch.signals.numbers > self._high)
        infinite = np.asarray(np.isinf(batch.signals.numbers).any(axis=1))
        impossible = np.asarray(outside[:, self._dead].any(axis=1)) & ~infinite
        letters = dead_letters(
            batch, np.flatnonzero(infinite), Reason.NOT_FINITE, self.name, "a number of the payload is infinite"
        )
        for row in np.flatnonzero(impossible).tolist():
            at = int(np.flatnonzero(outside[row] & self._dead)[0])
            detail = f"{self._catalogue.numbers[at].name} lies outside the catalogue's range"
            letters += dead_letters(batch, [row], Reason.OUT_OF_RANGE, self.name, detail)
        rows = np.flatnonzero(~infinite & ~impossible)
        kept, outside, odd = batch.take(rows), outside[rows], odd[rows]
        if odd.any():
            numbers = np.where(outside, np.float32(np.nan), kept.signals.numbers)
            kept = replace(kept, signals=replace(kept.signals, numbers=numbers))
        return kept, letters, odd
