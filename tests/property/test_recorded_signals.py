"""Signals that were made one program give what each of them gives column by column, to the last bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enrichers.known_values import ONE_COLOUR_PICTURES, SILENCE, SUMS
from enrichers.recorded import Recording
from enrichers.registry import SIGNALS
from enrichers.signal import Jury
from enrichers.view import View
from schemas.batches import Enriched
from schemas.catalogue import category_hash, load_catalogue
from schemas.environment import BROWSERS, DEVICES, SYSTEMS
from schemas.networks import NETWORK_CLASSES
from tests.builders import enriched
from tests.property.test_scoring_matrix import drawn

RECORDED = tuple(signal for signal in SIGNALS if signal.recorded)
AS_PROGRAM, ONE_BY_ONE = Jury(SIGNALS, record=True), Jury(SIGNALS)
WORDS = ("Win32", "20100101", "20030107", "Google Inc. (Google)", SILENCE, *ONE_COLOUR_PICTURES)
NUMBERS = (
    np.nan, 0, 1, 2, 3, 4, 8, 16, 75, 76, 100, 115, 200, 400, 600, 768, 800, 1_024, 1_200, 2_048, 4_096, 10_240, -200,
    0.5, 199.9, *(edge for band in SUMS for edge in (band.low * 0.99, band.low, band.high, band.high * 1.01)),
)  # fmt: skip
RENDERERS = (
    "NVIDIA GeForce", "SwiftShader", "VMware SVGA", "Android Emulator", "Tesla", "Citrix", "Microsoft Basic Render", "",
)  # fmt: skip
seeds = st.integers(0, 2**32 - 1)


def at_borders(rows: int, seed: int) -> Enriched:
    """Return events whose signals have values at the borders of the rules, and any other columns."""
    rng, batch = np.random.default_rng(seed), drawn(rows, seed)
    shown, seen = batch.signals, batch.environment
    hashes = np.array([0, 0, 1, *map(category_hash, WORDS)], np.uint32)
    plain = rng.choice([0.3, 0.9, 0.99], (rows, 1))  # what share of a row's signals says nothing
    known = rng.random(shown.known.shape) < rng.choice([0.1, 0.9], (rows, 1))
    renderers = [{"webgl.unmasked_renderer": name} if name else {} for name in rng.choice(RENDERERS, rows).tolist()]

    def numbers(shape: Any) -> Any:
        usual = rng.choice(np.array([np.nan, 0, 1], np.float32), shape)
        odd = rng.choice(np.array(NUMBERS, np.float32), shape)
        return np.where(rng.random(shape) < (plain if len(shape) == 2 else plain[:, 0]), usual, odd)

    def codes(names: tuple[str, ...], usual: str) -> Any:
        return np.where(rng.random(rows) < 0.5, names.index(usual), rng.integers(0, len(names), rows)).astype(np.uint8)

    shows = numbers(shown.numbers.shape)
    one_size = rng.random(rows) < 0.3
    for side, value in (("width", 800), ("height", 600)):
        shows[one_size, load_catalogue().number(f"screen.{side}")] = value
        shows[one_size, load_catalogue().number(f"screen.inner_{side}")] = value

    return replace(
        batch,
        signals=replace(
            shown,
            numbers=shows,
            known=known,
            booleans=known & (rng.random(known.shape) < rng.choice([0.01, 0.1, 0.7], (rows, 1))),
            categories=np.where(
                rng.random(shown.categories.shape) < plain, np.uint32(1), rng.choice(hashes, shown.categories.shape)
            ),
            texts=enriched(renderers).signals.texts,
        ),
        environment=replace(
            seen,
            browser=codes(BROWSERS, "firefox"), system=codes(SYSTEMS, "windows"), device=codes(DEVICES, "desktop"),
            browser_version=numbers((rows,)),
            checks=seen.checks & rng.integers(0, 2**63, rows, np.uint64) & rng.integers(0, 2**63, rows, np.uint64),
        ),
        network=replace(batch.network, classes=rng.integers(0, 1 << len(NETWORK_CLASSES), rows).astype(np.uint16)),
        session=replace(batch.session, statistics=rng.choice([0, 1, 9, np.nan], batch.session.statistics.shape)),
    )  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(1, 40))
def test_a_program_of_all_signals_gives_what_each_gives_alone(seed: int, rows: int) -> None:
    view = View(at_borders(rows, seed))
    found, alone = AS_PROGRAM.judge(view), ONE_BY_ONE.judge(view)
    for column, signal in enumerate(SIGNALS):
        assert found.result[:, column].tobytes() == alone.result[:, column].tobytes(), signal.name
        assert found.confidence[:, column].tobytes() == alone.confidence[:, column].tobytes(), signal.name
        assert found.reasons[:, column].tobytes() == alone.reasons[:, column].tobytes(), signal.name


def test_values_at_the_borders_bring_out_every_recorded_clue_and_its_absence() -> None:
    view = View(at_borders(16_000, 5))
    for signal in RECORDED:
        for clue, seen in zip(signal.clues, signal.observe(view), strict=True):
            assert 0 < np.count_nonzero(seen) < len(view), f"{signal.name}: {clue.reason}"


def test_a_program_knows_no_function_that_it_cannot_run() -> None:
    with pytest.raises(TypeError, match="tanh is used, which programs of columns do not know"):
        Recording(lambda view: [np.tanh(view.number("screen.width")) > 0])
    with pytest.raises(TypeError, match="where is used in a way that programs of columns do not know"):
        Recording(lambda view: [np.where(view.chromium, view.number("screen.width"), view.number("screen.height"))])
