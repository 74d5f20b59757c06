"""bot: the browser is driven by a program and says so, or the client is a program that names itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enrichers.causes import Causes, NamesBy, listed, text_of, word_of
from enrichers.compiled_clues import BOT_BOOLEANS, BOT_NUMBERS, BOT_STATISTICS, bot_clues
from enrichers.crawlers import KIND, crawler_family, crawler_name, verifiable, verified
from enrichers.signal import Clue, SmartSignal
from enrichers.view import CHROMIUM, Loop, View, members
from enrichers.view_loops import BOT
from schemas.activity_statistics import STATISTICS
from schemas.batches import U8, Bool, Enriched, Network
from schemas.catalogue import category_hash, load_catalogue
from schemas.columns import Rows

# Each tool by what only it leaves on the page, and the name that people know it by.
_TOOLS = {
    "selenium_globals": "Selenium",
    "cdc_globals": "ChromeDriver",
    "playwright_globals": "Playwright",
    "puppeteer_globals": "Puppeteer",
    "phantom_globals": "PhantomJS",
    "nightmare_globals": "Nightmare",
    "dom_automation": "Chromium's own test driver",
    "awesomium": "Awesomium",
    "sequentum": "Sequentum",
}
_ALSO_SHOWN_BY = {
    "selenium_globals": ("automation.selenium_globals", "botd.DocumentAttributes"),
    "playwright_globals": ("automation.playwright_globals", "fpscanner.hasPlaywright"),
    "phantom_globals": ("automation.phantom_globals", "botd.ErrorTrace"),
    "sequentum": ("automation.sequentum", "botd.WindowExternal"),
}
# The kinds of botd that no honest page defines by chance; it also takes window.emit, spawn and geb for tools.
_KINDS = (
    "selenium", "webdriver", "webdriverio", "phantomjs", "phantomas", "nightmarejs", "cef", "cefsharp", "fminer",
    "awesomium", "sequentum", "slimerjs", "headless_chrome",
)  # fmt: skip
_NAMED_KINDS = tuple(kind for kind in _KINDS if kind != "headless_chrome")
CAUSES = Causes(
    {
        "webdriver": ("navigator.webdriver", "botd.WebDriver", "fpscanner.hasWebdriver"),
        "hidden_webdriver": (
            "automation.iframe_webdriver", "automation.worker_webdriver", "fpscanner.hasWebdriverIframe",
            "fpscanner.hasWebdriverWorker",
        ),
        "webdriver_redefined": (
            "automation.webdriver_altered", "altered.Navigator.webdriver", "fpscanner.hasWebdriverWritable",
        ),
        "webdriver_attribute": ("automation.webdriver_attribute",),
        **{tool: _ALSO_SHOWN_BY.get(tool, (f"automation.{tool}",)) for tool in _TOOLS},
        "distinctive": ("botd.DistinctiveProperties", "fpscanner.hasSeleniumProperty"),
        "headless_name": ("botd.UserAgent", "botd.AppVersion"),
        "bot_name_anywhere": ("fpscanner.hasBotUserAgent",),
        "source_url_marker": ("automation.source_url_marker",),
        "error_stack_marker": ("automation.error_stack_marker",),
        "forged_objects": (
            "botd.PluginsArray", "botd.MimeTypesConsistent", "!plugin.consistent", "!fpscanner.valid_plugin_array",
            "fpscanner.plugin_overflow", "frame_page.native_code_differs", "frame_page.chrome_differs",
        ),
        "permissions_inconsistent": ("automation.permissions_inconsistent", "botd.NotificationPermissions"),
        "runs_in_application": ("botd.Process",),
    }
)  # fmt: skip
# Functions that stealth plugins replace and that no extension for privacy or video has a use for.
HIDING = (
    "altered.Navigator.webdriver", "altered.Navigator.plugins", "altered.Permissions.query",
    "altered.HTMLIFrameElement.contentWindow", "altered.HTMLMediaElement.canPlayType", "altered.Window.outerWidth",
)  # fmt: skip
_NAMED_ANYWHERE = CAUSES.causes.index("bot_name_anywhere")
_TABLES = members("browser", ("headless_chrome",)), members("browser", CHROMIUM), members("device", ("desktop",))
_IS_BOT, _SUSPECTS = members("browser", ("bot",)), members("browser", ("bot", "unknown"))
_HASHES = np.uint32(category_hash("electron")), np.array([category_hash(kind) for kind in _KINDS], np.uint32)


@cache
def _columns() -> tuple[Any, ...]:
    catalogue = load_catalogue()
    return (
        np.array([catalogue.number(name) for name in BOT_NUMBERS], np.intp),
        np.array([catalogue.boolean(name) for name in BOT_BOOLEANS], np.intp),
        np.array([STATISTICS.index(name) for name in BOT_STATISTICS], np.intp),
        catalogue.category("botd.kind"),
        np.array([catalogue.boolean(name) for name in HIDING], np.intp),
    )


class Bot(SmartSignal):
    """Automation by the detectors of BotD and fpscanner, one clue a cause."""

    name = "bot"
    recorded = True
    version = 2
    question = "The browser is driven by automation, or the client is a program and not a browser."
    held_down = (
        "UC, Baidu and in-app browsers answer the permission API inconsistently and have odd lists of plugins: those "
        "clues ask for a desktop, and none reaches the threshold alone. Pages that may not ask (insecure, or in "
        "another site's frame) are denied notifications by every browser. Developer tools in their own window attach a "
        "debugger too: that counts only together with input that no hand made, or another trace. "
        "A window.emit or spawn of the page is not taken for a tool."
    )
    data_kinds = (KIND,)
    inputs = (
        "navigator.languages_count",
        "navigator.plugins_count",
        "navigator.pdf_viewer_enabled",
        "navigator.user_agent",
        "network.classes",
        "network.asn",
        "page.secure_context",
        "page.in_frame",
        "timing.eval_length",
        "automation.cdp_runtime",
        "automation.devtools_open",
        "botd.kind",
        "activity.clicks",
        "activity.click_hold_mean",
        "activity.pointer_travel",
        "activity.clicks_without_trail",
        "activity.set_by_script",
        "activity.keys",
        "activity.autofilled",
        *CAUSES.inputs,
        *HIDING,
    )
    clues = (
        Clue("webdriver", 0.97, "The WebDriver standard sets it, and only automation does."),
        Clue("hidden_webdriver", 0.95, "Hidden in the page, still there in a fresh frame or in a worker."),
        Clue("webdriver_redefined", 0.8, "navigator.webdriver is not the browser's own: only automation hides it."),
        Clue("webdriver_attribute", 0.95, "Selenium's attribute on the document's root."),
        *(Clue(tool, 0.97, f"What only {name} leaves on the page.") for tool, name in _TOOLS.items()),
        Clue("other_tool", 0.9, "A tool that botd names, by its variables, where none of the above is seen."),
        Clue("headless_user_agent", 0.97, "The user agent or the version of the application is a headless browser's."),
        Clue("headless_name_in_worker", 0.95, "The page names another browser, a worker or a frame the headless one."),
        Clue("verified_crawler", 0.9, "A crawler at its operator's own addresses: a good bot, and still no buyer."),
        Clue("crawler_name_from_elsewhere", 0.95, "A crawler's name at an address that is not its operator's."),
        Clue("crawler_unverified", 0.9, "A robot's name, of an operator that publishes no addresses: a program."),
        Clue("source_url_marker", 0.9, "The agent was called by a script that a tool sent into the page."),
        Clue("error_stack_marker", 0.85, "The stack of an error holds an automation tool's frames."),
        Clue("hiding_functions", 0.8, "Two or more of the functions that stealth plugins replace are replaced."),
        Clue("forged_objects", 0.45, "Plugins or natives are imitations, on a desktop; some in-app browsers' are."),
        Clue("permissions_inconsistent", 0.35, "Denied by one interface and open by the other, where both may answer."),
        Clue("no_languages", 0.35, "Every person's browser has a language; some in-app browsers hide it."),
        Clue("debugger_attached", 0.4, "A debugger's client formats the console, and no panel of tools is open."),
        Clue("clicks_of_no_length", 0.3, "Two clicks and more under 10 ms, by a pointer that moved: 0.5% of honest."),
        Clue("filled_without_hand", 0.25, "Fields set by script, clicks without a trail, no key; managers do so too."),
        Clue("runs_in_application", 0.45, "Electron: programs that scrape, but also programs that show a shop."),
        Clue("eval_length_unknown", 0.3, "No browser engine of today prints eval at this length; old ones do."),
        Clue("no_plugins", 0.15, "Desktop Chromium has the PDF plugins unless the person switched the viewer off."),
    )

    def computable(self, view: View) -> Bool:
        """Either the flag or one of the tools' traces was looked for."""
        return view.known("navigator.webdriver", "automation.webdriver_attribute", "automation.selenium_globals")

    def observe(self, view: View) -> Sequence[Bool]:
        """Look at flags, globals, the user agent, replaced functions and the engine's habits."""
        return view.looped(_LOOP)

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return whether it is a good bot, the tool, and which functions hide it."""
        family = crawler_family(text_of(batch, row, "navigator.user_agent"))
        good = _is_good(family, int(batch.network.asn[row]), int(batch.network.classes[row]))
        return {
            "kind": "good" if good else "bad",
            "crawler": crawler_name(family),
            "tool": tool_of(batch, row),
            "hides": _hidden(batch, row),
        }


def _observe(view: View, found: U8) -> None:
    seen, raw = CAUSES.table(view), view.raw
    suspects = (_SUSPECTS[raw.browser] | seen[_NAMED_ANYWHERE]).nonzero()[0]
    shown = raw.numbers, raw.booleans, raw.known, raw.categories, raw.browser, raw.device, raw.statistics
    bot_clues(shown, _columns(), _TABLES, _HASHES, seen.view(np.uint8), _crawlers(view, suspects), found)


@cache
def _tables() -> tuple[NDArray[Any], ...]:
    """Return what ``view_loops.gather`` takes: the columns, tables and hashes of ``bot_clues``, and who is suspect."""
    numbers, booleans, statistics, kind_at, hiding = _columns()
    at, hashes = (
        np.array([kind_at, _NAMED_ANYWHERE, CAUSES.first], np.int64),
        np.array([_HASHES[0], *_HASHES[1]], np.uint32),
    )
    return numbers, booleans, statistics, at, hiding, *_TABLES, hashes, _SUSPECTS


_LOOP = Loop(len(Bot.clues), _observe, BOT, _tables)


def _crawlers(view: View, suspects: Rows) -> U8:
    """Return where a crawler is at its operator's addresses, where it is not, and where nobody can say, uint8[3, n]."""
    found = np.zeros((3, len(view)), np.uint8)
    if len(suspects):  # seldom: nobody is named a robot
        network, named = view.network, _IS_BOT[view.environment.browser[suspects]].tolist()
        places = zip(named, network.asn[suspects].tolist(), network.classes[suspects].tolist(), strict=True)
        agents = view.texts_at("navigator.user_agent", suspects)
        for row, agent, place in zip(suspects.tolist(), agents, places, strict=True):
            standing = _standing(crawler_family(agent), *place)
            if standing is not None:
                found[standing, row] = 1
    return found


