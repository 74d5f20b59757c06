"""What the texts of a browser say, looked up once for all five: events have far fewer of them than rows."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Final, NamedTuple

import numpy as np

from flows.stages.normalize import kernels
from flows.stages.normalize.columns import TEXTS
from flows.stages.normalize.languages import languages_row
from flows.stages.normalize.renderers import graphics_row, maker_of_vendor, renderer_model
from flows.stages.normalize.time_zones import zone_row
from flows.stages.normalize.user_agent import client_row
from flows.stages.text_memory import Asked, TextTable, Unknown, year_of
from schemas.batches import I32, I64, U8, Texts
from schemas.catalogue import Catalogue

# In the order in which ``kernels.derive`` takes them.
_NAMES: Final = (
    "navigator.user_agent", "webgl.unmasked_renderer", "navigator.languages", "webgl.unmasked_vendor", "intl.timezone",
)  # fmt: skip
_RENDERER, _ZONE = 1, 4
_MOST: Final = 8_192  # texts that are remembered
Row = Callable[[bytes | None], bytes]
_ROWS: Final[tuple[Row, ...]] = (
    client_row, graphics_row, languages_row, lambda vendor: bytes((maker_of_vendor(vendor),)),
)  # fmt: skip


class Said(NamedTuple):
    """What the texts of n events say, as ``kernels.derive`` takes it."""

    rows: U8  # ``kernels.SAID_BYTES`` of each number
    numbers: I32  # [n, 5]
    model: tuple[str, ...]


class _Memory:
    """What was said by texts, by their numbers. It only grows: another one takes its place when it is full."""

    def __init__(self, asked: list[Asked], most: int) -> None:
        self.texts = TextTable(asked, most)
        self.rows = np.zeros(self.texts.most * kernels.SAID_BYTES, np.uint8)
        self.models = [""] * self.texts.most
        for place in range(len(_NAMES)):
            self._put(place, place, None, 0)

    def number(self, one: Unknown, time: np.int64) -> int:
        """Read a text; return the number that it has from now on."""
        number = len(self.texts)  # it is found only when all of it is there
        self._put(number, one.place, one.text, year_of(time) if one.place == _ZONE else 0)
        return self.texts.add(one.text, one.sort)

    def _put(self, number: int, place: int, text: bytes | None, year: int) -> None:
        row = zone_row(text, year) if place == _ZONE else _ROWS[place](text)
        first = number * kernels.SAID_BYTES
        self.rows[first : first + len(row)] = np.frombuffer(row, np.uint8)
        if place == _RENDERER:
            self.models[number] = renderer_model(text)


class Reader:
    """Reads the texts that the checks know, wherever a catalogue has them."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._asked = [
            Asked(catalogue.text(name), TEXTS[name], kind, of_year=kind == _ZONE) for kind, name in enumerate(_NAMES)
        ]
        self._memory, self._lock = _Memory(self._asked, _MOST), Lock()

    def read(self, texts: Texts, times: I64) -> Said:
        """Return what texts say; ``times``: of the events, int64[n], in ms."""
        memory = self._memory
        numbers, missing = memory.texts.find(texts, times)
        if missing:
            memory = self._learn(texts, times, memory, numbers)
        models = memory.models
        return Said(memory.rows, numbers, tuple([models[number] for number in numbers[:, _RENDERER].tolist()]))

    def _learn(self, texts: Texts, times: I64, memory: _Memory, numbers: I32) -> _Memory:
        """Number the texts that are new; where too many are remembered, all of them in a memory that is begun anew."""
        with self._lock:
            while not _is_numbered(memory, texts, times, numbers):
                most = max(_MOST, 2 * len(self._asked) * (len(times) + 1))
                memory = self._memory = _Memory(self._asked, most)
                numbers[:] = memory.texts.find(texts, times)[0]
        return memory


def _is_numbered(memory: _Memory, texts: Texts, times: I64, numbers: I32) -> bool:
    """Give numbers to the texts that have none; return whether there were enough of them."""
    new: dict[tuple[int, bytes], int] = {}
    for one in memory.texts.unknown(texts, numbers, times):
        number = new.get((one.sort, one.text))
        if number is None:
            if memory.texts.is_full:
                return False
            number = new[one.sort, one.text] = memory.number(one, times[one.row])
        numbers[one.row, one.place] = number
    return True
