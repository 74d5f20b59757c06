"""cdp_automation: the Chrome DevTools Protocol leaks into the page."""

from __future__ import annotations

from collections.abc import Sequence

from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool


class CdpAutomation(SmartSignal):
    """Side effects of a protocol client that is attached to the page."""

    name = "cdp_automation"
    question = "A client of the Chrome DevTools Protocol is attached to the page."
    held_down = "A person's own open developer tools enable the Runtime domain too: then that clue counts little."
    inputs = (
        "automation.cdp_runtime",
        "automation.devtools_open",
        "automation.playwright_globals",
        "automation.puppeteer_globals",
        "automation.cdc_globals",
        "automation.source_url_marker",
        "automation.error_stack_marker",
        "automation.console_wrapped",
    )
    clues = (
        Clue("runtime_enabled", 0.8, "Runtime.enable has its side effect, and no developer tools are open."),
        Clue("runtime_enabled_with_devtools", 0.15, "The same, where open developer tools explain it."),
        Clue("playwright_globals", 0.97, "Playwright's bindings and init scripts."),
        Clue("puppeteer_globals", 0.95, "Puppeteer's bindings."),
        Clue("cdc_globals", 0.97, "ChromeDriver's cdc_ variables."),
        Clue("source_url_marker", 0.9, "A script that came by Runtime.evaluate carries the tool's source URL."),
        Clue("error_stack_marker", 0.6, "The stack of an error passes through an injected script."),
        Clue("console_wrapped", 0.1, "Tools wrap the console to read it; so do error reporters of honest sites."),
    )

    def computable(self, view: View) -> Bool:
        """The protocol's side effect was looked for."""
        return view.known("automation.cdp_runtime")

    def observe(self, view: View) -> Sequence[Bool]:
        """Tell a tool's client from a person's developer tools."""
        runtime = view.true("automation.cdp_runtime")
        devtools = view.true("automation.devtools_open") | (view.activity.column("devtools_opened") > 0)
        return (
            runtime & ~devtools,
            runtime & devtools,
            view.true("automation.playwright_globals"),
            view.true("automation.puppeteer_globals"),
            view.true("automation.cdc_globals"),
            view.true("automation.source_url_marker"),
            view.true("automation.error_stack_marker"),
            view.true("automation.console_wrapped"),
        )
