"""Signals that were made one program give what each of them gives column by column, to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enrichers.known_values import ONE_COLOUR_PICTURES, SILENCE, SUMS
from enrichers.recorded import Recording
from enrichers.registry import SIGNALS
from enrichers.signal import Jury, Verdict
from enrichers.view import View
from enrichers.vpn import Vpn
from schemas.batches import Enriched
from schemas.catalogue import category_hash, load_catalogue
from schemas.countries import COUNTRY_NUMBER
from schemas.environment import BROWSERS, DEVICES, SYSTEMS
from schemas.event_time import event_time
from schemas.networks import NETWORK_CLASSES
from tests.builders import enriched
from tests.judged import middle
from tests.odd_columns import Column, laid, read_only, spread, swapped
from tests.property.test_compiled_clues import BORDERS, TAILS
from tests.property.test_scoring_matrix import drawn

AS_PROGRAM, ONE_BY_ONE = Jury(SIGNALS, record=True), Jury(SIGNALS)
WORDS = (
    "selenium",
    "electron",
    "de-DE",
    "zu-ZA",
    "Win32",
    "20100101",
    "20030107",
    "Google Inc. (Google)",
    SILENCE,
    *ONE_COLOUR_PICTURES,
)
NUMBERS = (
    np.nan, 0, 1, 2, 3, 4, 8, 16, 75, 76, 100, 115, 200, 400, 600, 768, 800, 1_024, 1_200, 2_048, 4_096, 10_240, -200,
    0.5, 199.9, *(edge for band in SUMS for edge in (band.low * 0.99, band.low, band.high, band.high * 1.01)),
)  # fmt: skip
RENDERERS = (
    "NVIDIA GeForce", "SwiftShader", "VMware SVGA", "Android Emulator", "Tesla", "Citrix", "Microsoft Basic Render", "",
)  # fmt: skip
AGENTS = ("", "", "Mozilla/5.0", "Googlebot/2.1", "Bytespider", "CUBOT X30", "HeadlessChrome/99")
COUNTRIES_SEEN = ("DE", "DE", "FR", "GB", "AU", "US")
LOGGED = (*BORDERS, 1_500, np.nan)
AGES_MS = (0, 400, 499, 500, 599_999, 600_000, 3_600_000, 7 * 86_400_000, 7 * 86_400_000 + 1)
HOURS = (0, 0.01, 1, 3, 20)
OFFSETS = (np.nan, -60, -120, 0, 300, -600)
COUNTS = (0, 1, 2, 3, 4, 5, 6, 7, 25, 26, 31, 41, 91, 121, 201, 500, 1_001, 5_000)
seeds = st.integers(0, 2**32 - 1)


def at_borders(rows: int, seed: int) -> Enriched:
    """Return events whose signals have values at the borders of the rules, and any other columns."""
    rng, batch = np.random.default_rng(seed), drawn(rows, seed)
    shown, seen = batch.signals, batch.environment
    hashes = np.array([0, 0, 1, *map(category_hash, WORDS)], np.uint32)
    plain = rng.choice([0.3, 0.9, 0.99], (rows, 1))  # what share of a row's signals says nothing
    known = rng.random(shown.known.shape) < rng.choice([0.1, 0.9], (rows, 1))
    texts = [
        {name: text for name, text in (("webgl.unmasked_renderer", renderer), ("navigator.user_agent", agent)) if text}
        for renderer, agent in zip(rng.choice(RENDERERS, rows).tolist(), rng.choice(AGENTS, rows).tolist(), strict=True)
    ]

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
        after_a_past(batch, rng),
        signals=replace(
            shown,
            numbers=shows,
            known=known,
            booleans=known & (rng.random(known.shape) < rng.choice([0.01, 0.1, 0.7], (rows, 1))),
            categories=np.where(
                rng.random(shown.categories.shape) < plain, np.uint32(1), rng.choice(hashes, shown.categories.shape)
            ),
            texts=enriched(texts).signals.texts,
        ),
        environment=replace(
            seen,
            browser=codes(BROWSERS, "firefox"), system=codes(SYSTEMS, "windows"), device=codes(DEVICES, "desktop"),
            browser_version=numbers((rows,)), timezone_offset=rng.choice(np.array(OFFSETS, np.float32), rows),
            checks=seen.checks & rng.integers(0, 2**63, rows, np.uint64) & rng.integers(0, 2**63, rows, np.uint64),
        ),
    )  # fmt: skip


def after_a_past(batch: Enriched, rng: np.random.Generator) -> Enriched:
    """Return the batch with counts, journeys, networks and logs at the borders of the rules."""
    rows, time = len(batch), event_time(batch)
    velocity, recognition, history = batch.velocity, batch.recognition, batch.history
    names = rng.choice(COUNTRIES_SEEN, (rows, 1 + history.latitude.shape[1]))
    places = np.array([[middle(name) for name in row] for row in names.tolist()], np.float32)
    places[:, 1:][rng.random(history.latitude.shape) < 0.6] = np.nan
    classes = sum((rng.random(rows) < 0.15).astype(np.uint16) << bit for bit in range(len(NETWORK_CLASSES)))
    known = rng.random(rows) < 0.95
    many = rng.choice([0.05, 0.9], (rows, 1))

    def counts(like: Any) -> Any:
        odd = rng.random((rows, like[0].size)) < many
        return np.where(odd, rng.choice(COUNTS, odd.shape), rng.integers(0, 2, odd.shape)).reshape(like.shape)

    def some(values: Sequence[float], shape: Any) -> Any:
        return rng.choice(np.array(values, np.float32), shape)

    shared = counts(batch.shared.counts).astype(np.float32)
    shared[rng.random(shared.shape) < 0.1] = np.nan
    statistics = batch.session.statistics.shape
    return replace(
        batch,
        network=replace(
            batch.network,
            country=np.where(known, [COUNTRY_NUMBER[name] for name in names[:, 0].tolist()], 0).astype(np.uint16),
            asn=np.where(known, rng.choice([3320, 15_169, 14_593], rows), 0).astype(np.uint32),
            latitude=np.where(known, places[:, 0, 0], np.nan).astype(np.float32),
            longitude=np.where(known, places[:, 0, 1], np.nan).astype(np.float32),
            classes=np.where(known, classes, 0).astype(np.uint16),
        ),
        history=replace(
            history,
            latitude=places[:, 1:, 0].copy(), longitude=places[:, 1:, 1].copy(),
            place_at=time[:, None] - (some(HOURS, history.latitude.shape) * 3_600_000).astype(np.int64),
        ),
        velocity=replace(
            velocity,
            counts=counts(velocity.counts).astype(np.uint32), first_seen_at=time - rng.choice(AGES_MS, rows),
            previous_at=np.where(rng.random(rows) < 0.3, -1, time - rng.choice(AGES_MS, rows)),
        ),
        shared=replace(batch.shared, counts=shared),
        recognition=replace(
            recognition,
            tail=np.where(rng.random((rows, 1)) < 0.1, np.nan, some(TAILS, recognition.tail.shape)).astype(np.float32),
            seen=some((0, 0.49, 0.5, 9, np.nan), recognition.seen.shape),
            denied=some((0, 0.2, 0.26, 0.5, 0.6, 0.9, np.nan), recognition.denied.shape),
            weight=some((0, 4.9, 5, 20, 199, 200, np.nan), recognition.weight.shape),
            replayed=rng.integers(0, 8, rows).astype(np.uint8),
        ),
        session=replace(
            batch.session,
            statistics=np.where(rng.random(statistics) < many, some(LOGGED, statistics), np.float32(0)),
            started_at=time - rng.choice((0, 1_700, 2_500, 600_000), rows),
        ),
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


def written(verdict: Verdict, rows: Any = slice(None)) -> list[bytes]:
    """Return the bytes of what was found on some rows."""
    return [column[rows].tobytes() for column in (verdict.result, verdict.confidence, verdict.reasons)]


@pytest.mark.parametrize("rows", [1, 4, 64, 256])
@pytest.mark.parametrize("seed", range(4))
def test_a_program_gives_the_same_in_batches_of_any_size(rows: int, seed: int) -> None:
    batch = at_borders(256, seed)
    alone = ONE_BY_ONE.judge(View(batch))
    for first in range(0, 256, rows):
        part = np.arange(first, first + rows)
        found = AS_PROGRAM.judge(View(batch.take(part)))
        assert written(found) == written(alone, part)


def test_values_at_the_borders_bring_out_every_clue_and_its_absence() -> None:
    view = View(at_borders(16_000, 5))
    for signal in SIGNALS:
        for clue, seen in zip(signal.clues, signal.observe(view), strict=True):
            assert 0 < np.count_nonzero(seen) < len(view), f"{signal.name}: {clue.reason}"
        assert signal.name == "replayed" or 0 < np.count_nonzero(signal.computable(view)) < len(view), signal.name


def test_a_signal_that_is_not_recorded_is_judged_beside_those_that_are() -> None:
    class OneByOne(Vpn):
        recorded = False

    mixed = tuple(OneByOne() if signal.name == "vpn" else signal for signal in SIGNALS)
    view = View(at_borders(64, 7))
    assert written(Jury(mixed, record=True).judge(view)) == written(ONE_BY_ONE.judge(view))


def test_only_whole_columns_of_counts_can_be_recorded() -> None:
    with pytest.raises(TypeError, match="whole columns are taken, one at a time"):
        Recording(lambda view: [view.velocity.counts[0, 1, 2] > 3])


def test_a_program_knows_no_function_that_it_cannot_run() -> None:
    with pytest.raises(TypeError, match="tanh is used, which programs of columns do not know"):
        Recording(lambda view: [np.tanh(view.number("screen.width")) > 0])
    with pytest.raises(TypeError, match="where is used in a way that programs of columns do not know"):
        Recording(lambda view: [np.where(view.chromium, view.number("screen.width"), view.number("screen.height"))])


@pytest.mark.parametrize("how", [spread, read_only, swapped])
def test_columns_that_lie_otherwise_are_judged_the_same(how: Callable[[Column], Column]) -> None:
    batch = at_borders(40, 11)
    plain, odd = AS_PROGRAM.judge(View(batch)), AS_PROGRAM.judge(View(laid(batch, how)))
    assert [one.tobytes() for one in odd] == [one.tobytes() for one in plain]


def test_who_may_be_a_crawler_is_judged_by_where_it_comes_from_in_a_batch_of_others() -> None:
    batch = at_borders(400, 3)
    verdict = AS_PROGRAM.judge(View(batch))
    bot = next(at for at, signal in enumerate(SIGNALS) if signal.name == "bot")
    bits = [SIGNALS[bot].reasons.index(reason) for reason in SIGNALS[bot].reasons if "crawler" in reason]
    assert bits
    assert any((verdict.reasons[:, bot] >> np.uint32(bit) & 1).any() for bit in bits)
    assert [one.tobytes() for one in verdict] == [one.tobytes() for one in ONE_BY_ONE.judge(View(batch))]
