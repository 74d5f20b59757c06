"""rare_device: hardly anybody's device looks like this one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool, Enriched
from schemas.recognition import COMBINATIONS

_RARE, _EXTREME = 0.001, 0.0001  # shares of traffic: beyond p99.9, and beyond p99.99
_UNUSUAL, _UNSEEN = 0.02, 0.5  # a combination that is not there yet, of a kind that mostly is
# Parts of a device that are rare for reasons of their own: a rare graphics chip makes its pictures and sums rare too.
_SOFTWARE = ("browser", "system")
_PARTS = (("graphics", "rendering", "machine"), ("screen",), ("hardware",), ("fonts",), ("locale",))
_TELLING = ("graphics", "rendering", "machine", "hardware", "fonts")  # screens and places are odd of themselves
_COARSE_CLOCK = 16.0  # ms: Firefox that resists fingerprinting


def _places(names: Sequence[str]) -> NDArray[np.intp]:
    return np.array([COMBINATIONS.index(name) for name in names], np.intp)


_SOFTWARE_PLACES, _TELLING_PLACES = _places(_SOFTWARE), _places(_TELLING)
_PART_PLACES = _places([name for part in _PARTS for name in part])
_STARTS = np.cumsum([0, *(len(part) for part in _PARTS)])[:-1]


class RareDevice(SmartSignal):
    """Combinations of attributes that are rarer than one in a thousand, or that nobody showed before."""

    name = "rare_device"
    version = 2
    question = "Hardly anybody's device looks like this one."
    held_down = (
        "One rare part alone (an odd screen, old fonts, a traveller's languages) is weak, unless it is beyond one "
        "in ten thousand and part of the machine. A new version of a browser is rare for a day: it never suffices with "
        "one more part. Brave, and Firefox that resists fingerprinting, make up what they show: only their name counts."
    )
    inputs = ("recognition.tail", "recognition.seen", "api.brave", "timing.resolution", "environment.browser")
    clues = (
        Clue("rare_browser", 0.2, "One event in a thousand has a browser or system as rare; new versions begin so."),
        Clue("rare_part", 0.3, "One part (drawing, screen, hardware, fonts, languages and place) beyond p99.9."),
        Clue("rare_parts", 0.4, "Two parts, each beyond p99.9 for reasons of its own: with one, 0.58."),
        Clue("rare_throughout", 0.5, "Four and more of the five parts: with the two before, 0.79."),
        Clue("one_in_ten_thousand", 0.35, "Drawing, hardware or fonts beyond p99.99: with the rare part, 0.55."),
        Clue(
            "parts_never_seen", 0.5, "Three and more parts that no event showed, though 98% of traffic was seen before."
        ),
    )

    def computable(self, view: View) -> Bool:
        """Enough traffic was seen to know what is usual."""
        return np.asarray(~np.isnan(view.recognition.tail).all(axis=1))

    def observe(self, view: View) -> Sequence[Bool]:
        """Compare the tails with the shares, part by part; a tail that is not known never is rare."""
        tail, seen = view.recognition.tail.T, view.recognition.seen.T
        made_up = view.true("api.brave") | (
            view.browser("firefox") & (view.number("timing.resolution") >= _COARSE_CLOCK)
        )
        shown = ~made_up
        rare = np.logical_or.reduceat((tail <= _RARE)[_PART_PLACES], _STARTS, axis=0).sum(axis=0) * shown
        unseen = ((tail <= _UNUSUAL) & (seen < _UNSEEN))[_PART_PLACES]
        return (
            np.asarray((tail[_SOFTWARE_PLACES] <= _RARE).any(axis=0)),
            rare >= 1,
            rare >= 2,
            rare >= 4,
            np.asarray((tail[_TELLING_PLACES] <= _EXTREME).any(axis=0)) & shown,
            (np.logical_or.reduceat(unseen, _STARTS, axis=0).sum(axis=0) >= 3) & shown,
        )

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return the rarest combinations with the percentage of traffic that is as rare or rarer, and those unseen."""
        tail, seen = batch.recognition.tail[row], batch.recognition.seen[row]
        order = [at for at in np.argsort(tail, kind="stable").tolist() if tail[at] <= _UNUSUAL][:6]
        unseen = [COMBINATIONS[at] for at in order if seen[at] < _UNSEEN]
        percent = {f"{COMBINATIONS[at]}_percent": 100 * float(tail[at]) for at in order}
        return {**percent, "never_seen": ", ".join(unseen)}
