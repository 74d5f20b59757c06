"""Causes of clues: traces and failed checks that one thing leaves in several places, folded so that it counts once.

What several detectors see of one cause is no independent evidence: two clues for it would be joined as if it had
happened twice. So each cause is one row here, however many signals and checks show it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cache, cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from enrichers.compiled import find_causes
from enrichers.view import View
from schemas.batches import Bool, Enriched
from schemas.catalogue import category_hash, load_catalogue
from schemas.environment import CHECKS

_CHECK, _NOT = "check.", "!"
_LINE, _MORE = 120, " and 99 more"  # characters of a detail
_KEPT = 8_192  # of what is said of rows
Positions = NDArray[np.intp]
NamesBy = Mapping[str, Sequence[str]]


class Causes:
    """Causes by name, each with what shows it: booleans ("automation.cdc_globals"), booleans that are known to be
    false ("!plugin.consistent") and checks of the normalisation ("check.worker_contradicts_page").
    """

    def __init__(self, shown_by: Mapping[str, Sequence[str]]) -> None:
        self._shown_by = {cause: tuple(names) for cause, names in shown_by.items()}
        self.first = sum(len(other.causes) for other in _EVERY)
        """Which is the first of these among all causes."""
        columns = load_catalogue().boolean
        self.places = (  # columns of what is to be true, of what is to be false, and checks; with the cause of each
            self._positions(columns, lambda name: not name.startswith((_NOT, _CHECK)), ""),
            self._positions(columns, lambda name: name.startswith(_NOT), _NOT),
            self._positions(CHECKS.index, lambda name: name.startswith(_CHECK), _CHECK),
        )
        self._checks = sum(1 << at for at in set(self.places[2][0].tolist()))
        self._said: dict[Hashable, str] = {}
        _EVERY.append(self)

    @property
    def causes(self) -> tuple[str, ...]:
        """Return the names of the causes."""
        return tuple(self._shown_by)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return the names of all signals and checks, each once."""
        return tuple(dict.fromkeys(name.removeprefix(_NOT) for names in self._shown_by.values() for name in names))

    def seen(self, view: View) -> dict[str, Bool]:
        """Return where each cause is seen, bool[n] by name."""
        return dict(zip(self._shown_by, self.table(view), strict=True))

    def table(self, view: View) -> Bool:
        """Return where each cause is seen, bool[causes, n] in their order."""
        return view.causes(every_cause(), self.first, len(self._shown_by))

    def said_on(self, batch: Enriched, row: int, say: Callable[[NamesBy], str]) -> str:
        """Return what ``say`` makes of the names of what shows each cause on one row: for details.

        ``say`` is a function of a module: what it said is remembered, since rows that show the same are many.
        """
        (trues, _), (falses, _), _ = self.places
        value = batch.signals.booleans[row]
        true, checks = value[trues].tobytes(), int(batch.environment.checks[row]) & self._checks
        false = (batch.signals.known[row][falses] > value[falses]).tobytes()
        key = say, true, false, checks
        found = self._said.get(key)
        if found is None:
            if len(self._said) >= _KEPT:
                self._said.clear()
            found = self._said[key] = say(self._names(true, false, checks))
        return found

    def _names(self, true: bytes, false: bytes, checks: int) -> NamesBy:
        """Return by cause the names of what shows it, without their family."""
        failed = bytes(checks >> at & 1 for at in self.places[2][0].tolist())
        found: dict[str, list[str]] = {cause: [] for cause in self._shown_by}
        for shown, told in zip((true, false, failed), self._told, strict=True):
            for (cause, name), seen in zip(told, shown, strict=True):
                if seen:
                    found[cause].append(name)
        return found

    @cached_property
    def _told(self) -> tuple[list[tuple[str, str]], ...]:
        """Return cause and name of everything that is looked for, by kind as ``places`` are."""
        kinds: tuple[list[tuple[str, str]], ...] = ([], [], [])
        for cause, names in self._shown_by.items():
            for name in names:
                kind = 2 if name.startswith(_CHECK) else int(name.startswith(_NOT))
                kinds[kind].append((cause, name.partition(".")[2]))
        return kinds

    def _positions(
        self, position: Callable[[str], int], of_kind: Callable[[str], bool], prefix: str
    ) -> tuple[Positions, Positions]:
        flat = [
            (position(name.removeprefix(prefix)), cause)
            for cause, names in enumerate(self._shown_by.values(), self.first)
            for name in names
            if of_kind(name)
        ]
        return np.array([at for at, _ in flat], np.intp), np.array([cause for _, cause in flat], np.intp)


