"""navigator_mismatch: user agent, platform, client hints, worker and frame name different browsers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.causes import first_of
from enrichers.consistency import ALL, contradictions_on, said
from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool, Enriched


class NavigatorMismatch(SmartSignal):
    """Statements of one browser about itself, compared pair by pair; what one lie contradicts counts once."""

    name = "navigator_mismatch"
    recorded = True
    version = 2
    question = "User agent, platform, client hints, worker and frame disagree about the browser."
    held_down = (
        "The desktop-site switch of phones changes the mobile hint, and updates race with brands: both are weak."
    )
    inputs = (
        "navigator.platform",
        "navigator.product_sub",
        "navigator.oscpu",
        "navigator.language",
        "navigator.hardware_concurrency",
        "client_hints.platform",
        "worker.platform",
        "worker.language",
        "worker.hardware_concurrency",
        "frame.platform",
        "frame.language",
        *ALL.inputs,
    )
    clues = (
        Clue("platform_is_not_user_agents", 0.75, "Platform and user agent name different systems."),
        Clue("client_hints_are_not_user_agents", 0.7, "Client hints name another system than the user agent."),
        Clue("brand_is_not_user_agents", 0.7, "The brand of the client hints is another browser's."),
        Clue("system_version_is_wrong", 0.5, "Version of the system, model or form factor are another device's."),
        Clue("hints_contradict_each_other", 0.6, "Client hints of low and high entropy differ."),
        Clue("brand_version_is_wrong", 0.4, "Brand and user agent differ in version; an update may be half-way."),
        Clue("mobile_hint_is_wrong", 0.35, "The mobile hint is not the user agent's; the desktop-site switch does it."),
        Clue("no_client_hints", 0.45, "A current desktop Chrome in a secure context has client hints: 0 of 15,017."),
        Clue("worker_platform", 0.8, "The worker names another platform."),
        Clue("worker_cores", 0.65, "The worker counts other cores."),
        Clue("worker_differs", 0.65, "The worker differs in user agent, languages, memory, hints or time zone."),
        Clue("worker_language", 0.45, "The worker names another language; some browsers cut it short."),
        Clue("frame_platform", 0.8, "A fresh frame names another platform."),
        Clue("frame_differs", 0.65, "A fresh frame differs in user agent, cores, screen, vendor or time zone."),
        Clue("frame_language", 0.5, "A fresh frame names another language."),
        Clue("engine_is_not_user_agents", 0.8, "Features or errors are another engine's than the user agent names."),
        Clue("vendor_is_not_browsers", 0.6, "The vendor string is another engine's."),
        Clue("product_sub_is_not_engines", 0.6, "20030107 is Chromium's and WebKit's, 20100101 is Firefox's."),
        Clue("oscpu_outside_firefox", 0.6, "Only Firefox has navigator.oscpu."),
        Clue("version_is_not_engines", 0.55, "Features are of another version than the user agent names."),
        Clue("language_list_is_wrong", 0.15, "The first language of the list is not the language."),
    )

    def computable(self, view: View) -> Bool:
        """The user agent was parsed, and there is something to compare it with."""
        other = (view.category("navigator.platform") != 0) | (view.category("client_hints.platform") != 0)
        return (view.environment.browser != 0) & (other | (view.category("worker.platform") != 0))

    def observe(self, view: View) -> Sequence[Bool]:
        """Compare pair by pair. Of what one lie contradicts, the strongest is the reason."""
        seen, check = view.once(ALL.seen), view.check
        system = first_of(
            check("platform_contradicts_user_agent"),
            check("client_hints_contradict_user_agent"),
            check("brand_contradicts_user_agent"),
            check("system_version_contradicts_user_agent") | check("form_factor_contradicts_user_agent"),
            check("client_hints_contradict_each_other"),
            check("brand_version_contradicts_user_agent"),
            check("mobile_hint_contradicts_user_agent"),
        )
        here, there = view.number("navigator.hardware_concurrency"), view.number("worker.hardware_concurrency")
        worker_language = view.differs("worker.language", "navigator.language")
        worker_platform, cores, language, other = first_of(
            view.differs("worker.platform", "navigator.platform"),
            np.abs(here - there) > 0,
            worker_language & ~check("worker_navigator_contradicts_page"),
            seen["worker_contradicts_page"],
        )
        frame_platform, frame_language, frame_other = first_of(
            view.differs("frame.platform", "navigator.platform"),
            view.differs("frame.language", "navigator.language") & ~check("frame_navigator_contradicts_page"),
            seen["frame_contradicts_page"],
        )
        firefox, ios = view.browser("firefox"), view.system("ios")
        wrong_product = (view.chromium | view.browser("safari")) & view.is_one_of("navigator.product_sub", "20100101")
        wrong_product |= firefox & ~ios & view.is_one_of("navigator.product_sub", "20030107")
        engine = first_of(
            seen["engine_contradicts_user_agent"],
            seen["vendor_contradicts_browser"],
            wrong_product,
            (view.category("navigator.oscpu") != 0) & ~firefox & (view.environment.browser != 0),
            seen["version_contradicts_user_agent"],
        )
        return (
            *system,
            check("client_hints_missing"),
            worker_platform,
            cores,
            other,
            language,
            frame_platform,
            frame_other,
            frame_language,
            *engine,
            seen["language_list_contradicts_language"],
        )

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return what the user agent says, and where another system is named."""
        return {**said(batch, row), "contradictions": contradictions_on(batch, row)}
