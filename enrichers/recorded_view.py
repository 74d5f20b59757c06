"""What ``View`` shows of a batch, as columns that only write down what signals do with them."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import or_
from types import SimpleNamespace
from typing import Any, Final, TypeVar, cast

import numpy as np

from enrichers.country_zones import ELSEWHERE, NEIGHBOUR
from enrichers.view import CHROMIUM, Loop, members
from enrichers.where_loops import FOUND
from schemas.activity_statistics import STATISTICS
from schemas.batches import Velocity
from schemas.catalogue import category_hash, load_catalogue
from schemas.column_program import CODE, FLAG, HASH, NUMBER, Column, Program
from schemas.environment import CHECKS
from schemas.networks import NETWORK_CLASSES
from schemas.recognition import REPUTED
from schemas.velocity import ENTITIES, KINDS, MEASURES, WINDOWS

T = TypeVar("T")
Classify = Callable[[bytes | None], int]
# Stretches of columns by kind, in the order that they stand in; those of a fixed width with what is in them.
FLOATS: Final = ("number", "statistic", "shown", "count", "shared", "denied", "weight", "speed")
HASHES: Final = ("category",)
CODES: Final = (
    "true", "false", "known", "check", "class", "located", "code", "older", "sooner", "copied", "cause", "where",
    "classified", "loop",
)  # fmt: skip
FIXED: Final = {
    "shown": ("browser_version", "timezone_offset"), "speed": ("kmh",), "located": ("located",),
    "code": ("browser", "system", "device", "gpu", "engine"), "copied": ("replayed",), "where": FOUND,
}  # fmt: skip
_CODED: Final = {*FIXED["code"], "replayed", "clock"}


class _Grid:
    """A column of columns, [n, ...]: which of them are taken is written down."""

    def __init__(self, ask: Callable[[int], Column], *shape: int) -> None:
        self._ask, self._shape = ask, shape

    def __getitem__(self, at: tuple[Any, ...]) -> Column:
        rows, *places = at
        if rows != slice(None) or len(places) != len(self._shape):
            raise TypeError("whole columns are taken, one at a time, which is all that programs of columns know")
        return self._ask(int(np.ravel_multi_index(places, self._shape)))


class RecordedView:
    """Stands in for ``View``. What is asked for is numbered in the order in which it is, by stretch."""

    def __init__(self) -> None:
        self.program = Program()
        self.asked: dict[str, dict[Any, int]] = {
            stretch: {name: at for at, name in enumerate(FIXED.get(stretch, ()))}
            for stretch in (*FLOATS, *HASHES, *CODES)
        }
        self.loops: dict[Loop, int] = {}
        self._answers: dict[Callable[..., Any], Any] = {}
        self.environment = SimpleNamespace(**{name: self._ask("code", name) for name in FIXED["code"]})
        for name in FIXED["shown"]:
            setattr(self.environment, name, self._ask("shown", name))
        self.activity = SimpleNamespace(column=lambda name: self._ask("statistic", STATISTICS.index(name)))
        self.located = self._ask("located", "located")
        self.nowhere = self.located & ~self.located
        self.where = self._where()
        counts = self._grid("count", len(KINDS), len(WINDOWS))
        self.velocity = Velocity(cast(Any, counts), cast(Any, None), cast(Any, None))
        self.shared = SimpleNamespace(counts=self._grid("shared", len(ENTITIES), len(MEASURES), len(WINDOWS)))
        self.recognition = SimpleNamespace(
            denied=self._grid("denied", len(REPUTED)), weight=self._grid("weight", len(REPUTED))
        )

    def _ask(self, stretch: str, name: Any) -> Column:
        kind = NUMBER if stretch in FLOATS else HASH if stretch in HASHES else FLAG
        if name in _CODED or stretch == "classified":
            kind = CODE
        found = self.asked[stretch]
        return self.program.input(kind, stretch, found.setdefault(name, len(found)))

    def _grid(self, stretch: str, *shape: int) -> _Grid:
        return _Grid(lambda at: self._ask(stretch, at), *shape)

    def _where(self) -> SimpleNamespace:
        found = {name: self._ask("where", name) for name in FOUND}
        clock = found["clock"]
        differs = (clock == NEIGHBOUR) | (clock == ELSEWHERE)
        return SimpleNamespace(**found, clock_differs=differs, kmh=self._ask("speed", "kmh"))

    def number(self, name: str) -> Column:
        """As ``View``, and so are all that follow."""
        return self._ask("number", load_catalogue().number(name))

    def known(self, *names: str) -> Column:
        """Where at least one of these booleans is known."""
        return reduce(or_, (self._ask("known", load_catalogue().boolean(name)) for name in names))

    def true(self, name: str) -> Column:
        """Where a boolean is known to be true."""
        return self._ask("true", load_catalogue().boolean(name))

    def false(self, name: str) -> Column:
        """Where a boolean is known to be false."""
        return self._ask("false", load_catalogue().boolean(name))

    def category(self, name: str) -> Column:
        """A category as its hash."""
        return self._ask("category", load_catalogue().category(name))

    def is_one_of(self, name: str, *values: str) -> Column:
        """Where a category is one of these values."""
        column = self.category(name)
        return reduce(or_, (column == category_hash(value) for value in values))

    def differs(self, one: str, other: str) -> Column:
        """Where two categories are both present and not equal."""
        a, b = self.category(one), self.category(other)
        return (a != 0) & (b != 0) & (a != b)

    def check(self, name: str) -> Column:
        """Where a check of the normalisation failed."""
        return self._ask("check", CHECKS.index(name))

    def causes(self, _: Any, first: int, count: int) -> list[Column]:
        """Where each of some causes is seen."""
        return [self.program.input(FLAG, "cause", first + at) for at in range(count)]

    def once(self, ask: Callable[[Any], T]) -> T:
        """What a function says of this batch."""
        if ask not in self._answers:
            self._answers[ask] = ask(self)
        answer: T = self._answers[ask]
        return answer

    def looped(self, loop: Loop) -> list[Column]:
        """What a loop says."""
        first = self.loops.setdefault(loop, sum(other.rows for other in self.loops))
        return [self.program.input(FLAG, "loop", first + at) for at in range(loop.rows)]

    def classify(self, name: str, function: Classify) -> Column:
        """What a function says of a text: a code below 64."""
        return self._ask("classified", (name, function))

    def network_class(self, *names: str) -> Column:
        """Where the address is in one of these classes of networks."""
        return reduce(or_, (self._ask("class", NETWORK_CLASSES.index(name)) for name in names))

    def first_seen_before(self, milliseconds: int) -> Column:
        """Where the device was first seen longer ago than this."""
        return self._ask("older", milliseconds)

    def seen_within(self, milliseconds: int) -> Column:
        """Where the device's previous event, if there is one, is less than this away."""
        return self._ask("sooner", milliseconds)

    def copied(self, bit: int) -> Column:
        """Where the event is a copy for this reason."""
        return self.program.among(self._ask("copied", "replayed"), [code for code in range(64) if code & bit])

    def _named(self, field: str, names: tuple[str, ...]) -> Column:
        codes = np.flatnonzero(members(field, names)).tolist()
        return self.program.among(getattr(self.environment, field), codes)

    def browser(self, *names: str) -> Column:
        """Where the browser is one of these."""
        return self._named("browser", names)

    def system(self, *names: str) -> Column:
        """Where the operating system is one of these."""
        return self._named("system", names)

    def device(self, *names: str) -> Column:
        """Where the class of device is one of these."""
        return self._named("device", names)

    def gpu(self, *names: str) -> Column:
        """Where the graphics family is one of these."""
        return self._named("gpu", names)

    def engine(self, *names: str) -> Column:
        """Where the engine, by what the browser can do, is one of these."""
        return self._named("engine", names)

    @property
    def chromium(self) -> Column:
        """Where the browser says that it is built on Chromium."""
        return self.browser(*CHROMIUM)

    @property
    def desktop(self) -> Column:
        """Where the device is a desktop."""
        return self.device("desktop")