# Those of all signals are looked for in one pass: small NumPy calls are what costs. Modules make theirs when they are
# imported, so a batch is looked at once; who makes one later looks at it once more.
_EVERY: list[Causes] = []


class EveryCause:
    """Where each cause of some ``Causes`` is seen: asked of a view, bool[causes, n]."""

    def __init__(self, groups: Sequence[Causes]) -> None:
        self._size = sum(len(one.causes) for one in groups)
        kinds = [
            tuple(map(np.concatenate, zip(*kind, strict=True)))
            for kind in zip(*(one.places for one in groups), strict=True)
        ]
        self.places = tuple(column for kind in kinds for column in kind)
        """What ``find_causes`` takes."""

    def __len__(self) -> int:
        """Return how many causes there are."""
        return self._size

    def __call__(self, view: View) -> Bool:
        """Look for all of them in one pass."""
        found, raw = np.empty((self._size, len(view)), np.uint8), view.raw
        find_causes(raw.booleans, raw.known, raw.checks, self.places, found)
        return found.view(np.bool_)


def every_cause() -> EveryCause:
    """Return all causes that there are so far."""
    return _of_groups(len(_EVERY))


@cache
def _of_groups(groups: int) -> EveryCause:
    return EveryCause(_EVERY[:groups])


def first_of(*clues: Bool) -> list[Bool]:
    """Return the clues of one cause, the strongest first, each only where none before it is seen."""
    kept = [clues[0]]
    before = clues[0]
    for clue in clues[1:]:
        kept.append(clue > before)
        before = before | clue
    return kept


def listed(names: Iterable[str]) -> str:
    """Return names in one line that fits a detail: whole names, and how many more there are."""
    rest, line = list(dict.fromkeys(names)), ""
    while rest:
        longer = f"{line}, {rest[0]}" if line else rest[0]
        if len(longer) + len(_MORE) > _LINE:
            return f"{line} and {len(rest)} more"
        line = longer
        rest = rest[1:]
    return line


def is_true(batch: Enriched, row: int, name: str) -> bool:
    """Return whether a boolean of one row is known to be true: for details."""
    return bool(batch.signals.booleans[row, load_catalogue().boolean(name)])


def is_failed(batch: Enriched, row: int, check: str) -> bool:
    """Return whether one row failed a check: for details."""
    return bool(int(batch.environment.checks[row]) >> CHECKS.index(check) & 1)


def number_of(batch: Enriched, row: int, name: str) -> float:
    """Return a number of one row, NaN where absent: for details, which leave out what is not finite."""
    return float(batch.signals.numbers[row, load_catalogue().number(name)])


def text_of(batch: Enriched, row: int, name: str) -> bytes | None:
    """Return a text of one row, None where absent: for details."""
    texts, position = batch.signals.texts, load_catalogue().text(name)
    start, size = int(texts.start[row, position]), int(texts.length[row, position])
    return None if size < 0 else texts.blob[row][start : start + size]


def word_of(batch: Enriched, row: int, name: str, words: Sequence[str]) -> str:
    """Return which of these words a category of one row is, "" where it is none of them: for details."""
    return _by_hash(tuple(words)).get(int(batch.signals.categories[row, load_catalogue().category(name)]), "")


@lru_cache(maxsize=64)
def _by_hash(words: tuple[str, ...]) -> dict[int, str]:
    """Return words by their hash, of equal ones the first."""
    return {category_hash(word): word for word in reversed(words)}
