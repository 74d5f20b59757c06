"""rare_device: hardly anybody's device looks like this one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enrichers.compiled_clues import rare_parts
from enrichers.signal import Clue, SmartSignal
from enrichers.view import Loop, View, members
from enrichers.view_loops import RARE
from schemas.batches import U8, Bool, Enriched
from schemas.catalogue import load_catalogue
from schemas.columns import plain
from schemas.recognition import COMBINATIONS

_RARE, _EXTREME = 0.001, 0.0001  # shares of traffic: beyond p99.9, and beyond p99.99
_UNUSUAL, _UNSEEN = 0.02, 0.5  # a combination that is not there yet, of a kind that mostly is
# Parts of a device that are rare for reasons of their own: a rare graphics chip makes its pictures and sums rare too.
_SOFTWARE = ("browser", "system")
_PARTS = (("graphics", "rendering", "machine"), ("screen",), ("hardware",), ("fonts",), ("locale",))
_TELLING = ("graphics", "rendering", "machine", "hardware", "fonts")  # screens and places are odd of themselves
_COARSE_CLOCK = np.float32(16)  # ms: Firefox that resists fingerprinting
_FIREFOX = members("browser", ("firefox",))

_ALL = (_SOFTWARE, *_PARTS)
_PART_OF = np.array([next(at for at, part in enumerate(_ALL) if name in part) for name in COMBINATIONS])
_IS_TELLING = np.array([name in _TELLING for name in COMBINATIONS])
_LIMITS = *(np.float32(limit) for limit in (_UNUSUAL, _RARE, _EXTREME, _UNSEEN)), _COARSE_CLOCK


class RareDevice(SmartSignal):
    """Combinations of attributes that are rarer than one in a thousand, or that nobody showed before."""

    name = "rare_device"
    recorded = True
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
        return view.looped(_LOOP)[-1]

    def observe(self, view: View) -> Sequence[Bool]:
        """Compare the tails with the shares, part by part; a tail that is not known never is rare."""
        return view.looped(_LOOP)[:-1]

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return the rarest combinations with the percentage of traffic that is as rare or rarer, and those unseen."""
        tail, seen = batch.recognition.tail[row], batch.recognition.seen[row]
        order = [at for at in np.argsort(tail, kind="stable").tolist() if tail[at] <= _UNUSUAL][:6]
        unseen = [COMBINATIONS[at] for at in order if seen[at] < _UNSEEN]
        percent = {f"{COMBINATIONS[at]}_percent": 100 * float(tail[at]) for at in order}
        return {**percent, "never_seen": ", ".join(unseen)}


@cache
def _columns() -> tuple[int, int]:
    catalogue = load_catalogue()
    return catalogue.boolean("api.brave"), catalogue.number("timing.resolution")


def _observe(view: View, found: U8) -> None:
    """Set the clues, and then where anything is known."""
    tail, seen = plain(view.recognition.tail, np.float32), plain(view.recognition.seen, np.float32)
    shown = view.raw.booleans, view.raw.numbers, view.raw.browser
    rare_parts(shown, (tail, seen), _columns(), (_PART_OF, _IS_TELLING, _FIREFOX), _LIMITS, found)


def _tables() -> tuple[NDArray[Any], ...]:
    """Return what ``view_loops.gather`` takes: the columns, tables and limits of ``rare_parts``."""
    return np.array(_columns(), np.int64), _PART_OF, _IS_TELLING, _FIREFOX, np.array(_LIMITS, np.float32)


_LOOP = Loop(len(RareDevice.clues) + 1, _observe, RARE, _tables)
