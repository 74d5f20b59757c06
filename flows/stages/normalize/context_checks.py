"""Checks of a worker and of a fresh iframe against the page: they are the same browser."""

from __future__ import annotations

from flows.stages.normalize.seen import Check, Seen, differ
from schemas.batches import Bool


def worker_contradicts_page(seen: Seen) -> Bool:
    """A worker names another user agent, platform or language, or counts other cores."""
    return seen.differing["worker_contradicts_page"] | differ(
        seen.category("worker.user_agent"), seen.client["category"]
    )


def frame_contradicts_page(seen: Seen) -> Bool:
    """An iframe names another user agent, platform or language, or counts other cores."""
    return seen.differing["frame_contradicts_page"] | differ(seen.category("frame.user_agent"), seen.client["category"])


def worker_gpu_contradicts_page(seen: Seen) -> Bool:
    """A worker draws with another card."""
    return seen.differing["worker_gpu_contradicts_page"]


def frame_gpu_contradicts_page(seen: Seen) -> Bool:
    """An iframe draws with another card."""
    return seen.differing["frame_gpu_contradicts_page"]


def worker_timezone_contradicts_page(seen: Seen) -> Bool:
    """A worker is in another time zone."""
    other = differ(seen.category("worker.timezone"), seen.zone["category"])
    return seen.differing["worker_timezone_contradicts_page"] | other


def frame_timezone_contradicts_page(seen: Seen) -> Bool:
    """An iframe is in another time zone."""
    other = differ(seen.category("frame_page.timezone"), seen.zone["category"])
    return seen.differing["frame_timezone_contradicts_page"] | other


def worker_navigator_contradicts_page(seen: Seen) -> Bool:
    """A worker differs in memory, languages, locale, client hints or the version that the application names."""
    version = differ(seen.category("worker_page.app_version"), seen.client["app_version"])
    other = seen.differing["worker_navigator_contradicts_page"] | (version & seen.engine_in("chromium", "webkit"))
    return other | differ(seen.category("worker_page.languages"), seen.languages["category"])


def frame_navigator_contradicts_page(seen: Seen) -> Bool:
    """An iframe differs in memory, languages, locale, client hints or vendor."""
    other = differ(seen.category("frame_page.languages"), seen.languages["category"])
    return seen.differing["frame_navigator_contradicts_page"] | other


def worker_limits_contradict_page(seen: Seen) -> Bool:
    """A worker has other WebGL limits with the same card; another card has a check of its own."""
    return seen.differing["worker_limits_contradict_page"] & ~seen.differing["worker_gpu_contradicts_page"]


def frame_screen_contradicts_page(seen: Seen) -> Bool:
    """An iframe is on another screen."""
    return seen.differing["frame_screen_contradicts_page"]


def contexts_compute_differently(seen: Seen) -> Bool:
    """A worker and an iframe get other results from one sum, or other words for one mistake."""
    return seen.differing["contexts_compute_differently"]


CHECKS: tuple[Check, ...] = (
    worker_contradicts_page,
    frame_contradicts_page,
    worker_gpu_contradicts_page,
    frame_gpu_contradicts_page,
    worker_timezone_contradicts_page,
    frame_timezone_contradicts_page,
    worker_navigator_contradicts_page,
    frame_navigator_contradicts_page,
    worker_limits_contradict_page,
    frame_screen_contradicts_page,
    contexts_compute_differently,
)
