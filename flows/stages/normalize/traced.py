"""What ``Seen`` shows of a batch, as columns that only write down what checks do (see ``schemas.column_program``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from operator import or_
from types import SimpleNamespace
from typing import Any, Final

import numpy as np

from flows.stages.normalize import copies, groups, rules
from flows.stages.normalize.kernels import FIXED_CODES, FIXED_HASHES, FIXED_NUMBERS
from flows.stages.normalize.lexicon import MISFITS, WORDS
from schemas.batches import Bool
from schemas.catalogue import Catalogue
from schemas.column_program import CODE, FLAG, HASH, NUMBER, Column, Program
from schemas.environment import BROWSERS, DEVICES, ENGINES, GPU_DRIVERS, GPUS, SYSTEMS

_CODED: Final = ("browser", "engine", "gpu", "driver", "maker", "system", "device", "found")  # the others are flags


class Traced:
    """Stands in for ``Seen``. Signals that are asked for are gathered in the order in which they are."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.program = Program()
        self._catalogue = catalogue
        self.gathered: dict[str, dict[str, int]] = {"numbers": {}, "true": {}, "false": {}, "categories": {}}
        fixed = {
            name: self._fixed(CODE if name in _CODED else FLAG, "codes", FIXED_CODES, name) for name in FIXED_CODES
        }
        numbers = {name: self._fixed(NUMBER, "numbers", FIXED_NUMBERS, name) for name in FIXED_NUMBERS}
        hashes = {name: self._fixed(HASH, "hashes", FIXED_HASHES, name) for name in FIXED_HASHES}
        self.browser, self.engine, self.gpu, self.gpu_driver = (
            fixed[name] for name in ("browser", "engine", "gpu", "driver")
        )
        self.system, self.device, self.maker = fixed["system"], fixed["device"], fixed["maker"]
        self.nulled, self.hinted_version = fixed["nulled"], numbers["hint"]
        self.client = {**numbers, **hashes, "shown": fixed["shown"]}
        self.graphics = {name: fixed[name] for name in ("angle", "similar", "masked_apple", "shader_5", "swiftshader")}
        self.languages = {"first": hashes["first_language"], "category": hashes["languages"]}
        self.zone = {"shown": fixed["zone_shown"], "known": fixed["zone_known"], "category": hashes["zone"]}
        self.evidence = SimpleNamespace(
            engine=fixed["found"], mixed=fixed["mixed"], foreign_words=fixed["foreign"], newer=fixed["newer"],
            older=fixed["older"],
        )  # fmt: skip
        self.offsets_missed = [fixed[name] for name in ("missed_now", "missed_january", "missed_july")]
        self.counts = {name: self.program.input(CODE, "groups", at) for at, name in enumerate(groups.GROUPS)}
        self._words = {name: self.program.input(CODE, "words", at) for at, name in enumerate(WORDS)}
        self.differing, self.impossible = self._differing(), self._impossible()

    def _fixed(self, kind: str, stretch: str, names: tuple[str, ...], name: str) -> Column:
        return self.program.input(kind, f"fixed {stretch}", names.index(name))

    def _gathered(self, kind: str, stretch: str, name: str) -> Column:
        found = self.gathered[stretch]
        return self.program.input(kind, stretch, found.setdefault(name, len(found)))

    def number(self, name: str) -> Column:
        """As ``Seen``, and so are all that follow."""
        return self._gathered(NUMBER, "numbers", name)

    def true(self, name: str) -> Column:
        """Where a boolean is known to be true."""
        return self._gathered(FLAG, "true", name)

    def false(self, name: str) -> Column:
        """Where a boolean is known to be false."""
        return self._gathered(FLAG, "false", name)

    def category(self, name: str) -> Column:
        """A category as its hash."""
        return self._gathered(HASH, "categories", name)

    def word(self, name: str, *values: str) -> Column:
        """Where a category is one of these values of the lexicon."""
        return self.program.among(self._words[name], [WORDS[name].index(value) + 1 for value in values])

    def any_word(self, name: str) -> Column:
        """Where a category is any value of the lexicon."""
        return self._words[name] != 0

    def misfits(self, name: str, codes: Column) -> Column:
        """Where a category does not go with the code of a closed set."""
        return self.program.together(MISFITS[name], self._words[name], codes)

    def together(self, table: Bool, one: Column, other: Column) -> Column:
        """What a table of two codes says."""
        return self.program.together(table, one, other)

    def browser_in(self, *names: str) -> Column:
        """Where the user agent names one of these browsers."""
        return self.program.among(self.browser, [*map(BROWSERS.index, names)])

    def system_in(self, *names: str) -> Column:
        """Where the system is one of these."""
        return self.program.among(self.system, [*map(SYSTEMS.index, names)])

    def device_in(self, *names: str) -> Column:
        """Where the device is one of these."""
        return self.program.among(self.device, [*map(DEVICES.index, names)])

    def engine_in(self, *names: str) -> Column:
        """Where the user agent names a browser of one of these engines."""
        return self.program.among(self.engine, [*map(ENGINES.index, names)])

    def gpu_in(self, *names: str) -> Column:
        """Where the renderer names one of these makers."""
        return self.program.among(self.gpu, [*map(GPUS.index, names)])

    def driver_in(self, *names: str) -> Column:
        """Where the renderer names one of these drivers."""
        return self.program.among(self.gpu_driver, [*map(GPU_DRIVERS.index, names)])

    def _differing(self) -> dict[str, Column]:
        """As ``copies.Copies.compare``."""
        found = _by_check(copies.CATEGORIES, self._other_category)
        for name, column in _by_check(copies.NUMBERS, self._other_number).items():
            found[name] = found[name] | column if name in found else column
        return found

    def _other_category(self, pair: copies.Pair) -> Column:
        here, there = map(self.category, pair)
        return (here != there) & (here != 0) & (there != 0)

    def _other_number(self, pair: copies.Pair) -> Column:
        one, other = map(self.number, pair)
        return _apart(one - other, copies.CLOSE)

    def _impossible(self) -> dict[str, Column]:
        """As ``rules.Rules.broken``."""
        same = [
            (self.true(one) & self.true(other)) | (self.false(one) & self.false(other))
            for one, other in rules.ALTERNATIVES
        ]
        without = [self.true(narrow) & self.false(wide) for narrow, wide in rules.IMPLICATIONS]
        altered = [
            _apart(self.number(name) - float(np.float32(value)), rules.CLOSE) for name, value in rules.DEFAULTS.items()
        ]
        return {
            "media_queries_contradict_each_other": _any([*same, *without]),
            "audio_impossible": _any(altered),
        }


def _apart(difference: Any, close: float) -> Column:
    found: Column = np.abs(difference) > close
    return found


def _any(columns: Iterable[Column]) -> Column:
    return reduce(or_, columns)


def _by_check(
    pairs: Mapping[str, tuple[copies.Pair, ...]], differs: Callable[[copies.Pair], Column]
) -> dict[str, Column]:
    return {name: _any(map(differs, of_check)) for name, of_check in pairs.items()}
