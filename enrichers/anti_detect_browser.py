"""anti_detect_browser: a browser made to lie about its engine and machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool


class AntiDetectBrowser(SmartSignal):
    """Lies that need a patched browser or an injected script: replaced natives, another engine under the name."""

    name = "anti_detect_browser"
    question = "The browser was built or patched to pretend to be another one."
    threshold = 0.6
    held_down = (
        "Wallet extensions (proxy, own properties), content blockers (replaced natives) and Office fonts on a Mac: "
        "any one of these, or a proxy with an own property, stays under the threshold."
    )
    inputs = (
        "automation.native_code_altered",
        "automation.prototype_altered",
        "automation.proxy_detected",
        "automation.navigator_own_properties",
        "automation.webdriver_altered",
        "check.worker_gpu_contradicts_page",
        "check.worker_contradicts_page",
        "check.webgl_limits_impossible",
        "check.gpu_contradicts_system",
        "timing.eval_length",
        "navigator.has_build_id",
        "navigator.oscpu",
        "api.mozilla_inner_screen",
        "api.chrome",
        "fonts.segoe_ui",
        "fonts.helvetica_neue",
        "fonts.menlo",
    )
    clues = (
        Clue("native_code_altered", 0.35, "Native functions print differently; content blockers do that too."),
        Clue("prototype_altered", 0.35, "Descriptors differ from the engine's."),
        Clue("proxy_detected", 0.4, "Natives wrapped in a Proxy, the way of stealth plugins; wallets do so as well."),
        Clue("navigator_own_properties", 0.3, "Values defined on navigator itself, the way of init scripts."),
        Clue("webdriver_altered", 0.65, "navigator.webdriver was redefined; no honest software needs that."),
        Clue("worker_gpu_contradicts_page", 0.55, "The page's graphics were replaced, the worker's forgotten."),
        Clue("worker_contradicts_page", 0.5, "The page's navigator was replaced, the worker's forgotten."),
        Clue("webgl_limits_impossible", 0.45, "Made-up graphics limits."),
        Clue("gpu_contradicts_system", 0.35, "Graphics of another system."),
        Clue("engine_is_not_chromium", 0.7, "Says Chromium, but evaluates as another engine or has Firefox's names."),
        Clue("engine_is_not_firefox", 0.7, "Says Firefox, but evaluates as Chromium or has window.chrome."),
        Clue("engine_is_not_webkit", 0.7, "Says Safari, but evaluates as Chromium or has Firefox's names."),
        Clue("fonts_of_another_system", 0.4, "System fonts of another system and none of its own."),
    )

    def computable(self, view: View) -> Bool:
        """The browser was parsed, and replaced functions or the engine's habits were looked for."""
        looked = view.known("automation.native_code_altered", "automation.prototype_altered")
        return (view.environment.browser != 0) & (looked | ~np.isnan(view.number("timing.eval_length")))

    def observe(self, view: View) -> Sequence[Bool]:
        """Compare the engine that is named with the engine that answers."""
        length = view.number("timing.eval_length")
        gecko = view.true("api.mozilla_inner_screen") | view.true("navigator.has_build_id")
        gecko |= view.category("navigator.oscpu") != 0
        blink = length == 33
        foreign_fonts = (
            view.system("windows") & view.true("fonts.helvetica_neue") & view.true("fonts.menlo")
        ) & view.false("fonts.segoe_ui")
        foreign_fonts |= view.system("macos") & view.true("fonts.segoe_ui") & view.false("fonts.helvetica_neue")
        on_ios = view.system("ios")  # every browser there is WebKit under another name
        safari = view.browser("safari")
        firefox = view.browser("firefox") & ~on_ios
        return (
            view.true("automation.native_code_altered"),
            view.true("automation.prototype_altered"),
            view.true("automation.proxy_detected"),
            view.true("automation.navigator_own_properties"),
            view.true("automation.webdriver_altered"),
            view.check("worker_gpu_contradicts_page"),
            view.check("worker_contradicts_page"),
            view.check("webgl_limits_impossible"),
            view.check("gpu_contradicts_system"),
            view.chromium & ~on_ios & ((length == 37) | gecko),
            firefox & (blink | view.true("api.chrome")),
            safari & (blink | gecko),
            foreign_fonts,
        )
