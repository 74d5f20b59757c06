"""The cases of every check."""

from __future__ import annotations

from collections.abc import Mapping

from tests.normalize.browser_cases import BROWSER
from tests.normalize.changes import Case
from tests.normalize.machine_cases import GRAPHICS, RENDERING, SCREEN
from tests.normalize.place_cases import CONTEXTS, PLACE

CASES: Mapping[str, Case] = {**BROWSER, **CONTEXTS, **PLACE, **SCREEN, **GRAPHICS, **RENDERING}
