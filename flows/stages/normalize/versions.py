"""What an engine shows, and since which version: tables, and what a browser's features say by them.

Sources: ``@mdn/browser-compat-data`` 8.1.9 (2026-11-12, CC0-1.0) for versions, of properties that have one entry and no
flag, prefix or partial support before it, equal on desktop and mobile; checked against Chromium 156 and Firefox 153,
which agree with every line. CSS properties only: pages cannot polyfill what ``CSS.supports`` says.
"""

from __future__ import annotations

from math import nan
from typing import NamedTuple

import numpy as np

from schemas.batches import F32, U8, U32, Bool, Signals
from schemas.catalogue import Catalogue, category_hash
from schemas.environment import ENGINES

# CSS property: first version of Chromium, Gecko, WebKit
PROPERTIES: tuple[tuple[str, float, float, float], ...] = (
    ("accent-color", nan, 92, nan), ("forced-color-adjust", nan, 113, nan), ("font-synthesis-position", nan, 118, nan),
    ("position-area", nan, 147, 26), ("alignment-baseline", nan, 149, nan), ("baseline-shift", nan, 149, nan),
    ("font-width", nan, 155, 18.4), ("object-view-box", 104, nan, 27.3), ("math-depth", 109, 117, 26.4),
    ("hyphenate-limit-chars", 109, 137, 27.3), ("math-shift", 109, 146, 26.2), ("initial-letter", 110, nan, nan),
    ("baseline-source", 111, 115, nan), ("view-transition-name", 111, 144, 18), ("animation-range", 115, 159, 26),
    ("timeline-scope", 116, 159, 26), ("overlay", 117, nan, nan), ("scrollbar-color", 121, nan, 26.2),
    ("text-spacing-trim", 123, nan, nan), ("field-sizing", 123, 152, 26.2), ("view-transition-class", 125, 144, 18.2),
    ("anchor-name", 125, 147, 26), ("position-visibility", 125, 147, 26.2), ("interpolate-size", 129, nan, nan),
    ("text-wrap-mode", 130, 124, 17.4), ("font-variant-emoji", 131, 141, nan), ("anchor-scope", 131, 147, 26),
    ("scroll-initial-target", 133, nan, nan), ("text-box", 133, 154, 18.2), ("interactivity", 135, nan, nan),
    ("dynamic-range-limit", 136, nan, 26), ("reading-flow", 137, nan, nan), ("corner-bottom-shape", 139, nan, 27.3),
    ("caret-animation", 140, nan, nan), ("text-autospace", 140, 145, 18.4), ("interest-delay", 142, nan, nan),
    ("font-language-override", 143, nan, nan), ("caret-shape", 144, nan, nan), ("column-height", 145, nan, nan),
    ("animation-trigger", 146, nan, nan), ("border-shape", 147, nan, nan), ("row-rule", 149, nan, nan),
    ("flex-line-count", 150, nan, nan), ("ruby-overhang", 151, nan, nan), ("frame-sizing", 154, nan, nan),
    ("margin-trim", 155, nan, 16.4), ("text-decoration-inset", 157, 146, 27.3),
)  # fmt: skip

# Found in one engine only: the same source, and the two browsers. Names that a library may add to a page are left
# out: Apple's own payment script defines ApplePaySession in every browser.
MARKS: dict[str, tuple[str, ...]] = {
    "chromium": (
        "css_property.-webkit-app-region", "css_property.speak", "css_selector.host-context(a)",
        "interface.PerformanceLongTaskTiming", "interface.InputDeviceCapabilities", "interface.LayoutShift",
        "navigator_member.webkitTemporaryStorage",
    ),
    "gecko": (
        "css_property.ime-mode", "css_property.-moz-appearance", "css_selector.-moz-focusring",
        "css_selector.:-moz-progress-bar", "interface.MouseScrollEvent", "interface.MediaStreamTrackAudioSourceNode",
        "window_member.mozInnerScreenX", "window_member.scrollByLines", "navigator_member.taintEnabled",
        "navigator_member.buildID", "navigator_member.mozGetUserMedia",
    ),
    "webkit": (
        "css_property.hanging-punctuation", "css_property.speak-as", "css_property.glyph-orientation-vertical",
        "css_property.-apple-pay-button-style", "interface.GestureEvent", "interface.ManagedMediaSource",
        "interface.WebKitPlaybackTargetAvailabilityEvent", "interface.WebKitMediaKeys",
    ),
}  # fmt: skip

# Words of V8, SpiderMonkey and JavaScriptCore for one mistake (their sources: messages-template.h, js.msg,
# ExceptionHelpers.cpp), the first two as Chromium 156 and Firefox 153 give them.
WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "error_message.invalid_date": {
        "chromium": ("Invalid time value",), "gecko": ("invalid date",), "webkit": ("Invalid Date",),
    },
    "error_message.array_length": {
        "chromium": ("Invalid array length",), "gecko": ("invalid array length",),
        "webkit": (
            "Array size is not a small enough positive integer.",
            "Array length must be a positive integer of safe magnitude.",
        ),
    },
    "error_message.big_int_mix": {
        "chromium": ("Cannot mix BigInt and other types, use explicit conversions",),
        "gecko": ("can't convert BigInt to number",),
        "webkit": ("Invalid mix of BigInt and other type in addition.",),
    },
    "error_message.stack_overflow": {
        "chromium": ("Maximum call stack size exceeded",), "gecko": ("too much recursion",),
        "webkit": ("Maximum call stack size exceeded.",),
    },
}  # fmt: skip
_NAMED = ENGINES[1:]
_TENTHS = 10  # versions are counted in tenths
_NEVER = 32_767
_SLACK = 1 * _TENTHS  # pre-releases and staged roll-outs differ by one
_ENOUGH = 2  # features, so that no single line of the table decides
_MARKED = 3


