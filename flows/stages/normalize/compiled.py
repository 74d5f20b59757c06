"""The environment as ``environment`` has it, to the last bit, in few compiled passes over a batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from flows.stages.normalize import environment, fingerprint, kernels, versions
from flows.stages.normalize.groups import GROUPS
from flows.stages.normalize.hints import version_table
from flows.stages.normalize.lexicon import WORDS
from flows.stages.normalize.registry import ORDERED
from flows.stages.normalize.said import Reader
from flows.stages.normalize.seen import Seen
from flows.stages.normalize.traced import Traced
from schemas.batches import I64, Bool, Environment, Verified
from schemas.catalogue import Catalogue, category_hash
from schemas.columns import plain
from schemas.environment import DENSITIES, DEVICES, ENGINES, SYSTEMS
from schemas.makers import constructor

_new_environment = constructor(Environment)
_FIXED: Final = (len(kernels.FIXED_NUMBERS), len(kernels.FIXED_HASHES), len(kernels.FIXED_CODES))
_SCREEN: Final = ("screen.width", "screen.height", "screen.device_pixel_ratio")
_OFFSETS: Final = ("intl.timezone_offset", "intl.timezone_offset_january", "intl.timezone_offset_july")


class Compiled:
    """All checks of a catalogue as a program, and the tables of the other passes."""

    def __init__(self, catalogue: Catalogue) -> None:
        traced = Traced(catalogue)
        results = [check(cast(Seen, traced)) for check in ORDERED]
        gathered = traced.gathered
        starts, width = _stretches(gathered)
        self._program = tuple(traced.program.compiled(starts, width, cast(Sequence[Any], results)))
        self._reader = Reader(catalogue)
        self._tables = _tables(catalogue, gathered)

    def environment_of(self, batch: Verified, odd: Bool, *, is_settled: bool = False) -> tuple[Environment, bool]:
        """Return the section, and whether a row has an infinite number or one outside its range, when it says nothing.

        ``odd``, bool[n], says then who has one outside. Where that ``is_settled``, it says who had one taken away.
        """
        signals, rows, times = batch.signals, len(batch), plain(batch.event.occurred_at, np.int64)
        said = self._reader.read(signals.texts, times)
        columns = (
            plain(signals.numbers, np.float32), plain(signals.known, np.bool_), plain(signals.booleans, np.bool_),
            plain(signals.categories, np.uint32),
        )  # fmt: skip
        found, shown, bits = out = (
            np.empty((7, rows), np.uint8), np.empty((7, rows), np.float32), np.empty((2, rows), np.uint64),
        )  # fmt: skip
        told = said.rows, said.numbers, times
        is_odd = kernels.environment(columns, told, odd, is_settled, self._tables, self._program, out)
        checks, prints = bits
        browser, engine, system, device, gpu, driver, density = found
        version, engine_version, at_least, system_version, wide, high, offset = shown
        section = _new_environment(
            browser=browser,
            browser_version=version,
            engine=engine,
            engine_version=engine_version,
            engine_at_least=at_least,
            system=system,
            system_version=system_version,
            device=device,
            gpu=gpu,
            gpu_driver=driver,
            gpu_model=said.model,
            screen_pixels_wide=wide,
            screen_pixels_high=high,
            density=density,
            timezone_offset=offset,
            checks=checks,
            fingerprint=prints,
        )
        return section, is_odd


def _stretches(gathered: Mapping[str, Mapping[str, int]]) -> tuple[dict[str, int], tuple[int, int, int]]:
    """Return where each stretch of inputs begins, and how many inputs of each kind there are."""
    numbers, hashes, codes = _FIXED
    true = codes + len(gathered["true"])
    false = true + len(gathered["false"])
    words = false + len(GROUPS)
    starts = {
        "fixed numbers": 0, "numbers": numbers, "fixed hashes": 0, "categories": hashes, "fixed codes": 0,
        "true": codes, "false": true, "groups": false, "words": words,
    }  # fmt: skip
    return starts, (numbers + len(gathered["numbers"]), hashes + len(gathered["categories"]), words + len(WORDS))


def _tables(catalogue: Catalogue, gathered: Mapping[str, Iterable[str]]) -> tuple[NDArray[Any], ...]:
    """Return what ``kernels.environment`` takes: runs of numbers, versions, plain numbers and bounds."""
    bounds = np.stack(catalogue.bounds()[:2])
    features, drawn = versions.Features(catalogue), fingerprint.Drawn(catalogue)
    hint_keys, hint_versions = version_table()
    runs = {
        kernels.NUMBER_AT: map(catalogue.number, gathered["numbers"]),
        kernels.TRUE_AT: map(catalogue.boolean, gathered["true"]),
        kernels.FALSE_AT: map(catalogue.boolean, gathered["false"]),
        kernels.CATEGORY_AT: map(catalogue.category, gathered["categories"]),
        kernels.GROUP_AT: _running(GROUPS.values()),
        kernels.MEMBERS: (catalogue.boolean(member) for members in GROUPS.values() for member in members),
        kernels.WORD_AT: map(catalogue.category, WORDS),
        kernels.VALUE_AT: _running(WORDS.values()),
        kernels.VALUES: (category_hash(value) for values in WORDS.values() for value in values),
        kernels.OFFSET_AT: map(catalogue.number, _OFFSETS),
        kernels.MARKS: features.marks,
        kernels.MARK_AT: _running(versions.MARKS.values()),
        kernels.ENGINE_WORDS: features.words,
        kernels.TALLIES: features.engines_of_words,
        kernels.ENGINE_HASHES: features.hashes,
        kernels.HINT_KEYS: hint_keys,
        kernels.SHOWN_AT: map(catalogue.number, (*_SCREEN, *fingerprint.NUMBERS[2:])),
        kernels.NOISE_AT: map(catalogue.number, fingerprint.NOISE),
        kernels.DRAWN_AT: drawn.categories,
        kernels.PART: drawn.part,
        kernels.FIRSTS: drawn.first,
        kernels.SALTS: drawn.salts[:, 0].view(np.int64),
        kernels.UNBOUNDED: np.flatnonzero(np.isinf(bounds).any(axis=0)),
        kernels.SCALARS: _scalars(catalogue, features),
    }
    parts = [_ints(runs[run]) for run in range(kernels.RUNS)]
    ends = np.cumsum([kernels.RUNS + 1, *map(len, parts)])
    since = np.stack((features.known_since, features.since))
    plain_numbers = np.array([*hint_versions, *environment.DENSITY_BOUNDS], np.float64)
    return np.concatenate((ends, *parts)), since, plain_numbers, bounds


def _scalars(catalogue: Catalogue, features: versions.Features) -> list[int]:
    """Return the last run of numbers, in the order of ``kernels``."""
    return [
        catalogue.number("navigator.max_touch_points"), features.properties.start,
        catalogue.category("client_hints.platform_version"), SYSTEMS.index("macos"), ENGINES.index("webkit"),
        SYSTEMS.index("ios"), DEVICES.index("tablet"), DENSITIES.index("reduced"), ENGINES.index("gecko"),
        fingerprint.LEAST_PARTS,
    ]  # fmt: skip


def _ints(values: Iterable[int]) -> I64:
    return np.array([*values], np.int64)


def _running(parts: Iterable[Sequence[Any]]) -> I64:
    return _ints(np.cumsum([0, *map(len, parts)]).tolist())
