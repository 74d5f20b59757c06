"""The compiled clues are those of the same rules said column by column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enrichers.counters import Limit, Limits
from enrichers.view import View
from schemas.activity_statistics import STATISTICS
from schemas.batches import Bool, Related, Shared
from schemas.recognition import COMBINATIONS
from schemas.velocity import ENTITIES, KINDS, MEASURES, WINDOWS
from tests import clue_oracles
from tests.property.test_signals_browser_laws import batch_of, row
from tests.unit.test_enrich_signals import BY_NAME

BORDERS = (0.0, 1.0, 2.0, 3.0, 4.0, 8.0, 10.0, 16.0, 20.0, 29.9, 30.0, 59.9, 60.0, 240.0, 500.0, 1_499.0, 3_000.0)
TAILS = (np.nan, 0.0, 0.0001, 0.00011, 0.001, 0.0011, 0.02, 0.021, 1.0)
seeds = st.integers(0, 2**32 - 1)
oracles = {name: getattr(clue_oracles, name) for name in ("bot", "headless", "scripted_input", "rare_device")}


def with_history(batch: Related, seed: int) -> Related:
    """Return the batch with a session, counts and rarity drawn from values at the borders of the rules."""
    rng, rows = np.random.default_rng(seed), len(batch)
    statistics = rng.choice([*BORDERS, np.nan], (rows, len(STATISTICS))).astype(np.float32)
    tail = rng.choice(TAILS, (rows, len(COMBINATIONS))).astype(np.float32)
    seen = rng.choice([0.0, 0.49, 0.5, 9.0, np.nan], tail.shape).astype(np.float32)
    return replace(
        batch,
        session=replace(batch.session, statistics=statistics, started_at=batch.event.occurred_at - 700),
        recognition=replace(batch.recognition, tail=tail, seen=seen),
    )


@pytest.mark.parametrize("name", oracles)
@settings(max_examples=30, deadline=None)
@given(rows=st.lists(row, min_size=1, max_size=9), seed=seeds)
def test_a_compiled_signal_sees_what_its_rules_say(name: str, rows: list[Any], seed: int) -> None:
    oracle: Callable[[View], Sequence[Bool]] = oracles[name]
    batch = with_history(batch_of(rows), seed)
    found = BY_NAME[name].observe(View(batch))
    for clue, seen, said in zip(BY_NAME[name].clues, found, oracle(View(batch)), strict=True):
        assert np.asarray(seen).tolist() == np.asarray(said).tolist(), clue.reason


LIMITS = (Limit("events_5m", 3, 0.1, ""), Limit("accounts_24h", 2, 0.1, ""))
SHARED_LIMITS = (Limit("card_devices_24h", 3, 0.1, ""), Limit("address_events_5m", 9, 0.1, ""))


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(0, 6), seed=seeds)
def test_a_counter_is_over_its_limit_where_it_is_known_and_larger(rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    own = rng.integers(0, 6, (rows, len(KINDS), len(WINDOWS))).astype(np.uint32)
    shape = (rows, len(ENTITIES), len(MEASURES), len(WINDOWS))
    others = rng.choice([0.0, 3.0, 4.0, 9.0, 10.0, np.nan], shape).astype(np.float32)
    velocity: Any = type("Velocity", (), {"counts": own})()
    found = Limits(LIMITS, SHARED_LIMITS).over(velocity, Shared(others, np.zeros(rows, np.bool_)))
    windows = list(WINDOWS)
    day, minutes = windows.index("24h"), windows.index("5m")
    card, address = ENTITIES.index("card"), ENTITIES.index("address")
    events, devices = MEASURES.index("events"), MEASURES.index("devices")
    expected = [
        own[:, KINDS.index("events"), minutes] > 3,
        own[:, KINDS.index("accounts"), day] > 2,
        others[:, card, devices, day] > 3,
        others[:, address, events, minutes] > 9,
    ]
    assert [column.tolist() for column in found] == [column.tolist() for column in expected]
