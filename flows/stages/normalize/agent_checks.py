"""Checks of the user agent against platform, vendor and client hints."""

from __future__ import annotations

import numpy as np

from flows.stages.normalize.seen import Check, Seen, differ
from schemas.batches import Bool

_BRANDED = ("chrome", "edge", "opera", "samsung", "firefox", "safari")
_HINTS_SINCE = 90  # every Chromium of this version has client hints in a secure context
_LAST_OLD_WINDOWS = 109


def user_agent_unparsed(seen: Seen) -> Bool:
    """No browser is known that says this."""
    return seen.client["shown"] & (seen.browser == 0)


def platform_contradicts_user_agent(seen: Seen) -> Bool:
    """``navigator.platform`` is another system's."""
    return seen.misfits("navigator.platform", seen.system) & (seen.system != 0)


def client_hints_contradict_user_agent(seen: Seen) -> Bool:
    """The platform of the client hints is another system's."""
    return seen.misfits("client_hints.platform", seen.system) & (seen.system != 0)


def mobile_hint_contradicts_user_agent(seen: Seen) -> Bool:
    """The mobile hint is not that of the device."""
    on_desktop = seen.true("client_hints.mobile") & seen.device_in("desktop")
    return on_desktop | (seen.false("client_hints.mobile") & seen.device_in("phone"))


def brand_version_contradicts_user_agent(seen: Seen) -> Bool:
    """The significant brand has another major version than the user agent."""
    apart = np.abs(seen.number("client_hints.brand_version") - seen.client["version"]) >= 1
    return seen.browser_in("chrome", "edge", "headless_chrome") & apart


def brand_contradicts_user_agent(seen: Seen) -> Bool:
    """The significant brand is another browser's."""
    return seen.misfits("client_hints.brand", seen.browser) & seen.browser_in(*_BRANDED)


def client_hints_missing(seen: Seen) -> Bool:
    """A Chrome or Edge of a desktop without ``navigator.userAgentData``, which each has in a secure context."""
    current = seen.engine_in("chromium") & (seen.client["engine_version"] >= _HINTS_SINCE)
    here = current & seen.true("page.secure_context") & seen.device_in("desktop")
    return here & seen.browser_in("chrome", "edge") & seen.false("navigator.has_user_agent_data")


def client_hints_contradict_each_other(seen: Seen) -> Bool:
    """Low entropy against high, and "32-bit Windows program" elsewhere."""
    foreign = ~seen.word("client_hints.platform", "Windows") & (seen.category("client_hints.platform") != 0)
    wrong = seen.differing["client_hints_contradict_each_other"] | (seen.true("client_hints.wow64") & foreign)
    return wrong | seen.false("client_hint.low_entropy_consistent")


def form_factor_contradicts_user_agent(seen: Seen) -> Bool:
    """A phone's form factor on a desktop, or the other way round; Linux may be a phone that shows desktop sites."""
    factor = "client_hint.form_factors"
    desktop = seen.device_in("desktop") & seen.system_in("windows", "macos", "chromeos")
    wrong = desktop & seen.word(factor, "Mobile", "Watch", "EInk")
    return wrong | (seen.device_in("phone") & seen.word(factor, "Desktop"))


def system_version_contradicts_user_agent(seen: Seen) -> Bool:
    """The system's version or the device's model is not that of a user agent that is not frozen."""
    hint, named = seen.hinted_version, seen.client["system_version"]
    windows = seen.system_in("windows")
    # Chrome 107 froze the user agent at Windows 10, and 109 was the last for older systems, which the hint still names.
    older = windows & np.isnan(named) & (hint < 10) & (seen.client["engine_version"] > _LAST_OLD_WINDOWS)
    newer = windows & (named < 10) & (hint >= 10)
    other = seen.system_in("android") & (np.abs(np.floor(hint) - np.floor(named)) >= 1)
    model = differ(seen.category("client_hints.model"), seen.client["model"])
    return older | newer | other | (model & ~seen.word("client_hints.model", ""))


CHECKS: tuple[Check, ...] = (
    user_agent_unparsed,
    platform_contradicts_user_agent,
    client_hints_contradict_user_agent,
    mobile_hint_contradicts_user_agent,
    brand_version_contradicts_user_agent,
    brand_contradicts_user_agent,
    client_hints_missing,
    client_hints_contradict_each_other,
    form_factor_contradicts_user_agent,
    system_version_contradicts_user_agent,
)