class Evidence(NamedTuple):
    """What the features of n browsers say of their engines."""

    engine: U8  # by marks and words; 0 where they do not suffice
    mixed: Bool  # enough marks of two engines
    foreign_words: Bool  # words of another engine than the claimed one
    at_least: F32  # least version of the engine that has all of its properties, NaN where none is there
    newer: Bool  # properties that the named version of the claimed engine does not have yet
    older: Bool  # properties missing that it has had for long


class Features:
    """The tables in the wire positions of a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        properties = {f"css_property.{name}": since for name, *since in PROPERTIES}
        places = {catalogue.boolean(name): since for name, since in properties.items()}
        self.properties = slice(min(places), max(places) + 1)  # one family lies together on the wire
        since = np.full((len(ENGINES), max(places) + 1 - min(places)), np.nan)
        for place, versions in places.items():
            since[1:, place - min(places)] = versions
        self.since = np.where(np.isnan(since), _NEVER, np.rint(since * _TENTHS)).astype(np.int16)
        self.known_since = np.where(self.since == _NEVER, 0, self.since).astype(np.int16)
        self.marks = np.array([catalogue.boolean(name) for names in MARKS.values() for name in names])
        self._starts = np.cumsum([0, *map(len, MARKS.values())])[:-1]
        self.words = np.array([catalogue.category(name) for name in WORDS])
        engine_of = {
            category_hash(text): _NAMED.index(engine)
            for said in WORDS.values()
            for engine, texts in said.items()
            for text in texts
        }
        self.hashes = np.array(sorted(engine_of), np.uint32)
        self.engines_of_words = np.array([1 + engine_of[value] for value in sorted(engine_of)], np.uint8)
        tallies = np.zeros((len(engine_of) + 1, len(ENGINES)), np.uint8)  # one more, for what is no word
        tallies[np.arange(len(engine_of)), [engine_of[value] for value in sorted(engine_of)]] = 1
        self._tallies = tallies.view("<u4")[:, 0]

    def weigh(self, signals: Signals, claimed: U8, version: F32) -> Evidence:
        """Weigh the features of a batch against the engine and version that its user agents name."""
        words = self._count_words(signals.categories)
        marks = np.add.reduceat(
            np.take(signals.booleans, self.marks, axis=1).view(np.uint8), self._starts, axis=1, dtype=np.uint8
        )
        engine, mixed = _elect(marks + words)
        return Evidence(engine, mixed, _foreign(words, claimed), *self._versions(signals, engine, claimed, version))

    def _count_words(self, categories: U32) -> U8:
        """Return how many words of each engine were given, uint8[n, 3]."""
        shown = categories[:, self.words]
        at = np.searchsorted(self.hashes, shown)
        at[np.take(self.hashes, at, mode="clip") != shown] = len(self.hashes)
        tally = np.take(self._tallies, at).sum(axis=1, dtype="<u4")  # four counts in four bytes
        return tally.view(np.uint8).reshape(-1, len(ENGINES))[:, : len(_NAMED)]

    def _versions(self, signals: Signals, engine: U8, claimed: U8, version: F32) -> tuple[F32, Bool, Bool]:
        here = np.ascontiguousarray(signals.booleans[:, self.properties])
        missing = np.ascontiguousarray(signals.known[:, self.properties]) > here
        own = np.where(engine == 0, claimed, engine)
        known_since = np.take(self.known_since, own, axis=0)
        at_least = (known_since * here.view(np.uint8)).max(axis=1)
        if (own != claimed).any():
            known_since = np.take(self.known_since, claimed, axis=0)
        named = np.where(version > 0, version * _TENTHS, -1).astype(np.int16)[:, None]
        newer = _count(here & (known_since > named + _SLACK)) >= _ENOUGH
        older = _count(missing & (np.take(self.since, claimed, axis=0) < named - _SLACK)) >= _ENOUGH
        return (
            np.where(at_least > 0, at_least / np.float32(_TENTHS), np.float32(np.nan)),
            newer & (named[:, 0] >= 0),
            older,
        )


def _elect(votes: U8) -> tuple[U8, Bool]:
    """Return the engine that has enough votes, with no other near, and where two have enough; votes are [n, 3]."""
    one, two, three = np.ascontiguousarray(votes.T)
    first = np.maximum(np.maximum(one, two), three)
    second = one + two + three - first - np.minimum(np.minimum(one, two), three)
    winner = np.where(one == first, 1, np.where(two == first, 2, 3))
    decided = (first >= _MARKED) & (second < _ENOUGH)
    return np.where(decided, winner, 0).astype(np.uint8), second >= _MARKED


def _count(found: Bool) -> U8:
    """Return how many are true in each row: fewer than 256."""
    return found.view(np.uint8).sum(axis=1, dtype=np.uint8)


def _foreign(words: U8, claimed: U8) -> Bool:
    """Return where there are words of another engine than the claimed one; of an unknown one nothing is foreign."""
    own = np.zeros((len(words), len(ENGINES)), np.uint8)
    own[:, 1:] = words
    return (words.sum(axis=1, dtype=np.uint8) > own[np.arange(len(words)), claimed]) & (claimed != 0)
