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

from enrichers.bot import _CAUSES as TRACES
from enrichers.bot import _HIDING as HIDING
from enrichers.causes import Causes, text_of
from enrichers.consistency import ALL, FUNCTIONS
from enrichers.noise import BRAVE
from enrichers.present_loops import BITS, NUMBERS
from schemas.batches import Enriched
from schemas.catalogue import load_catalogue
from schemas.columns import plain
from schemas.smart_signals import SMART_SIGNALS


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the details of a signal look at on a row, beside its verdict."""

    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    booleans: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()  # two at most
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


TEXTS: Final = {
    column: DETAIL_INPUTS[name].texts
    for column, name in enumerate(SMART_SIGNALS)
    if name in DETAIL_INPUTS and DETAIL_INPUTS[name].texts
}
"""Texts that details look at, by the signal's column."""


class TextNumbers(dict[bytes | None, int]):
    """Texts by number, each text another one: what details look at is kept in words."""

    def __missing__(self, text: bytes | None) -> int:
        number = self[text] = len(self) + 1
        return number

    def word(self, batch: Enriched, row: int, names: Sequence[str]) -> int:
        """Return the numbers of a row's texts in one word."""
        word = 0
        for name in names:
            word = word << 32 | self[text_of(batch, row, name)]
        return word


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
