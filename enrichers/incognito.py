"""incognito: the window is a private one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.causes import first_of, number_of
from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import F32, Bool, Enriched
from schemas.environment import BROWSERS

# Chromium bounds a private window's stores by the computer's memory, all others by the disk. The limit of the heap
# goes by the memory too: less than twice of it is what detectIncognito 1.6 (MIT) takes for private.
_HEAPS = 2
_USUAL_HEAP = 1_024  # MiB, where the browser does not say its limit
# From Chromium 138 on estimate() gives usage + min(10 GiB, disk in whole GiB), and later so in private windows too
# ("Predictable reported storage quota" and "IncognitoStaticStorageQuota", chromestatus.com): 10 GiB tell nothing.
_SAME_FOR_ALL = 10_240  # MiB


class Incognito(SmartSignal):
    """What the stores of a private window cannot do, by the family of the browser."""

    name = "incognito"
    recorded = True
    version = 2
    question = "The window is a private one."
    held_down = (
        "Whoever blocks cookies or stores is refused them in every window: not taken for a private one. A quota of "
        "10 GiB is what current Chromium says everywhere: not computable. Tor Browser has private windows only."
    )
    honest_true = "1% to 4% of honest visitors use private windows: it is a habit, and no sign of fraud."
    inputs = (
        "storage.quota",
        "storage.usage",
        "storage.heap_limit",
        "storage.local",
        "storage.file_system_denied",
        "storage.indexed_db",
        "storage_detail.opfs",
        "navigator.cookie_enabled",
        "navigator_member.serviceWorker",
        "page.secure_context",
        "page.in_frame",
    )
    clues = (
        Clue("small_quota", 0.85, "Chromium: a quota under twice the heap's limit, which only memory explains."),
        Clue("file_system_refused", 0.9, "Chromium before 76 refuses its file system to private windows."),
        Clue("no_private_files_safari", 0.9, "Safari: no private file system, in a page that may keep things."),
        Clue("no_private_files_firefox", 0.9, "Firefox: no private file system, in a page that may keep things."),
        Clue("no_service_worker_firefox", 0.7, "Firefox: no service workers, in a secure page."),
        Clue("no_database_firefox", 0.8, "Firefox before 115 refuses its database to private windows."),
    )

    def computable(self, view: View) -> Bool:
        """Chromium: quota known, not 10 GiB. Safari: private files asked for. Firefox: so, or a service worker."""
        beyond, firefox = view.once(_quota), view.browser("firefox")
        quota = ~np.isnan(beyond) & (beyond != _SAME_FOR_ALL) & view.chromium
        files = view.known("storage_detail.opfs") & (_safari(view) | firefox)
        workers = view.known("navigator_member.serviceWorker") & firefox
        return quota | ((files | workers) & view.once(_may_keep))

    def observe(self, view: View) -> Sequence[Bool]:
        """Look at what each family refuses to a private window."""
        firefox, may_keep = view.browser("firefox") & ~view.system("ios"), view.once(_may_keep)
        heap = view.number("storage.heap_limit")
        limit = np.where(np.isnan(heap), _USUAL_HEAP, heap) * _HEAPS
        no_files = view.false("storage_detail.opfs") & may_keep
        return (
            (view.once(_quota) < limit) & view.chromium,
            view.true("storage.file_system_denied") & view.chromium & (view.environment.browser_version < 76),
            no_files & _safari(view),
            *first_of(
                no_files & firefox,
                view.false("navigator_member.serviceWorker") & firefox & may_keep,
                view.false("storage.indexed_db") & firefox & may_keep & (view.environment.browser_version < 115),
            ),
        )

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return the browser whose tell it is, and Chromium's quota and heap limit in MiB."""
        return {
            "browser": BROWSERS[batch.environment.browser[row]],
            "quota_mib": number_of(batch, row, "storage.quota"),
            "heap_limit_mib": number_of(batch, row, "storage.heap_limit"),
        }


def _quota(view: View) -> F32:
    """Return the quota beyond what is used, float32[n] MiB, NaN where absent."""
    usage = view.number("storage.usage")
    return view.number("storage.quota") - np.where(np.isnan(usage), np.float32(0), usage)


def _safari(view: View) -> Bool:
    return view.browser("safari") | view.system("ios")


def _may_keep(view: View) -> Bool:
    """Return where a page of this window may keep things at all, bool[n]: secure, and nothing switched off."""
    switched_off = view.false("navigator.cookie_enabled") | view.false("storage.local")
    return view.true("page.secure_context") & ~view.true("page.in_frame") & ~switched_off