@lru_cache(maxsize=4096)
def _standing(family: int, named: bool, asn: int, classes: int) -> int | None:
    """Return which of these three a client is, by the crawler that it claims to be; None where it is none."""
    if verifiable(np.array([family], np.uint8))[0]:
        return 0 if _is_good(family, asn, classes) else 1
    return 2 if named or family else None


def tool_of(batch: Enriched, row: int) -> str:
    """Return the name of the tool that left traces on one row, "" where none is known."""
    return CAUSES.said_on(batch, row, _traced) or word_of(batch, row, "botd.kind", _NAMED_KINDS)


def _traced(traces: NamesBy) -> str:
    return next((tool for trace, tool in _TOOLS.items() if traces[trace]), "")


def _hidden(batch: Enriched, row: int) -> str:
    return _listed_functions(batch.signals.booleans[row][_hiding()].tobytes())


@cache
def _hiding() -> NDArray[np.intp]:
    """Return the columns of the functions that stealth plugins replace."""
    return np.array([load_catalogue().boolean(name) for name in HIDING], np.intp)


@lru_cache(maxsize=1024)
def _listed_functions(replaced: bytes) -> str:
    return listed(name.removeprefix("altered.") for name, one in zip(HIDING, replaced, strict=True) if one)


@lru_cache(maxsize=4096)
def _is_good(family: int, asn: int, classes: int) -> bool:
    """Return whether a crawler of this family comes from its operator's addresses."""
    place = np.full(1, np.nan, np.float32)
    network = Network(np.zeros(1, np.uint16), np.array([asn], np.uint32), place, place, np.array([classes], np.uint16))
    return bool(verified(np.array([family], np.uint8), network)[0])
