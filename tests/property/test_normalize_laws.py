"""normalize: a row's environment depends on the row alone, and what is not shown is not held against a browser."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.stages import text_loops
from flows.stages.normalize import kernels
from flows.stages.normalize.environment import environment_of
from flows.stages.normalize.seen import Seen
from flows.stages.normalize.tables import Tables
from flows.stages.warm import compile_kernels
from schemas.batches import Environment, Normalized, Signals
from schemas.environment import CHECK_BIT
from tests.normalize.agents import NORMALIZE, failed_by, verified
from tests.normalize.cases import CASES
from tests.strategies import CATALOGUE, RECIPES, Recipe, same, signals
from tests.wire import HONEST

_CAPTURES = Path(__file__).parents[1] / "captures"
REAL = [json.loads((_CAPTURES / f"{name}-headed.json").read_text("utf-8")) for name in ("chromium", "firefox")]
GUILTY = [{**HONEST, **changes} for guilty, _ in CASES.values() for changes in guilty]
EVENTS: list[dict[str, Any]] = [{}, dict(HONEST), *REAL, *GUILTY]
AT = 1_795_320_000_000
TABLES = Tables(CATALOGUE)


def environment(events: list[dict[str, Any]]) -> Environment:
    return NORMALIZE(verified(events, [AT] * len(events))).oks.environment


@settings(max_examples=30)
@given(st.lists(st.sampled_from(range(len(EVENTS))), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_order_and_size_of_the_batch_change_nothing(chosen: list[int], random: Any) -> None:
    events = [EVENTS[number] for number in chosen]
    whole = environment(events)
    order = list(range(len(events)))
    random.shuffle(order)
    assert same(environment([events[number] for number in order]), whole.take(np.array(order)))
    assert same(Environment.concat([environment([event]) for event in events]), whole)


def by_numpy(batch: Normalized) -> Environment:
    """Return what the checks say over columns; who had a number taken away is read from the result."""
    nulled = (batch.environment.checks & np.uint64(CHECK_BIT["number_out_of_range"])) != 0
    return environment_of(Seen(batch, TABLES, nulled))


@settings(max_examples=30)
@given(st.lists(st.sampled_from(range(len(EVENTS))), max_size=12))
def test_the_compiled_way_gives_what_the_checks_say_over_columns(chosen: list[int]) -> None:
    out = NORMALIZE(verified([EVENTS[number] for number in chosen], [AT] * len(chosen))).oks
    assert same(out.environment, by_numpy(out))


@pytest.mark.parametrize("rows", [1, 4, 64, 256])
def test_the_compiled_way_agrees_at_every_size_of_a_batch(rows: int) -> None:
    chosen = [EVENTS[7 * row % len(EVENTS)] for row in range(rows)]
    out = NORMALIZE(verified(chosen, [AT + 40 * 86_400_000 * row for row in range(rows)])).oks
    assert same(out.environment, by_numpy(out))


def tame(shown: Signals) -> Signals:
    """Return signals whose numbers lie within the catalogue's ranges, so that every row goes on."""
    low, high, _ = CATALOGUE.bounds()
    numbers = np.clip(shown.numbers, np.maximum(low, -1e9), np.minimum(high, 1e9)).astype(np.float32)
    return replace(shown, numbers=numbers)


@settings(max_examples=20)
@given(RECIPES, st.lists(st.integers(0, 2**62), min_size=12, max_size=12))
def test_the_compiled_way_agrees_on_signals_that_no_browser_shows(recipe: Recipe, times: list[int]) -> None:
    batch = verified([{}] * 12, times)
    out = NORMALIZE(replace(batch, signals=tame(signals(recipe, 12)))).oks
    assert len(out) == 12
    assert same(out.environment, by_numpy(out))


@settings(max_examples=60)
@given(st.sampled_from(REAL), st.sets(st.sampled_from(sorted({*REAL[0], *REAL[1]})), max_size=900))
def test_a_real_browser_that_shows_less_still_fails_no_check(real: dict[str, Any], hidden: set[str]) -> None:
    assert failed_by({name: value for name, value in real.items() if name not in hidden}, AT) == set()


@settings(max_examples=60)
@given(
    st.sampled_from(("navigator.user_agent", "webgl.unmasked_renderer", "webgl.unmasked_vendor", "intl.timezone",
                     "navigator.languages")),
    st.text(max_size=300),
)  # fmt: skip
def test_no_text_breaks_the_stage(name: str, text: str) -> None:
    environment([{**HONEST, name: text}])


def test_no_number_of_rows_needs_a_loop_that_was_not_compiled() -> None:
    compile_kernels()
    texts: tuple[Any, ...] = (text_loops.find, text_loops.remember)
    loops: tuple[Any, ...] = (kernels.environment, *texts)
    before = [len(loop.signatures) for loop in loops]
    for rows in (0, 1, 2, 5):
        environment([{**HONEST, "navigator.user_agent": f"seen in {rows} rows"}] * rows)
    assert min(before) > 0
    assert [len(loop.signatures) for loop in loops] == before
