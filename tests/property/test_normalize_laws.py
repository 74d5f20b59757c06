"""normalize: a row's environment depends on the row alone, and what is not shown is not held against a browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.batches import Environment
from tests.normalize.agents import NORMALIZE, failed_by, verified
from tests.normalize.cases import CASES
from tests.strategies import same
from tests.wire import HONEST

_CAPTURES = Path(__file__).parents[1] / "captures"
REAL = [json.loads((_CAPTURES / f"{name}-headed.json").read_text("utf-8")) for name in ("chromium", "firefox")]
GUILTY = [{**HONEST, **changes} for guilty, _ in CASES.values() for changes in guilty]
EVENTS: list[dict[str, Any]] = [{}, dict(HONEST), *REAL, *GUILTY]
AT = 1_795_320_000_000


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
