"""incognito: the window is a private one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool


class Incognito(SmartSignal):
    """A small quota of storage, and interfaces that private windows lack."""

    name = "incognito"
    question = "The window is a private one."
    inputs = ("storage.quota",)
    clues = (Clue("small_quota", 0.55, "Chromium grants a private window a share of memory instead of the disk."),)

    def computable(self, view: View) -> Bool:
        """The quota of storage is known."""
        return ~np.isnan(view.number("storage.quota"))

    def observe(self, view: View) -> Sequence[Bool]:
        """A small quota of storage, and interfaces that private windows lack."""
        return (view.chromium & view.desktop & (view.number("storage.quota") < 1024),)
