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
from flows.stages.normalize.said import Reader, Said
from flows.stages.normalize.seen import LATEST_MS, Seen
from flows.stages.normalize.traced import Traced
from schemas.batches import I64, Bool, Environment, Verified
from schemas.catalogue import Catalogue, category_hash
from schemas.column_steps import run
from schemas.columns import plain
from schemas.environment import DENSITIES, DEVICES, ENGINES, SYSTEMS

_FIXED: Final = (len(kernels.FIXED_NUMBERS), len(kernels.FIXED_HASHES), len(kernels.FIXED_CODES))
_OFFSETS: Final = ("intl.timezone_offset", "intl.timezone_offset_january", "intl.timezone_offset_july")
_CONSTANTS: Final = (
    SYSTEMS.index("macos"), ENGINES.index("webkit"), SYSTEMS.index("ios"), DEVICES.index("tablet"),
)  # fmt: skip


class Compiled:
    """All checks of a catalogue as a program, and the tables of the other passes."""

    def __init__(self, catalogue: Catalogue) -> None:
        traced = Traced(catalogue)
        results = [check(cast(Seen, traced)) for check in ORDERED]
        gathered = traced.gathered
        self._places = _places(catalogue, gathered)
        starts, width = _stretches(gathered)
        self._program = traced.program.compiled(starts, width, cast(Sequence[Any], results))
        self._reader = Reader(catalogue)
        self._derived = _derived(catalogue)
        self._shown = _shown(catalogue)
        self._limits = (
            np.array(environment.DENSITY_BOUNDS), DENSITIES.index("reduced"), ENGINES.index("gecko"),
            fingerprint.LEAST_PARTS,
        )  # fmt: skip

    def environment_of(self, batch: Verified, nulled: Bool) -> Environment:
        """Return the section; ``nulled``: which rows had a number taken away."""
        signals, rows = batch.signals, len(batch)
        times = np.minimum(np.maximum(batch.event.occurred_at, 0), LATEST_MS)
        said = self._reader.read(signals.texts, times)
        tables = (
            plain(signals.numbers, np.float32), plain(signals.known, np.bool_).view(np.uint8),
            plain(signals.booleans, np.bool_).view(np.uint8), plain(signals.categories, np.uint32),
        )  # fmt: skip
        numbers, hashes, codes = self._program.width
        columns = (
            np.empty((numbers, rows), np.float32),
            np.empty((hashes, rows), np.uint32),
            np.empty((codes, rows), np.uint8),
        )
        derived = (*columns, *np.empty((2, rows), np.float32))
        kernels.gather(tables, self._places, columns, _FIXED)
        kernels.derive(tables, said[:3], _zones(said, times), nulled, self._derived, _CONSTANTS, derived)
        checks, prints = np.zeros((2, rows), np.uint64)
        program = self._program
        run(program.steps, program.constants, program.tables, columns, checks)
        found, shown = np.empty((7, rows), np.uint8), np.empty((7, rows), np.float32)
        kernels.show(tables, derived, (*self._shown, said.hashes), self._limits, (found, shown, prints))
        browser, engine, system, device, gpu, driver, density = found
        version, engine_version, at_least, system_version, wide, high, offset = shown
        return Environment(
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


def _zones(said: Said, times: I64) -> tuple[NDArray[Any], ...]:
    """Return what ``kernels.derive`` takes of zones: copies, which are laid out alike whatever the number of rows."""
    fields = (said.zones[name].copy() for name in ("category", "offsets", "since", "own"))
    return said.zone_flags.copy(), *fields, times


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


def _places(catalogue: Catalogue, gathered: Mapping[str, Iterable[str]]) -> tuple[NDArray[Any], ...]:
    """Return what ``kernels.gather`` takes."""
    return (
        _ints(map(catalogue.number, gathered["numbers"])),
        _ints(map(catalogue.boolean, gathered["true"])),
        _ints(map(catalogue.boolean, gathered["false"])),
        _ints(map(catalogue.category, gathered["categories"])),
        _running(GROUPS.values()),
        _ints(catalogue.boolean(member) for members in GROUPS.values() for member in members),
        _ints(map(catalogue.category, WORDS)),
        _running(WORDS.values()),
        np.array([category_hash(value) for values in WORDS.values() for value in values], np.uint32),
    )


def _derived(catalogue: Catalogue) -> tuple[Any, ...]:
    """Return what ``kernels.derive`` takes."""
    features = versions.Features(catalogue)
    hint_keys, hint_versions = version_table()
    return (
        catalogue.number("navigator.max_touch_points"),
        _ints(map(catalogue.number, _OFFSETS)),
        features.marks,
        _running(versions.MARKS.values()),
        features.words,
        features.engines_of_words,
        features.hashes,
        features.properties.start,
        features.known_since,
        features.since,
        catalogue.category("client_hints.platform_version"),
        hint_keys,
        hint_versions,
    )


def _shown(catalogue: Catalogue) -> tuple[NDArray[Any], ...]:
    """Return what ``kernels.show`` takes."""
    drawn = fingerprint.Drawn(catalogue)
    names = ("screen.width", "screen.height", "screen.device_pixel_ratio", *fingerprint.NUMBERS[2:])
    return (
        _ints(map(catalogue.number, names)),
        _ints(map(catalogue.number, fingerprint.NOISE)),
        drawn.categories,
        drawn.part.astype(np.int64),
        drawn.first.astype(np.int64),
        drawn.salts[:, 0].copy(),
    )


def _ints(values: Iterable[int]) -> I64:
    return np.array([*values], np.int64)


def _running(parts: Iterable[Sequence[Any]]) -> I64:
    return _ints(np.cumsum([0, *map(len, parts)]).tolist())
