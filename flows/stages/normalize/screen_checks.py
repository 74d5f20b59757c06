"""Checks of screen, window, media queries, pointers and touch against each other and the device."""

from __future__ import annotations

import numpy as np

from flows.stages.normalize.seen import Check, Seen
from schemas.batches import F32, Bool

_WINDOW_SLACK = 64  # px: a maximised window on Windows reaches beyond the screen, and so does rounding under zoom
_TURNED = 1.1  # by how much a side must be the longer one, so that a bar that comes or goes decides nothing
_WIDEST_PHONE, _WIDEST_IPHONE = 1000, 500  # CSS px of the shorter side: unfolded ones have 900, iPhones 440


def window_exceeds_screen(seen: Seen) -> Bool:
    """The window is larger than the screen, without a second one."""
    width, height = seen.number("screen.width"), seen.number("screen.height")
    outer_width = seen.number("screen.outer_width")
    larger = (outer_width > width + _WINDOW_SLACK) | (seen.number("screen.outer_height") > height + _WINDOW_SLACK)
    landscape_phone = (outer_width <= height + _WINDOW_SLACK) & ~seen.device_in("desktop")
    return larger & ~seen.true("screen.is_extended") & ~landscape_phone  # iOS gives the screen of the upright phone


def available_exceeds_screen(seen: Seen) -> Bool:
    """More of the screen is available than there is."""
    wide = seen.number("screen.avail_width") > seen.number("screen.width") + 1
    return wide | (seen.number("screen.avail_height") > seen.number("screen.height") + 1)


def touch_contradicts_device(seen: Seen) -> Bool:
    """A phone or tablet that cannot be touched."""
    without = (seen.number("navigator.max_touch_points") == 0) | seen.false("window_member.ontouchstart")
    return without & seen.device_in("phone", "tablet")


def pointer_contradicts_device(seen: Seen) -> Bool:
    """A phone without a coarse pointer, or a desktop without any."""
    no_coarse = seen.false("css.any_pointer_coarse")
    return no_coarse & (seen.device_in("phone") | (seen.device_in("desktop") & seen.false("css.any_pointer_fine")))


def media_queries_contradict_each_other(seen: Seen) -> Bool:
    """Both or neither of two that exclude each other, or the narrower without the wider one."""
    both = seen.true("css.pointer_fine") & seen.true("css.pointer_coarse")
    return seen.impossible["media_queries_contradict_each_other"] | both


def screen_contradicts_itself(seen: Seen) -> Bool:
    """Two depths of colour, or orientations that the lengths of the sides deny."""
    wrong = seen.differing["screen_contradicts_itself"]
    portrait = _is_upright(seen.number("screen.inner_width"), seen.number("screen.inner_height"))
    landscape = _is_upright(seen.number("screen.inner_height"), seen.number("screen.inner_width"))
    wrong = wrong | (portrait & seen.false("media_query.orientation_portrait"))
    wrong |= landscape & seen.false("media_query.orientation_landscape")
    chromium = seen.engine_in("chromium")  # WebKit does not turn the screen, and Firefox may hide that it is turned
    upright = _is_upright(seen.number("screen.width"), seen.number("screen.height"))
    lying = _is_upright(seen.number("screen.height"), seen.number("screen.width"))
    wrong |= chromium & upright & seen.true("screen.orientation_landscape")
    return wrong | (chromium & lying & seen.false("screen.orientation_landscape"))


def _is_upright(width: F32, height: F32) -> Bool:
    return (height > width * _TURNED) & (width > 0)


def screen_contradicts_device(seen: Seen) -> Bool:
    """No phone is as large, and no iPhone or iPad has such a density."""
    shorter = np.fmin(seen.number("screen.width"), seen.number("screen.height"))
    phone, ios = seen.device_in("phone"), seen.system_in("ios")
    ratio = seen.number("screen.device_pixel_ratio")
    odd = ios & ((ratio < 1) | (ratio > 3) | (np.abs(ratio - np.rint(ratio)) > 0))
    return odd | (phone & (shorter > np.where(ios, _WIDEST_IPHONE, _WIDEST_PHONE)))


CHECKS: tuple[Check, ...] = (
    window_exceeds_screen,
    available_exceeds_screen,
    touch_contradicts_device,
    pointer_contradicts_device,
    media_queries_contradict_each_other,
    screen_contradicts_itself,
    screen_contradicts_device,
)
