"""The clients: who visits the demo shop, and for which reasons each may rightly be called automated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["attacker", "control"]
How = Literal["driven", "alone", "person"]


@dataclass(frozen=True, slots=True)
class Client:
    """One client. ``driven``: by its tool, through drive.mjs; ``alone``: from the command line; ``person``: by hand.

    ``right``: the reasons that are right for it, each with why. A verdict on other grounds alone was luck.
    """

    name: str
    what: str
    kind: Kind = "attacker"
    how: How = "driven"
    program: str = "chromium"
    flags: Sequence[str] = ()
    right: Mapping[str, str] = field(default_factory=dict)


_FLAG = {"webdriver": "the tool starts the browser with the flag of the WebDriver standard, and hides nothing"}
_NAMED = {"headless_user_agent": "the user agent is HeadlessChrome's"}
_DEBUGGER = {"debugger_attached": "the tool listens to the page's console through the debugging protocol"}
_NO_DISPLAY = {
    "default_screen": "800 by 600, the screen of a browser that has none",
    "no_pointer": "no mouse and no touch is attached to what has no display",
    "hidden_scroll_bars": "the tool hides the scroll bars",
    "window_covers_screen": "the window is as large as the screen that it has not",
    "screen_is_viewport": "the screen is emulated in the viewport's size",
    "no_chrome_object": "the old headless Chromium has no window.chrome",
    "zero_round_trip": "a round trip of 0 ms is the old headless Chromium's",
}
_FORGED = {
    "permissions_inconsistent": "the old headless Chromium denies notifications and says that it would ask",
    "forged_objects": "the old headless Chromium's lists of plugins are not a browser's",
}
_HIDDEN_FLAG = {
    "webdriver_redefined": "the script defines navigator.webdriver anew",
    "hiding_functions_altered": "the script replaces the getter of navigator.webdriver",
    "functions_hide": "the script replaces the getter of navigator.webdriver",
}
_LIES = {
    "worker_contradicts_page": "the script lies in the page only",
    "worker_was_forgotten": "the script lies in the page only",
    "version_contradicts_user_agent": "the browser is of another version than the user agent that is made up",
    "version_is_another": "the browser is of another version than the user agent that is made up",
    "webgl_contradicts_itself": "vendor and renderer are replaced, limits and extensions are not",
    "graphics_are_made_up": "vendor and renderer are replaced, limits and extensions are not",
}
_STEALTH = {
    **_HIDDEN_FLAG,
    "system_contradicts_user_agent": "the plugin says Windows, the rest is Linux",
    "worker_contradicts_page": "the plugin changes the page, and not every worker or frame",
    "worker_was_forgotten": "the plugin changes the page, and not every worker or frame",
    "frame_contradicts_page": "the plugin changes the page, and not every worker or frame",
    "graphics_are_made_up": "the plugin says a graphics card of Intel's that is not there",
    "webgl_contradicts_itself": "the plugin says a graphics card of Intel's that is not there",
    "hiding_functions": "the plugin replaces functions that show automation",
    "functions_print_lies": "the plugin makes its replacements print as native ones",
}
_SCRIPT_LIES = {
    **_HIDDEN_FLAG,
    **_LIES,
    "navigator_own_properties": "the script defines properties on navigator itself",
    "system_contradicts_user_agent": "the user agent says Windows, the rest is Linux",
}
_CHROMEDRIVER = {"cdc_globals": "chromedriver leaves its variables in the page"}
_HANDS = {
    "clicks_of_no_length": "the tool lets the pointer's key go as soon as it has pressed it",
    "filled_without_hand": "a script sets the fields, and no key is pressed",
}
_HEADLESS = {**_FLAG, **_NAMED, **_DEBUGGER, **_NO_DISPLAY}
_OLD_HEADLESS = {**_HEADLESS, **_FORGED}

CLIENTS = (
    Client("chromium-headed", "Chromium in a window, used by hand", "control", "person"),
    Client("firefox-headed", "Firefox in a window, used by hand", "control", "person", "firefox-esr"),
    Client(
        "chromium-headless",
        "Chromium --headless from the command line",
        how="alone",
        flags=("--headless",),
        right={**_NAMED, **_NO_DISPLAY},
    ),
    Client(
        "chromium-old-headless",
        "the old headless Chromium from the command line",
        how="alone",
        program="chromium-headless-shell",
        right=_OLD_HEADLESS,
    ),
    Client("puppeteer", "Puppeteer, headless", right=_HEADLESS),
    Client("puppeteer-old-headless", "Puppeteer with the old headless Chromium", right=_OLD_HEADLESS),
    Client("puppeteer-headed", "Puppeteer in a window", right={**_FLAG, **_DEBUGGER, **_HANDS}),
    Client(
        "puppeteer-no-flag",
        "Puppeteer in a window, without the flag of automation",
        right={**_DEBUGGER, **_HANDS},
    ),
    Client(
        "puppeteer-stealth",
        "Puppeteer with the stealth plugin, headless",
        right={**_NAMED, **_DEBUGGER, **_NO_DISPLAY, **_STEALTH},
    ),
    Client(
        "puppeteer-stealth-headed",
        "Puppeteer with the stealth plugin, in a window",
        right={**_DEBUGGER, **_STEALTH, **_HANDS},
    ),
    Client(
        "fingerprint-injector",
        "Puppeteer with an injected fingerprint of somebody else",
        right={**_DEBUGGER, **_NO_DISPLAY, **_SCRIPT_LIES},
    ),
    Client(
        "init-script",
        "Puppeteer with a script that overwrites navigator and WebGL",
        right={**_NAMED, **_DEBUGGER, **_NO_DISPLAY, **_SCRIPT_LIES},
    ),
    Client(
        "init-script-headed",
        "Puppeteer in a window with a script that hides the WebDriver flag",
        right={**_DEBUGGER, **_HIDDEN_FLAG, **_HANDS},
    ),
    Client("playwright", "Playwright, headless", right=_HEADLESS),
    Client("playwright-headed", "Playwright in a window", right={**_FLAG, **_DEBUGGER, **_HANDS}),
    Client(
        "playwright-stealth",
        "Playwright with the stealth plugin, headless",
        right={**_NAMED, **_DEBUGGER, **_NO_DISPLAY, **_STEALTH},
    ),
    Client(
        "playwright-injector",
        "Playwright with an injected fingerprint of somebody else",
        right={**_DEBUGGER, **_NO_DISPLAY, **_SCRIPT_LIES},
    ),
    Client("patchright", "Patchright, headless", right={**_NAMED, **_NO_DISPLAY}),
    Client("patchright-headed", "Patchright in a window", right=_HANDS),
    Client("rebrowser", "Rebrowser's Puppeteer, headless", right={**_FLAG, **_NAMED, **_NO_DISPLAY}),
    Client("rebrowser-headed", "Rebrowser's Puppeteer in a window, without the flag of automation", right=_HANDS),
    Client("selenium", "Selenium, headless", right={**_HEADLESS, **_CHROMEDRIVER}),
    Client("selenium-headed", "Selenium in a window", right={**_FLAG, **_DEBUGGER, **_CHROMEDRIVER, **_HANDS}),
    Client(
        "selenium-stealth-flags",
        "Selenium, headless, with the flags and the script that hide it",
        right={**_DEBUGGER, **_NO_DISPLAY, **_HIDDEN_FLAG, **_CHROMEDRIVER},
    ),
    Client(
        "selenium-undetected",
        "Selenium in a window, with a chromedriver that leaves no variables",
        right={**_DEBUGGER, **_HANDS},
    ),
    Client("firefox-bidi", "Firefox driven by WebDriver BiDi, headless", right={**_FLAG, **_NO_DISPLAY}),
    Client("firefox-bidi-headed", "Firefox driven by WebDriver BiDi, in a window", right={**_FLAG, **_HANDS}),
    Client(
        "firefox-bidi-no-flag",
        "Firefox driven by WebDriver BiDi, in a window, with the WebDriver flag hidden",
        right={**_HIDDEN_FLAG, **_HANDS},
    ),
)
BY_NAME = {client.name: client for client in CLIENTS}
