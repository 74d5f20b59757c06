"""normalize: every check has events that fail it and honest ones, near them, that do not."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from flows.stages.normalize.registry import ORDERED
from schemas.environment import CHECK_BIT, CHECKS
from tests.normalize.agents import NORMALIZE, environment, failed, verified
from tests.normalize.cases import CASES
from tests.wire import HONEST, NOW, USER_AGENT


def test_the_honest_event_fails_no_check() -> None:
    assert failed({}) == set()


@pytest.mark.parametrize("check", CHECKS)
def test_each_check_fails_where_it_should_and_nowhere_near(check: str) -> None:
    guilty, honest = CASES[check]
    for changes in guilty:
        assert check in failed(changes), changes
    for changes in honest:
        assert check not in failed(changes), changes


def test_no_check_is_tested_that_is_none() -> None:
    assert set(CASES) == set(CHECKS)
    assert len(set(CHECK_BIT.values())) == len(CHECKS) <= 64
    assert [check.__name__ for check in ORDERED] == list(CHECKS)


def test_the_bits_of_released_checks_never_move() -> None:
    released = "\n".join(CHECKS[:21]).encode()
    assert hashlib.sha256(released).hexdigest() == "a667f5ad927021bda27a88d84f246e1708e7f4c50b3903c68af82818624c7c6d"


def test_an_event_that_shows_nothing_fails_no_check_and_says_nothing() -> None:
    seen = environment({})
    assert seen.checks.tolist() == [0]
    for name in ("browser", "engine", "system", "device", "gpu", "gpu_driver", "density"):
        assert getattr(seen, name).tolist() == [0], name
    for name in ("browser_version", "engine_version", "engine_at_least", "system_version", "timezone_offset"):
        assert np.isnan(getattr(seen, name)).all(), name
    assert seen.gpu_model == ("",)


def test_the_highest_bit_is_kept_in_64_bits() -> None:
    seen = environment({**HONEST, "navigator.device_memory": 3})
    assert seen.checks.dtype == np.uint64
    assert seen.checks.tolist() == [1 << CHECKS.index("device_memory_impossible")]


def test_a_check_sees_its_row_alone() -> None:
    guilty = [{**HONEST, **CASES[check][0][0]} for check in CHECKS]
    together = NORMALIZE(verified(guilty)).oks.environment.checks.tolist()
    assert together == [int(environment(event).checks[0]) for event in guilty]


def test_a_long_user_agent_is_not_held_against_its_worker() -> None:
    agent = USER_AGENT + " x" * 600
    assert "worker_contradicts_page" not in failed({"navigator.user_agent": agent, "worker.user_agent": agent})


def test_the_zone_counts_in_the_year_of_the_event_and_not_of_the_machine() -> None:
    moscow = {"intl.timezone": "Europe/Moscow", "intl.timezone_offset": -240}
    assert "timezone_offset_contradicts_zone" not in failed(moscow, 1_350_000_000_000)  # 2012: UTC+4 all year
    assert "timezone_offset_contradicts_zone" in failed(moscow, NOW)
    for extreme in (0, 2**62):
        failed({}, extreme)


def test_the_hashes_of_empty_canvases_are_what_the_agent_makes_of_them() -> None:
    for value in (0, 255):
        state = 0x811C9DC5
        for _ in range(240 * 60 * 4):  # WIDE, HIGH and digest of ingest_api/agent/src/signals/drawing.ts
            state = ((state ^ value) * 0x01000193) & 0xFFFFFFFF
        assert "canvas_constant" in failed({"canvas.geometry": f"{state:x}"})
