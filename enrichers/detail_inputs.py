"""What signals' details look at: of two true rows that show the same of it and the same verdict, they say the same.

So what was said of one is found for the other by a few words, and no dictionary is made. A test changes everything else
of a batch and compares. Signals that are not here are asked each time: they look at counts that differ for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np

from enrichers.bot import CAUSES as TRACES
from enrichers.bot import HIDING
from enrichers.causes import Causes
from enrichers.consistency import ALL, FUNCTIONS
from enrichers.noise import BRAVE
from enrichers.present_loops import BITS, NUMBERS
from enrichers.text_answers import TextAnswers
from schemas.batches import Enriched
from schemas.catalogue import load_catalogue
from schemas.columns import I64, U64, plain
from schemas.smart_signals import SMART_SIGNALS

_TEXTS: Final = 2  # their numbers stand in one word


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the details of a signal look at on a row, beside its verdict."""

    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    booleans: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()  # _TEXTS at most
    causes: tuple[Causes, ...] = ()
    network: bool = False  # country, autonomous system and classes
    environment: bool = False  # browser, system, engine, graphics and clock


_SIZES = ("screen.width", "screen.height", "screen.inner_width", "screen.inner_height")
_PLATFORMS = ("navigator.platform", "worker.platform", "frame.platform", "client_hints.platform")
DETAIL_INPUTS: Final[Mapping[str, Inputs]] = {
    "bot": Inputs(
        categories=("botd.kind",), booleans=HIDING, texts=("navigator.user_agent",), causes=(TRACES,), network=True
    ),
    "cdp_automation": Inputs(categories=("botd.kind",), causes=(TRACES,)),
    "headless": Inputs(numbers=_SIZES),
    "tampering": Inputs(causes=(ALL, FUNCTIONS)),
    "anti_detect_browser": Inputs(causes=(ALL, FUNCTIONS)),
    "canvas_spoofing": Inputs(numbers=("canvas.pixel_differences", "canvas.readback_errors"), causes=(FUNCTIONS,)),
    "navigator_mismatch": Inputs(categories=_PLATFORMS, causes=(ALL,), environment=True),
    "webgl_mismatch": Inputs(
        categories=("worker.webgl_vendor",),
        texts=("webgl.unmasked_renderer", "webgl.unmasked_vendor"),
        environment=True,
    ),
    "virtual_machine": Inputs(texts=("webgl.unmasked_renderer",)),
    "privacy_settings": Inputs(numbers=("timing.resolution", *_SIZES[2:]), booleans=BRAVE, network=True),
    "incognito": Inputs(numbers=("storage.quota", "storage.heap_limit"), environment=True),
    "vpn": Inputs(network=True, environment=True),
    "tor": Inputs(network=True),
    "datacenter_ip": Inputs(network=True),
    "geo_timezone_mismatch": Inputs(categories=("navigator.language",), network=True, environment=True),
    "replayed": Inputs(),
}


@cache
def plan() -> tuple[Any, ...]:
    """Return the inputs as ``present_loops.detail_words`` wants them."""
    inputs = [DETAIL_INPUTS.get(name) for name in SMART_SIGNALS]
    catalogue = load_catalogue()
    kinds = [(one is not None, bool(one and one.network), bool(one and one.environment)) for one in inputs]
    checks = [_checks(one.causes) if one else 0 for one in inputs]
    numbers = [_four([catalogue.number(name) for name in one.numbers] if one else []) for one in inputs]
    categories = [_four([catalogue.category(name) for name in one.categories] if one else []) for one in inputs]
    bits = [_bits(one) if one else [] for one in inputs]
    first = np.cumsum([0, *map(len, bits)])
    return (
        np.array(kinds, np.uint8),
        np.array(checks, np.uint64),
        np.array(numbers, np.int64),
        np.array(categories, np.int64),
        first,
        np.array([place for one in bits for place in one], np.int64),
    )


@cache
def _text_columns() -> I64:
    """Return the columns of texts that the details of each signal look at, int64[S, 2], -1 where fewer."""
    found = np.full((len(SMART_SIGNALS), _TEXTS), -1, np.int64)
    for signal, name in enumerate(SMART_SIGNALS):
        for place, text in enumerate(DETAIL_INPUTS.get(name, Inputs()).texts):
            found[signal, place] = load_catalogue().text(text)
    return found


class TextNumbers:
    """Texts by number, each text another one: what details look at is kept in words. Not for several threads."""

    def __init__(self) -> None:
        self._numbers: dict[bytes | None, int] = {}
        self._answers = TextAnswers(self._number)

    def __len__(self) -> int:
        return len(self._numbers)

    def _number(self, text: bytes | None) -> int:
        return self._numbers.setdefault(text, len(self._numbers) + 1)

    def clear(self) -> None:
        """Forget all texts: a number then means another text."""
        self._numbers.clear()
        self._answers.clear()

    def put_words(self, batch: Enriched, asked: I64, words: U64) -> None:
        """Set the last of ``words``, uint64[m, W], to the texts' numbers where details look at any; ``asked``: of whom.

        A place asked for is row * S + signal.
        """
        self._answers.put_words(batch.signals.texts, asked, _text_columns(), words)


@cache
def _widths() -> tuple[int, ...]:
    numbers, booleans, categories, _ = load_catalogue().counts()
    return numbers, categories, booleans, booleans


def columns_of(batch: Enriched) -> tuple[Any, ...] | None:
    """Return the columns that ``present_loops.detail_words`` looks at, None of a batch that let go of its signals."""
    signals, environment, network = batch.signals, batch.environment, batch.network
    shown = signals.numbers, signals.categories, signals.booleans, signals.known
    if tuple([one.shape[1] for one in shown]) != _widths():
        return None
    return (
        plain(signals.numbers, np.float32),
        plain(signals.categories, np.uint32),
        plain(signals.booleans, np.bool_),
        plain(signals.known, np.bool_),
        plain(environment.checks, np.uint64),
        plain(environment.browser, np.uint8),
        plain(environment.system, np.uint8),
        plain(environment.engine, np.uint8),
        plain(environment.gpu, np.uint8),
        plain(environment.timezone_offset, np.float32),
        plain(network.country, np.uint16),
        plain(network.asn, np.uint32),
        plain(network.classes, np.uint16),
    )


def _four(places: Sequence[int]) -> list[int]:
    if len(places) > NUMBERS:
        raise ValueError(f"details look at {len(places)} columns of a kind; there are words for {NUMBERS}")
    return [*places, *[-1] * (NUMBERS - len(places))]


def _checks(causes: Sequence[Causes]) -> int:
    return sum(1 << at for at in {int(at) for one in causes for at in one.places[2][0]})


def _bits(inputs: Inputs) -> list[int]:
    """Return columns of booleans, and of those that matter where they are known to be false, -1 - column."""
    catalogue = load_catalogue()
    found = [catalogue.boolean(name) for name in inputs.booleans]
    for one in inputs.causes:
        found += [*one.places[0][0].tolist(), *(-1 - at for at in one.places[1][0].tolist())]
    found = list(dict.fromkeys(found))
    if len(found) > BITS:
        raise ValueError(f"details look at {len(found)} booleans; there is a word for {BITS}")
    return found
