"""tampering: what the browser says of itself contradicts itself."""

from __future__ import annotations

from collections.abc import Sequence

from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool

_CHECKS = (
    Clue("worker_contradicts_page", 0.65, "A worker is the same browser; spoofers forget it."),
    Clue("frame_contradicts_page", 0.65, "A fresh frame is the same browser."),
    Clue("platform_contradicts_user_agent", 0.5, "Platform and user agent name different systems."),
    Clue("client_hints_contradict_user_agent", 0.5, "Client hints and user agent name different systems."),
    Clue("mobile_hint_contradicts_user_agent", 0.3, "The mobile hint is wrong; the desktop-site switch of phones too."),
    Clue("brand_version_contradicts_user_agent", 0.35, "Brand and user agent differ in version; updates race there."),
    Clue("vendor_contradicts_browser", 0.4, "The vendor string is another engine's."),
    Clue("gpu_contradicts_system", 0.35, "Graphics that this system does not run on; the data has rare true ones."),
    Clue("worker_gpu_contradicts_page", 0.45, "A worker sees other graphics; two cards in one laptop explain a few."),
    Clue("timezone_offset_contradicts_zone", 0.3, "The offset is not the zone's; outdated zone tables explain some."),
    Clue("language_list_contradicts_language", 0.15, "The first language is not the language; in-app browsers do so."),
    Clue("webgl_limits_impossible", 0.4, "Limits that no driver reports."),
    Clue("touch_contradicts_device", 0.3, "A phone without touch; emulation, and a few televisions."),
    Clue("number_out_of_range", 0.15, "A number outside what the signal can be."),
)
_TRACES = (
    Clue("native_code_altered", 0.35, "A native function was replaced; content blockers and wallets do so too."),
    Clue("prototype_altered", 0.35, "A prototype was changed; some extensions do so too."),
    Clue("navigator_own_properties", 0.4, "Navigator has properties of its own; few extensions add one."),
    Clue("proxy_detected", 0.4, "A function is wrapped in a Proxy; wallet extensions use one."),
    Clue("webdriver_altered", 0.7, "The descriptor of navigator.webdriver was changed, which only hides automation."),
    Clue("languages_inconsistent", 0.25, "The getters of languages disagree."),
)


class Tampering(SmartSignal):
    """An anomaly score over contradictions, each with the share of honest browsers that show it in mind."""

    name = "tampering"
    question = "The browser's own statements contradict each other, or its functions were replaced."
    threshold = 0.6
    held_down = (
        "Wallet extensions and content blockers replace functions, and browser updates race with client hints: each "
        "alone stays under the threshold."
    )
    inputs = (*(f"check.{clue.reason}" for clue in _CHECKS), *(f"automation.{clue.reason}" for clue in _TRACES))
    clues = (*_CHECKS, *_TRACES)

    def computable(self, view: View) -> Bool:
        """The user agent was parsed, so that there is something to contradict."""
        return view.environment.browser != 0

    def observe(self, view: View) -> Sequence[Bool]:
        """Take the failed checks and the traces of replaced functions."""
        return (
            *(view.check(clue.reason) for clue in _CHECKS),
            *(view.true(f"automation.{clue.reason}") for clue in _TRACES),
        )
