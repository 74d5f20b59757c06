"""Noise in what the browser draws and plays: which there is, and which browsers add by themselves.

Brave changes pictures, sounds and counts a little ("farbling"). WebKit adds noise in private windows since Safari 17.
Firefox adds it where it resists fingerprinting, and since version 120 in private windows and under strict protection.
"""

from __future__ import annotations

from typing import Final

from enrichers.causes import Causes
from enrichers.view import View
from schemas.batches import Bool

RESIST_STEP: Final = 16  # ms: the least step of the clock where Firefox resists fingerprinting
BRAVE: Final = ("api.brave", "navigator_member.brave", "window_member.brave")
_BRAVE: Final = Causes({"brave": BRAVE})


def resists_fingerprinting(view: View) -> Bool:
    """Return where the clock steps as it does when a browser resists fingerprinting, bool[n]."""
    return view.number("timing.resolution") >= RESIST_STEP


def is_brave(view: View) -> Bool:
    """Return where the browser is Brave, bool[n]."""
    return _BRAVE.seen(view)["brave"]


def noise_explained(view: View) -> Bool:
    """Return where the browser adds noise by itself, or may do so, bool[n]."""
    webkit = view.browser("safari") | view.engine("webkit") | view.system("ios")
    return view.once(is_brave) | webkit | view.once(resists_fingerprinting) | private_firefox(view)


def private_firefox(view: View) -> Bool:
    """Return where Firefox's pictures have the noise of a session: equal drawings are equal, bool[n]."""
    return view.browser("firefox") & ~(view.number("canvas.pixel_differences") > 0)


def noisy_pictures(view: View) -> Bool:
    """Return where two equal drawings differ or known pixels come back as others, bool[n]."""
    return (view.number("canvas.pixel_differences") > 0) | (view.number("canvas.readback_errors") > 0)
