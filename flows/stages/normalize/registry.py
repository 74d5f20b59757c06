"""Every check by its name, in the order of their bits."""

from __future__ import annotations

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

_MODULES = (
    agent_checks,
    context_checks,
    engine_checks,
    graphics_checks,
    place_checks,
    rendering_checks,
    screen_checks,
)
_BY_NAME = {check.__name__: check for module in _MODULES for check in module.CHECKS}
if set(_BY_NAME) != set(CHECKS):
    raise ValueError(f"checks and schemas.environment.CHECKS differ in {sorted(set(_BY_NAME) ^ set(CHECKS))}")
ORDERED: tuple[Check, ...] = tuple(_BY_NAME[name] for name in CHECKS)
