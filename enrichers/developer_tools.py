"""developer_tools: somebody looks at the page with the browser's developer tools."""

from __future__ import annotations

from collections.abc import Sequence

from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool

_DOCKED_WIDTH = 250  # CSS px between window and viewport: more than a scroll bar and a frame, as a docked panel is
_DOCKED_HEIGHT = 320  # more than tabs, address bar and bookmarks


class DeveloperTools(SmartSignal):
    """The console probe, the activity log and the space that a docked panel takes."""

    name = "developer_tools"
    question = "The browser's developer tools are open."
    held_down = "Side bars and zoom take space too, and Firefox's console answers the probe late: both are weak alone."
    inputs = (
        "automation.devtools_open",
        "automation.cdp_runtime",
        "screen.outer_width",
        "screen.inner_width",
        "screen.outer_height",
        "screen.inner_height",
        "activity.devtools_opened",
    )
    clues = (
        Clue("console_probe", 0.85, "An object was formatted for an open console."),
        Clue("console_probe_firefox", 0.6, "The same in Firefox, where the probe is less sure."),
        Clue("opened_during_visit", 0.9, "The agent saw the tools being opened."),
        Clue("docked_beside", 0.25, "Window and viewport differ by a panel's width; side bars do that too."),
        Clue("docked_below", 0.25, "Window and viewport differ by a panel's height."),
        Clue("runtime_enabled", 0.3, "Open tools enable the protocol's Runtime domain; automation does so too."),
    )

    def computable(self, view: View) -> Bool:
        """The console was probed."""
        return view.known("automation.devtools_open")

    def observe(self, view: View) -> Sequence[Bool]:
        """Look at probe, log and window."""
        probe, firefox = view.true("automation.devtools_open"), view.browser("firefox")
        inner_width, inner_height = view.number("screen.inner_width"), view.number("screen.inner_height")
        beside = view.number("screen.outer_width") - inner_width > _DOCKED_WIDTH
        below = view.number("screen.outer_height") - inner_height > _DOCKED_HEIGHT
        # A viewport of 0 is a hidden page, not a docked panel.
        return (
            probe & ~firefox,
            probe & firefox,
            view.activity.column("devtools_opened") > 0,
            beside & view.desktop & (inner_width > 0),
            below & view.desktop & (inner_height > 0),
            view.true("automation.cdp_runtime"),
        )
