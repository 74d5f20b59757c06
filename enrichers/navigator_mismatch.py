"""navigator_mismatch: user agent, platform, client hints, worker and frame name different browsers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool

_HINTS_SINCE = 90  # every Chromium of this major version has client hints in a secure context


class NavigatorMismatch(SmartSignal):
    """Statements of one browser about itself, compared pair by pair."""

    name = "navigator_mismatch"
    question = "User agent, platform, client hints, worker and frame disagree about the browser."
    held_down = (
        "The desktop-site switch of phones changes the mobile hint, and updates race with brands: both are weak."
    )
    inputs = (
        "navigator.user_agent",
        "navigator.platform",
        "navigator.vendor",
        "navigator.product_sub",
        "navigator.oscpu",
        "navigator.has_user_agent_data",
        "navigator.hardware_concurrency",
        "client_hints.platform",
        "client_hints.brand_version",
        "client_hints.mobile",
        "page.secure_context",
        "worker.platform",
        "worker.language",
        "worker.hardware_concurrency",
        "frame.platform",
        "frame.language",
    )
    clues = (
        Clue("platform_is_not_user_agents", 0.7, "Platform and user agent name different systems."),
        Clue("client_hints_are_not_user_agents", 0.7, "Client hints and user agent name different systems."),
        Clue("mobile_hint_is_wrong", 0.35, "The mobile hint is not the user agent's; the desktop-site switch does it."),
        Clue("brand_version_is_wrong", 0.45, "Brand and user agent differ in version; an update may be half-way."),
        Clue("worker_platform", 0.75, "The worker names another platform."),
        Clue("worker_language", 0.45, "The worker names another language; some browsers cut it short."),
        Clue("worker_cores", 0.6, "The worker counts other cores."),
        Clue("frame_platform", 0.75, "A fresh frame names another platform."),
        Clue("frame_language", 0.5, "A fresh frame names another language."),
        Clue("worker_or_frame_user_agent", 0.6, "A worker or frame differs, in the user agent where nowhere else."),
        Clue("vendor_is_not_browsers", 0.6, "The vendor string is another engine's."),
        Clue("product_sub_is_not_engines", 0.6, "20030107 is Chromium's and WebKit's, 20100101 is Firefox's."),
        Clue("oscpu_outside_firefox", 0.6, "Only Firefox has navigator.oscpu."),
        Clue("no_client_hints", 0.2, "A current desktop Chromium in a secure context has client hints."),
        Clue("language_list_is_wrong", 0.15, "The first language of the list is not the language."),
    )

    def computable(self, view: View) -> Bool:
        """The user agent was parsed, and there is something to compare it with."""
        other = (view.category("navigator.platform") != 0) | (view.category("client_hints.platform") != 0)
        return (view.environment.browser != 0) & (other | (view.category("worker.platform") != 0))

    def observe(self, view: View) -> Sequence[Bool]:
        """Compare pair by pair."""
        chromium, firefox = view.chromium, view.browser("firefox")
        ios = view.system("ios")
        worker_platform = view.differs("worker.platform", "navigator.platform")
        worker_language = view.differs("worker.language", "navigator.language")
        here, there = view.number("navigator.hardware_concurrency"), view.number("worker.hardware_concurrency")
        worker_cores = np.abs(here - there) > 0
        frame_platform = view.differs("frame.platform", "navigator.platform")
        frame_language = view.differs("frame.language", "navigator.language")
        named = worker_platform | worker_language | worker_cores | frame_platform | frame_language
        copies = view.check("worker_contradicts_page") | view.check("frame_contradicts_page")
        wrong_product = (chromium | view.browser("safari")) & view.is_one_of("navigator.product_sub", "20100101")
        wrong_product |= firefox & ~ios & view.is_one_of("navigator.product_sub", "20030107")
        current = (view.environment.browser_version >= _HINTS_SINCE) & view.true("page.secure_context")
        return (
            view.check("platform_contradicts_user_agent"),
            view.check("client_hints_contradict_user_agent"),
            view.check("mobile_hint_contradicts_user_agent"),
            view.check("brand_version_contradicts_user_agent"),
            worker_platform,
            worker_language,
            worker_cores,
            frame_platform,
            frame_language,
            copies & ~named,
            view.check("vendor_contradicts_browser"),
            wrong_product,
            (view.category("navigator.oscpu") != 0) & ~firefox & (view.environment.browser != 0),
            view.false("navigator.has_user_agent_data") & chromium & current & view.desktop,
            view.check("language_list_contradicts_language"),
        )
