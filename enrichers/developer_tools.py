"""developer_tools: somebody looks at the page with the browser's developer tools."""

from __future__ import annotations

from collections.abc import Sequence

from enrichers.causes import first_of
from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool

_DOCKED_WIDTH = 250  # CSS px between window and viewport: more than a scroll bar and a frame, as a docked panel is
_DOCKED_HEIGHT = 320  # more than tabs, address bar and bookmarks


class DeveloperTools(SmartSignal):
    """The console probe, the activity log and the space that a docked panel takes."""

    name = "developer_tools"
    recorded = True
    version = 2
    question = "The browser's developer tools are open."
    held_down = (
        "Side bars and zoom take space too, and Firefox's console answers the probe late: both are weak alone. Wallet "
        "extensions and error reporters format what goes to the console: where one is seen the probe counts little. "
        "A driven browser has a debugger without tools: the protocol alone stays under the threshold."
    )
    honest_true = "0.3% of honest visitors have them open: it is what they do, and no sign of fraud."
    inputs = (
        "automation.devtools_open",
        "automation.cdp_runtime",
        "automation.console_wrapped",
        "automation.proxy_detected",
        "screen.outer_width",
        "screen.inner_width",
        "screen.outer_height",
        "screen.inner_height",
        "activity.devtools_opened",
    )
    clues = (
        Clue("opened_during_visit", 0.9, "The agent saw the tools being opened."),
        Clue("console_probe", 0.85, "An object was formatted for an open console, and there is room for a panel."),
        Clue("console_probe_firefox", 0.6, "The same in Firefox, where the probe is less sure."),
        Clue("console_probe_wrapped", 0.35, "The same, where an extension or a reporter may have formatted it."),
        Clue("runtime_enabled", 0.3, "Tools in a window of their own enable the protocol; so does automation."),
        Clue("docked_beside", 0.25, "Window and viewport differ by a panel's width; side bars do that too."),
        Clue("docked_below", 0.25, "Window and viewport differ by a panel's height."),
    )

    def computable(self, view: View) -> Bool:
        """The console was probed."""
        return view.known("automation.devtools_open")

    def observe(self, view: View) -> Sequence[Bool]:
        """Look at probe, log and window."""
        probe, firefox = view.true("automation.devtools_open"), view.browser("firefox")
        wrapped = view.true("automation.console_wrapped") | view.true("automation.proxy_detected")
        opened, *probes, runtime = first_of(
            view.activity.column("devtools_opened") > 0,
            probe & ~firefox & ~wrapped,
            probe & firefox & ~wrapped,
            probe,
            view.true("automation.cdp_runtime"),
        )
        inner_width, inner_height = view.number("screen.inner_width"), view.number("screen.inner_height")
        # A viewport of 0 is a hidden page, not a docked panel; and the probe has measured the panel already.
        measured = view.desktop & ~probe
        beside = view.number("screen.outer_width") - inner_width > _DOCKED_WIDTH
        below = view.number("screen.outer_height") - inner_height > _DOCKED_HEIGHT
        return (
            opened,
            *probes,
            runtime,
            beside & measured & (inner_width > 0),
            below & measured & (inner_height > 0),
        )
