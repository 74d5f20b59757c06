"""Where the history of a preview lacks writes, because what they would have been was not kept."""

from __future__ import annotations

import math
from typing import Final

from scoring.rules.answers import CatalogueName, Query
from scoring.rules.past_view import HiddenWrite

MOST_ENTITIES: Final = 65_536
_NEVER: Final = -math.inf


class Gaps:
    """The times of writes that are missing, of each merchant and catalogue.

    The newest time is enough, as questions come in the order of their time. Where more than ``most`` entities lack
    writes, the one whose gap is oldest is no longer told from the others: then anybody's history has its gap.
    """

    def __init__(self, most: int = MOST_ENTITIES) -> None:
        self._most = most
        self._anybody: dict[tuple[str, CatalogueName], float] = {}
        self._of_one: dict[tuple[str, CatalogueName, str], float] = {}  # the last that was noted is last

    def note(self, merchant: str, missing: HiddenWrite) -> None:
        """Take in a write that is missing; whose it is may not be known."""
        if missing.entity is None:
            self._note_of_anybody((merchant, missing.catalogue), missing.at)
            return
        name = merchant, missing.catalogue, missing.entity
        self._of_one[name] = max(missing.at, self._of_one.pop(name, _NEVER))
        if len(self._of_one) > self._most:
            oldest = next(iter(self._of_one))
            self._note_of_anybody(oldest[:2], self._of_one.pop(oldest))

    def reach(self, merchant: str, query: Query) -> bool:
        """Return whether a write may be missing in the window of a question."""
        of_one = self._of_one.get((merchant, query.catalogue, query.entity), _NEVER)
        return max(of_one, self._anybody.get((merchant, query.catalogue), _NEVER)) > query.at - query.over

    def _note_of_anybody(self, name: tuple[str, CatalogueName], at: float) -> None:
        self._anybody[name] = max(at, self._anybody.get(name, _NEVER))
