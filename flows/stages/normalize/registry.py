"""Every check by its name, in the order of their bits."""

from __future__ import annotations

from collections.abc import Mapping

from flows.stages.normalize import (
    agent_checks,
    context_checks,
    engine_checks,
    graphics_checks,
    place_checks,
    rendering_checks,
    screen_checks,
)
from flows.stages.normalize.seen import Check
from schemas.environment import CHECKS

SUBJECTS: Mapping[str, tuple[Check, ...]] = {
    "user agent": agent_checks.CHECKS,
    "engine": engine_checks.CHECKS,
    "worker and frame": context_checks.CHECKS,
    "place": place_checks.CHECKS,
    "screen": screen_checks.CHECKS,
    "graphics": graphics_checks.CHECKS,
    "rendering": rendering_checks.CHECKS,
}
_BY_NAME = {check.__name__: check for checks in SUBJECTS.values() for check in checks}
if set(_BY_NAME) != set(CHECKS):
    raise ValueError(f"checks and schemas.environment.CHECKS differ in {sorted(set(_BY_NAME) ^ set(CHECKS))}")
ORDERED: tuple[Check, ...] = tuple(_BY_NAME[name] for name in CHECKS)
