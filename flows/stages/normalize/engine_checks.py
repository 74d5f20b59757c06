"""Checks of what the browser can do, and of how its engine speaks, against the browser that it says it is."""

from __future__ import annotations

import numpy as np

from flows.stages.normalize.seen import Check, Seen, no_power_of_two
from schemas.batches import Bool

# eval.toString().length: V8 prints a function on one line, the others on three (botd, evalLength).
_SHORT_EVAL, _LONG_EVAL = 33, 37
_PLUGINS, _MIME_TYPES = 5, 2  # fixed by the HTML standard wherever PDF files can be viewed
_LEAST_MEMORY, _MOST_MEMORY = 0.25, 32  # GiB, powers of two: the Device Memory specification; 16 and 32 since 2025


def engine_contradicts_user_agent(seen: Seen) -> Bool:
    """Features and error messages are another engine's."""
    found = seen.evidence.engine
    return (found != 0) & (seen.engine != 0) & (found != seen.engine)


def engines_mixed(seen: Seen) -> Bool:
    """Features that only one engine has, of two engines."""
    return seen.evidence.mixed


def features_newer_than_user_agent(seen: Seen) -> Bool:
    """CSS properties that the named version does not know yet."""
    return seen.evidence.newer


def features_older_than_user_agent(seen: Seen) -> Bool:
    """CSS properties missing that the named version has had for long."""
    return seen.evidence.older


def script_engine_contradicts_user_agent(seen: Seen) -> Bool:
    """The JavaScript engine prints functions or names mistakes as another one does."""
    length = seen.number("timing.eval_length")
    other = (length == _SHORT_EVAL) & seen.engine_in("gecko", "webkit")
    return seen.evidence.foreign_words | other | ((length == _LONG_EVAL) & seen.engine_in("chromium"))


def navigator_contradicts_engine(seen: Seen) -> Bool:
    """Navigator has what only another engine's has, or its build date."""
    gecko = (seen.counts["gecko_members"] > 0) | (seen.category("navigator.oscpu") != 0)
    chromium = (seen.counts["chromium_members"] > 0) | ~np.isnan(seen.number("navigator.device_memory"))
    foreign = (gecko & ~seen.engine_in("gecko")) | (chromium & ~seen.engine_in("chromium"))
    foreign |= seen.misfits("navigator.product_sub", seen.engine)
    return foreign & (seen.engine != 0)


def vendor_contradicts_browser(seen: Seen) -> Bool:
    """``navigator.vendor`` is another engine's; every browser on iOS is WebKit."""
    wrong = seen.misfits("navigator.vendor", seen.browser)
    return wrong & ~(seen.system_in("ios") | seen.browser_in("unknown", "bot"))


def plugins_contradict_pdf_viewer(seen: Seen) -> Bool:
    """Fewer plugins than the standard fixes, or some where there should be none; Brave adds two of its own."""
    plugins, types = seen.number("navigator.plugins_count"), seen.number("navigator.mime_types_count")
    fewer = (plugins < _PLUGINS) | (types < _MIME_TYPES)
    return (seen.true("navigator.pdf_viewer_enabled") & fewer) | (
        seen.false("navigator.pdf_viewer_enabled") & (plugins + types > 0) & ~seen.true("api.brave")
    )


def device_memory_impossible(seen: Seen) -> Bool:
    """A size that no browser rounds to."""
    memory = seen.number("navigator.device_memory")
    return ~np.isnan(memory) & (no_power_of_two(memory) | (memory > _MOST_MEMORY) | (memory < _LEAST_MEMORY))


def fonts_contradict_system(seen: Seen) -> Bool:
    """At least three fonts of another system, and not one of its own."""
    windows, apple, linux = (seen.counts[f"{name}_fonts"] for name in ("windows", "apple", "linux"))
    on_windows = seen.system_in("windows") & (windows == 0) & ((apple >= 3) | (linux >= 3))
    on_apple = seen.system_in("macos", "ios") & (apple == 0) & ((windows >= 3) | (linux >= 3))
    return on_windows | on_apple | (seen.system_in("android") & ((windows >= 3) | (apple >= 3)))


def number_out_of_range(seen: Seen) -> Bool:
    """A number lay outside what the catalogue allows, and was taken away."""
    return seen.nulled


CHECKS: tuple[Check, ...] = (
    engine_contradicts_user_agent,
    engines_mixed,
    features_newer_than_user_agent,
    features_older_than_user_agent,
    script_engine_contradicts_user_agent,
    navigator_contradicts_engine,
    vendor_contradicts_browser,
    plugins_contradict_pdf_viewer,
    device_memory_impossible,
    fonts_contradict_system,
    number_out_of_range,
)
