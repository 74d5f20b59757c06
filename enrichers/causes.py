"""Causes of clues: traces and failed checks that one thing leaves in several places, folded so that it counts once.

What several detectors see of one cause is no independent evidence: two clues for it would be joined as if it had
happened twice. So each cause is one row here, however many signals and checks show it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from enrichers.view import View
from schemas.batches import U8, Bool, Enriched
from schemas.catalogue import category_hash, load_catalogue
from schemas.environment import CHECKS

_CHECK, _NOT = "check.", "!"
Positions = NDArray[np.intp]


class Causes:
    """Causes by name, each with what shows it: booleans ("automation.cdc_globals"), booleans that are known to be
    false ("!plugin.consistent") and checks of the normalisation ("check.worker_contradicts_page").
    """

    def __init__(self, shown_by: Mapping[str, Sequence[str]]) -> None:
        self._shown_by = {cause: tuple(names) for cause, names in shown_by.items()}

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return the names of all signals and checks, each once."""
        return tuple(dict.fromkeys(name.removeprefix(_NOT) for names in self._shown_by.values() for name in names))

    def seen(self, view: View) -> dict[str, Bool]:
        """Return where each cause is seen, bool[n] by name."""
        true, false, checks = self._columns
        blocks = [view.trues(true)]
        if len(false):
            blocks.append(view.falses(false))
        if len(checks):
            blocks.append(view.failed(checks))
        # Few are seen: they alone are carried over to their causes.
        shown, row = np.nonzero(blocks[0] if len(blocks) == 1 else np.concatenate(blocks))
        found = np.zeros((len(self._shown_by), len(view)), np.bool_)
        found[self._cause_of[shown], row] = True
        return dict(zip(self._shown_by, found, strict=True))

    def names_on(self, batch: Enriched, row: int, cause: str) -> list[str]:
        """Return the names of what shows a cause on one row, without their family: for details."""
        return [
            name.removeprefix(_NOT).partition(".")[2] for name in self._shown_by[cause] if _is_shown(batch, row, name)
        ]

    @cached_property
    def _kinds(self) -> list[list[tuple[int, str]]]:
        """Return the number of the cause and the name of all that is true, known to be false, and a check."""
        flat = [(cause, name) for cause, names in enumerate(self._shown_by.values()) for name in names]
        return [
            [pair for pair in flat if pair[1][0] != _NOT and not pair[1].startswith(_CHECK)],
            [(cause, name.removeprefix(_NOT)) for cause, name in flat if name[0] == _NOT],
            [(cause, name.removeprefix(_CHECK)) for cause, name in flat if name.startswith(_CHECK)],
        ]

    @cached_property
    def _columns(self) -> tuple[Positions, Positions, Positions]:
        catalogue = load_catalogue()
        true, false, checks = self._kinds
        return (
            np.array([catalogue.boolean(name) for _, name in true], np.intp),
            np.array([catalogue.boolean(name) for _, name in false], np.intp),
            np.array([CHECKS.index(name) for _, name in checks], np.intp),
        )

    @cached_property
    def _cause_of(self) -> Positions:
        return np.array([cause for kind in self._kinds for cause, _ in kind], np.intp)


class Counted:
    """A group of booleans of which it matters how many are true."""

    def __init__(self, *names: str) -> None:
        self.inputs = names

    def count(self, view: View) -> U8:
        """Return how many are known to be true, uint8[n]."""
        found: U8 = view.trues(self._columns).sum(axis=0, dtype=np.uint8)
        return found

    @cached_property
    def _columns(self) -> Positions:
        return np.array([load_catalogue().boolean(name) for name in self.inputs], np.intp)


def first_of(*clues: Bool) -> list[Bool]:
    """Return the clues of one cause, the strongest first, each only where none before it is seen."""
    kept = [clues[0]]
    before = clues[0]
    for clue in clues[1:]:
        kept.append(clue & ~before)
        before = before | clue
    return kept


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
    shown = int(batch.signals.categories[row, load_catalogue().category(name)])
    return next((word for word in words if category_hash(word) == shown), "")


def _is_shown(batch: Enriched, row: int, name: str) -> bool:
    if name.startswith(_CHECK):
        return is_failed(batch, row, name.removeprefix(_CHECK))
    if not name.startswith(_NOT):
        return is_true(batch, row, name)
    position = load_catalogue().boolean(name.removeprefix(_NOT))
    return bool(batch.signals.known[row, position] and not batch.signals.booleans[row, position])
