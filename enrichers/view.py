"""Named column access over a batch: what the smart signals see. Built once a batch and shared by all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from enrichers.text_answers import answers_of
from enrichers.whereabouts import Whereabouts
from schemas.activity_statistics import ActivityStatistics
from schemas.batches import (
    F32,
    I64,
    U8,
    U16,
    U32,
    U64,
    Bool,
    Environment,
    Event,
    History,
    Network,
    Recognition,
    Related,
    SessionSummary,
    Shared,
    Velocity,
)
from schemas.catalogue import Catalogue, category_hash, load_catalogue
from schemas.columns import plain
from schemas.environment import BROWSERS, CHECKS, DEVICES, ENGINES, GPUS, SYSTEMS
from schemas.event_time import event_time
from schemas.networks import NETWORK_BIT, NETWORK_CLASSES
from schemas.velocity import ENTITIES, KINDS, MEASURES, WINDOWS

T = TypeVar("T")
CHROMIUM = ("chrome", "edge", "opera", "samsung", "chromium_other", "headless_chrome")
_COUNTERS, _SHARED_COUNTERS = len(KINDS) * len(WINDOWS), len(ENTITIES) * len(MEASURES) * len(WINDOWS)
_CHECK_POSITION = {name: index for index, name in enumerate(CHECKS)}
_CLOSED = {"browser": BROWSERS, "system": SYSTEMS, "device": DEVICES, "gpu": GPUS, "engine": ENGINES}


class Raw(NamedTuple):
    """What compiled loops read of n events."""

    booleans: U8  # [n, B], 1 where known to be true
    known: U8  # [n, B]
    checks: U64
    numbers: F32  # [n, N]
    categories: U32  # [n, C]
    browser: U8
    system: U8
    device: U8
    gpu: U8
    engine: U8
    browser_version: F32
    timezone_offset: F32
    country: U16
    asn: U32
    classes: U16  # of networks
    statistics: F32  # [n, schemas.activity_statistics.STATISTICS] of the session so far


@dataclass(frozen=True, slots=True)
class Loop:
    """A compiled loop that says several things of a view: ``run`` sets them, uint8[rows, n]."""

    rows: int
    run: Callable[[View, U8], None]
    which: int = -1
    """Which of the loops of ``enrichers.view_loops`` does the same, if one does."""
    tables: Callable[[], tuple[NDArray[Any], ...]] = tuple
    """Gives what that one takes beside a batch."""
    classified: tuple[str, Callable[[bytes | None], int]] | None = None
    """The text that it asks about, and the function of it."""

    def __call__(self, view: View) -> Bool:
        """Return what it says, bool[rows, n]."""
        found = np.empty((self.rows, len(view)), np.uint8)
        self.run(view, found)
        return found.view(np.bool_)


class View:
    """Columns of one batch by catalogue name. It never changes the batch; a wrong name is a bug (KeyError)."""

    def __init__(self, batch: Related) -> None:
        self._signals = batch.signals
        self._rows = len(batch.environment.checks)
        self.session: SessionSummary = batch.session
        self._catalogue: Catalogue = load_catalogue()
        self.environment: Environment = batch.environment
        self.velocity: Velocity = batch.velocity
        self.network: Network = batch.network
        self.recognition: Recognition = batch.recognition
        self.history: History = batch.history
        self.shared: Shared = batch.shared
        self.event: Event = batch.event
        self.time: I64 = event_time(batch)
        self._numbers: dict[str, F32] = {}
        self._true: dict[str, Bool] = {}
        self._categories: dict[str, U32] = {}
        self._answers: dict[Callable[[View], Any], Any] = {}
        self._names: dict[tuple[str, tuple[str, ...]], Bool] = {}
        self._texts: dict[str, list[bytes | None]] = {}
        self._classified: dict[tuple[str, Callable[[bytes | None], int]], U8] = {}

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._rows

    def number(self, name: str) -> F32:
        """Return a number, float32[n], NaN where absent. Comparisons with NaN are false."""
        column = self._numbers.get(name)
        if column is None:  # asked for several times, and a column of its own is read faster
            column = np.ascontiguousarray(self._signals.numbers[:, self._catalogue.number(name)])
            column.setflags(write=False)
            self._numbers[name] = column
        return column

    def boolean(self, name: str) -> tuple[Bool, Bool]:
        """Return where a boolean is known, bool[n], and its value, bool[n], False where not known."""
        position = self._catalogue.boolean(name)
        return self._signals.known[:, position], self._signals.booleans[:, position]

    def known(self, *names: str) -> Bool:
        """Return where at least one of these booleans is known, bool[n]."""
        first, *others = (self._signals.known[:, self._catalogue.boolean(name)] for name in names)
        for other in others:
            first = first | other
        return np.ascontiguousarray(first)

    def true(self, name: str) -> Bool:
        """Return where a boolean is known to be true, bool[n]."""
        column = self._true.get(name)
        if column is None:
            column = np.ascontiguousarray(self._signals.booleans[:, self._catalogue.boolean(name)])
            column.setflags(write=False)
            self._true[name] = column
        return column

    def false(self, name: str) -> Bool:
        """Return where a boolean is known to be false, bool[n]."""
        return self._signals.known[:, self._catalogue.boolean(name)] & ~self.true(name)

    def category(self, name: str) -> U32:
        """Return a category as its hash, uint32[n], 0 where absent."""
        column = self._categories.get(name)
        if column is None:
            column = np.ascontiguousarray(self._signals.categories[:, self._catalogue.category(name)])
            column.setflags(write=False)
            self._categories[name] = column
        return column

    def is_one_of(self, name: str, *values: str) -> Bool:
        """Return where a category is one of these values, bool[n]."""
        column = self.category(name)
        first, *others = (column == np.uint32(category_hash(value)) for value in values)
        for other in others:
            first |= other
        return first

    def differs(self, one: str, other: str) -> Bool:
        """Return where two categories are both present and not equal, bool[n]."""
        a, b = self.category(one), self.category(other)
        return (a != 0) & (b != 0) & (a != b)

    def check(self, name: str) -> Bool:
        """Return where a check of the normalisation failed, bool[n]."""
        row: Bool = self._failed[_CHECK_POSITION[name]]
        return row

    @cached_property
    def _failed(self) -> Bool:
        """Return all checks, bool[64, n]: one pass costs less than a mask for each."""
        bits = np.ascontiguousarray(self.environment.checks, "<u8").view(np.uint8).reshape(-1, 8)
        return np.ascontiguousarray(np.unpackbits(bits, axis=1, bitorder="little").T).view(np.bool_)

    @cached_property
    def raw(self) -> Raw:
        """Return the columns as compiled loops take them: contiguous, and of memory that may be written."""
        signals, seen, network = self._signals, self.environment, self.network
        return Raw(
            plain(signals.booleans.view(np.uint8), np.uint8),
            plain(signals.known.view(np.uint8), np.uint8),
            plain(seen.checks, np.uint64),
            plain(signals.numbers, np.float32),
            plain(signals.categories, np.uint32),
            plain(seen.browser, np.uint8),
            plain(seen.system, np.uint8),
            plain(seen.device, np.uint8),
            plain(seen.gpu, np.uint8),
            plain(seen.engine, np.uint8),
            plain(seen.browser_version, np.float32),
            plain(seen.timezone_offset, np.float32),
            plain(network.country, np.uint16),
            plain(network.asn, np.uint32),
            plain(network.classes, np.uint16),
            plain(self.session.statistics, np.float32),
        )

    def columns(self) -> tuple[NDArray[Any], ...]:
        """Return the columns that ``enrichers.view_loops`` reads, as they are."""
        signals, seen, network, history = self._signals, self.environment, self.network, self.history
        velocity, recognition, session = self.velocity, self.recognition, self.session
        return (
            signals.booleans, signals.known, seen.checks, signals.numbers, signals.categories, seen.browser,
            seen.system, seen.device, seen.gpu, seen.engine, seen.browser_version, seen.timezone_offset,
            network.country, network.asn, network.classes, session.statistics, self.time, velocity.counts,
            velocity.first_seen_at, velocity.previous_at, self.shared.counts, recognition.denied, recognition.weight,
            recognition.replayed, network.latitude, network.longitude, history.latitude, history.longitude,
            history.place_at, session.started_at, recognition.tail, recognition.seen,
        )  # fmt: skip

    def once(self, ask: Callable[[View], T]) -> T:
        """Return what a function says of this batch. It is asked once; do not change what it gives."""
        if ask not in self._answers:
            self._answers[ask] = ask(self)
        answer: T = self._answers[ask]
        return answer

    def know(self, ask: Callable[[View], T], answer: T) -> None:
        """Be told what a function says of this batch, so that it need not be asked."""
        self._answers[ask] = answer

    def looped(self, loop: Loop) -> Sequence[Bool]:
        """Return what a loop says, one bool[n] each."""
        said: Bool = self.once(loop)
        return list(said)

    def causes(self, every: Callable[[View], Bool], first: int, count: int) -> Bool:
        """Return where some causes are seen, bool[count, n], of those that a function finds."""
        return self.once(every)[first : first + count]

    def texts(self, name: str) -> list[bytes | None]:
        """Return a text of every row as bytes; this is per-row work, so ask only where nothing else tells."""
        found = self._texts.get(name)
        if found is None:
            found = self._texts[name] = self._signals.texts.column(self._catalogue.text(name))
        return found

    def texts_at(self, name: str, rows: NDArray[np.intp]) -> list[bytes | None]:
        """Return a text of some rows as bytes, in their order: where only few are to be read."""
        texts, position = self._signals.texts, self._catalogue.text(name)
        starts, lengths = texts.start[rows, position].tolist(), texts.length[rows, position].tolist()
        return [
            None if size < 0 else texts.blob[row][at : at + size]
            for row, at, size in zip(rows.tolist(), starts, lengths, strict=True)
        ]

    def classify(self, name: str, function: Callable[[bytes | None], int]) -> U8:
        """Return what a function of a text, which always says the same, says of a column: uint8[n], below 255."""
        key = (name, function)
        found = self._classified.get(key)
        if found is None:
            found = answers_of(function, self._signals.texts, self._catalogue.text(name))
            self._classified[key] = found
        return found

    @property
    def nowhere(self) -> Bool:
        """Return that no row is meant, bool[n]."""
        return np.zeros(len(self), np.bool_)

    @cached_property
    def located(self) -> Bool:
        """Return where anything is known of the address, bool[n]."""
        return (self.network.country != 0) | (self.network.asn != 0) | (self.network.classes != 0)

    def network_class(self, *names: str) -> Bool:
        """Return where the address is in one of these classes of networks, bool[n]."""
        if len(names) == 1:
            one: Bool = self._classes[NETWORK_CLASSES.index(names[0])]
            return one
        return (self.network.classes & _class_mask(names)) != 0

    @cached_property
    def _classes(self) -> Bool:
        """Return all classes, bool[16, n]: one pass costs less than a mask for each."""
        bits = np.ascontiguousarray(self.network.classes, "<u2").view(np.uint8).reshape(-1, 2)
        table = np.ascontiguousarray(np.unpackbits(bits, axis=1, bitorder="little").T).view(np.bool_)
        table.setflags(write=False)
        return table

    @cached_property
    def where(self) -> Whereabouts:
        """Return where the address lies, held against clock, languages and the device's past."""
        language, offset = self.category("navigator.language"), self.environment.timezone_offset
        return Whereabouts(self.network, self.history, offset, language, self.time)

    def first_seen_before(self, milliseconds: int) -> Bool:
        """Return where the device was first seen longer ago than this, bool[n]."""
        return self.time - self.velocity.first_seen_at > milliseconds

    def seen_within(self, milliseconds: int) -> Bool:
        """Return where the device's previous event, if there is one, is less than this away, bool[n]."""
        previous = self.velocity.previous_at
        return (previous >= 0) & (np.abs(self.time - previous) < milliseconds)

    def copied(self, bit: int) -> Bool:
        """Return where the event is a copy for this reason, a bit of ``schemas.recognition``, bool[n]."""
        return (self.recognition.replayed & np.uint8(bit)) != 0

    @cached_property
    def activity(self) -> ActivityStatistics:
        """Return the statistics of the session's log so far, this event's entries included: velocity counted them."""
        return ActivityStatistics(np.ascontiguousarray(self.session.statistics.T))

    def browser(self, *names: str) -> Bool:
        """Return where the browser is one of these, bool[n]."""
        return self._named("browser", self.environment.browser, names)

    def system(self, *names: str) -> Bool:
        """Return where the operating system is one of these, bool[n]."""
        return self._named("system", self.environment.system, names)

    def device(self, *names: str) -> Bool:
        """Return where the class of device is one of these, bool[n]."""
        return self._named("device", self.environment.device, names)

    def gpu(self, *names: str) -> Bool:
        """Return where the graphics family is one of these, bool[n]."""
        return self._named("gpu", self.environment.gpu, names)

    def engine(self, *names: str) -> Bool:
        """Return where the engine, by what the browser can do, is one of these, bool[n]."""
        return self._named("engine", self.environment.engine, names)

    def _named(self, field: str, codes: U8, names: tuple[str, ...]) -> Bool:
        found = self._names.get((field, names))
        if found is None:  # several signals ask for the same
            found = self._names[field, names] = members(field, names)[codes]
            found.setflags(write=False)
        return found

    @cached_property
    def chromium(self) -> Bool:
        """Return where the browser says that it is built on Chromium, bool[n]."""
        return self.browser(*CHROMIUM)

    @cached_property
    def desktop(self) -> Bool:
        """Return where the device is a desktop, bool[n]."""
        return self.device("desktop")


@cache
def _class_mask(names: tuple[str, ...]) -> np.uint16:
    return np.uint16(sum(NETWORK_BIT[name] for name in names))


@cache
def members(field: str, names: tuple[str, ...]) -> Bool:
    """Return which codes of a field of the environment have one of these names, bool[256]."""
    table = np.zeros(256, np.bool_)
    table[[_CLOSED[field].index(name) for name in names]] = True
    return table
