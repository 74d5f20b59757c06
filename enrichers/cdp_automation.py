"""cdp_automation: the Chrome DevTools Protocol leaks into the page."""

from __future__ import annotations

from collections.abc import Sequence

from enrichers.bot import tool_of
from enrichers.causes import Causes, first_of
from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool, Enriched

_CAUSES = Causes(
    {
        "runtime": ("automation.cdp_runtime", "fpscanner.hasCDP"),
        "devtools": ("automation.devtools_open",),
        "playwright": ("automation.playwright_globals", "fpscanner.hasPlaywright"),
        "puppeteer": ("automation.puppeteer_globals",),
        "cdc": ("automation.cdc_globals",),
        "source_url": ("automation.source_url_marker",),
        "error_stack": ("automation.error_stack_marker",),
        "console": ("automation.console_wrapped",),
    }
)


class CdpAutomation(SmartSignal):
    """Side effects of a protocol client that is attached to the page."""

    name = "cdp_automation"
    recorded = True
    version = 2
    question = "A client of the Chrome DevTools Protocol is attached to the page."
    held_down = (
        "A person's own open developer tools enable the Runtime domain too: then that clue counts little. Where they "
        "are in a window of their own nothing tells them from a tool's client."
    )
    inputs = (*_CAUSES.inputs, "activity.devtools_opened")
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
        seen = _CAUSES.seen(view)
        devtools = seen["devtools"] | (view.activity.column("devtools_opened") > 0)
        source_url, error_stack = first_of(seen["source_url"], seen["error_stack"])
        return (
            seen["runtime"] & ~devtools,
            seen["runtime"] & devtools,
            seen["playwright"],
            seen["puppeteer"],
            seen["cdc"],
            source_url,
            error_stack,
            seen["console"],
        )

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return the tool, where it left its name."""
        return {"tool": tool_of(batch, row)}
