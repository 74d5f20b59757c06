"""bot: the browser is driven by a program and says so, or the user agent is a program's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool

_GLOBALS = (
    "selenium_globals",
    "cdc_globals",
    "playwright_globals",
    "puppeteer_globals",
    "phantom_globals",
    "nightmare_globals",
    "dom_automation",
    "awesomium",
    "sequentum",
)
_EVAL_LENGTHS = (33, 37)  # eval.toString().length: 33 in Chromium, 37 in Firefox and Safari


class Bot(SmartSignal):
    """Bad automation, by the detectors of BotD."""

    name = "bot"
    question = "The browser is driven by automation, or the client is a program and not a browser."
    held_down = (
        "UC, Baidu and in-app browsers answer the permission API inconsistently, and lists of languages or plugins "
        "may be empty there: each of these clues alone stays under the threshold."
    )
    inputs = (
        "navigator.webdriver",
        "navigator.languages_count",
        "navigator.plugins_count",
        "navigator.pdf_viewer_enabled",
        "timing.eval_length",
        "automation.webdriver_attribute",
        "automation.iframe_webdriver",
        "automation.worker_webdriver",
        "automation.error_stack_marker",
        "automation.permissions_inconsistent",
        *(f"automation.{name}" for name in _GLOBALS),
    )
    clues = (
        Clue("webdriver", 0.95, "The WebDriver standard sets it, and only automation does."),
        Clue("webdriver_attribute", 0.95, "Selenium's attribute on the document's root."),
        Clue("iframe_webdriver", 0.9, "Hidden in the page, still there in a fresh frame: somebody hid it."),
        Clue("worker_webdriver", 0.9, "Hidden in the page, still there in a worker."),
        *(Clue(name, 0.97, "A global variable that only this tool defines.") for name in _GLOBALS),
        Clue("headless_user_agent", 0.97, "The user agent names a headless browser."),
        Clue("bot_user_agent", 0.9, "The user agent names a crawler; a good one is still no buyer."),
        Clue("error_stack_marker", 0.85, "The stack of an error holds an automation tool's frames."),
        Clue("eval_length_unknown", 0.3, "No browser engine of today prints eval at this length; old ones do."),
        Clue(
            "permissions_inconsistent", 0.35, "Denied by the API and prompt by the query; so do some in-app browsers."
        ),
        Clue("no_languages", 0.35, "Every person's browser has a language; some in-app browsers hide it."),
        Clue("no_plugins", 0.15, "Desktop Chromium has the PDF plugins unless the person switched the viewer off."),
    )

    def computable(self, view: View) -> Bool:
        """Either the flag or one of the tools' traces was looked for."""
        return view.known("navigator.webdriver", "automation.webdriver_attribute", "automation.selenium_globals")

    def observe(self, view: View) -> Sequence[Bool]:
        """Look at flags, globals, the user agent and the engine's habits."""
        length = view.number("timing.eval_length")
        odd_length = ~np.isnan(length) & (length != _EVAL_LENGTHS[0]) & (length != _EVAL_LENGTHS[1])
        viewer_on = ~view.false("navigator.pdf_viewer_enabled")
        no_plugins = (view.number("navigator.plugins_count") == 0) & view.chromium & view.desktop & viewer_on
        return (
            view.true("navigator.webdriver"),
            view.true("automation.webdriver_attribute"),
            view.true("automation.iframe_webdriver"),
            view.true("automation.worker_webdriver"),
            *(view.true(f"automation.{name}") for name in _GLOBALS),
            view.browser("headless_chrome"),
            view.browser("bot"),
            view.true("automation.error_stack_marker"),
            odd_length,
            view.true("automation.permissions_inconsistent"),
            view.number("navigator.languages_count") == 0,
            no_plugins,
        )
