"""What ``View`` shows of a batch, as columns that only write down what signals do with them.

Signals that say ``recorded`` observe it once, when the stage is made; what they do becomes one program for all of them
(``schemas.column_program``). Whatever they ask for is gathered for each batch by one loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from operator import or_
from types import SimpleNamespace
from typing import Any, Final, NamedTuple, TypeVar, cast

import numpy as np

from enrichers.causes import every_cause
from enrichers.compiled import gather
from enrichers.view import CHROMIUM, View, members
from schemas.activity_statistics import STATISTICS
from schemas.batches import U8
from schemas.catalogue import category_hash, load_catalogue
from schemas.column_program import CODE, FLAG, HASH, NUMBER, Column, Program, Steps
from schemas.column_steps import run
from schemas.environment import CHECKS
from schemas.networks import NETWORK_CLASSES

T = TypeVar("T")
_CODED: Final = ("browser", "system", "device", "gpu", "engine")
_FLOATS, _CODES = ("number", "statistic", "version"), ("true", "false", "known", "check", "class", "code", "classified")
_CAUSE: Final = "cause"
_KINDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(_FLOATS, NUMBER), "category": HASH, **dict.fromkeys(_CODES, FLAG), "code": CODE, "classified": CODE,
    _CAUSE: FLAG,
}  # fmt: skip
Classify = Callable[[bytes | None], int]


class RecordedView:
    """Stands in for ``View``. What is asked for is numbered in the order in which it is, by stretch."""

    def __init__(self) -> None:
        self.program = Program()
        self.asked: dict[str, dict[Any, int]] = {stretch: {} for stretch in _KINDS}
        self._answers: dict[Callable[..., Any], Any] = {}
        self.environment = SimpleNamespace(
            **{name: self._ask("code", name) for name in _CODED}, browser_version=self._ask("version", "browser")
        )
        self.activity = SimpleNamespace(column=lambda name: self._ask("statistic", STATISTICS.index(name)))

    def _ask(self, stretch: str, name: Any) -> Column:
        found = self.asked[stretch]
        return self.program.input(_KINDS[stretch], stretch, found.setdefault(name, len(found)))

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
        return [self._ask(_CAUSE, first + at) for at in range(count)]

    def once(self, ask: Callable[[Any], T]) -> T:
        """What a function says of this batch."""
        if ask not in self._answers:
            self._answers[ask] = ask(self)
        answer: T = self._answers[ask]
        return answer

    def classify(self, name: str, function: Classify) -> Column:
        """What a function says of a text: a code below 64."""
        return self._ask("classified", (name, function))

    def network_class(self, *names: str) -> Column:
        """Where the address is in one of these classes of networks."""
        return reduce(or_, (self._ask("class", NETWORK_CLASSES.index(name)) for name in names))

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


class _Width(NamedTuple):
    floats: int
    hashes: int
    codes: int


class Recording:
    """A program over views, whose results are bool columns. It holds no state between batches."""

    def __init__(self, record: Callable[[View], Iterable[Any]]) -> None:
        """``record`` is given a view of no batch, and returns the results; None: somebody else puts it there."""
        view = RecordedView()
        results = [*record(cast(View, view))]
        asked = view.asked
        starts, width = _stretches(asked)
        self._steps: Steps = view.program.compiled(starts, width, results, as_bits=False)
        self._places = tuple(np.array([*asked[name]], np.int64) for name in ("number", "statistic", "category"))
        self._flags = tuple(np.array([*asked[name]], np.int64) for name in _CODES[:5])
        self._coded: tuple[str, ...] = tuple(asked["code"])
        self._classified: tuple[tuple[str, Classify], ...] = tuple(asked["classified"])
        self._causes = np.array([*asked[_CAUSE]], np.int64)
        self._starts = starts
        self._results = len(results)

    def __call__(self, view: View) -> U8:
        """Return the results, uint8[results, n], 0 and 1."""
        rows = len(view)
        floats, hashes, codes = self._steps.width
        columns = (
            np.empty((floats, rows), np.float32),
            np.empty((hashes, rows), np.uint32),
            np.empty((codes + self._results, rows), np.uint8),
        )
        columns[0][self._starts["version"]] = view.environment.browser_version
        for at, name in enumerate(self._coded, self._starts["code"]):
            columns[2][at] = getattr(view.environment, name)
        for at, question in enumerate(self._classified, self._starts["classified"]):
            columns[2][at] = view.classify(*question)
        gather(view.raw, self._places, self._flags, (every_cause(view).view(np.uint8), self._causes), columns)
        nothing = columns[2][0, :0].view(np.uint64)
        run(self._steps.steps, self._steps.constants, self._steps.tables, columns, nothing)
        return columns[2][codes:]


def _stretches(asked: Mapping[str, Mapping[Any, int]]) -> tuple[dict[str, int], _Width]:
    """Return where each stretch begins among the columns of its kind, and how many of each kind are given."""
    starts, ends = {"category": 0}, [0, 0]
    for kind, stretches in enumerate((_FLOATS, (*_CODES[:5], _CAUSE, *_CODES[5:]))):
        for stretch in stretches:
            starts[stretch] = ends[kind]
            ends[kind] += len(asked[stretch])
    return starts, _Width(ends[0], len(asked["category"]), ends[1])
