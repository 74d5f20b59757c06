"""How far back an event's results look: so long a replay is warmed up where nobody says otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from flows.stages import velocity
from infra.rules_registry import rules_registry_of
from infra.settings import Settings
from replay.plan import Start
from schemas.velocity import WINDOW_MS
from scoring import decide
from scoring.rules.history import HistoryLimits
from scoring.rules.in_force import InForce
from scoring.rules.ruleset import Rulebook, Ruleset
from scoring.rules.watch import WatchedRules

_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Looks:
    """One thing that looks back, and how far in ms."""

    what: str
    ms: int
    windows: bool = False  # of counts
    shared: bool = False  # by devices, whatever their partition


@dataclass(frozen=True, slots=True)
class LookBack:
    """All of them, and how late an event may be: so much earlier its windows begin."""

    lateness_ms: int
    parts: tuple[Looks, ...]

    @property
    def longest(self) -> Looks:
        """Return the one that looks back the furthest."""
        return max(self.parts, key=lambda part: part.ms)

    @property
    def ms(self) -> int:
        """Return how long before a range its warm-up begins."""
        return self.lateness_ms + self.longest.ms


def look_back(settings: Settings, rules: InForce, start: Start = Start.SEALED) -> LookBack:
    """Return how far the stages that a replay runs look back, by their own constants and the catalogues in force."""
    lateness = settings.flow.lateness_seconds * 1000
    history = HistoryLimits().retention(window) if (window := longest_catalogue(rules)) else 0
    parts = [
        Looks("the session's standing decision", decide.IDLE_MS),
        Looks("the rules' history, by their longest catalogue", history, shared=True),
    ]
    if start is not Start.ENRICHED:
        parts += [
            Looks("counts of a device", max(WINDOW_MS), windows=True),
            # An id is kept at least as long as events may be late, in whole hours.
            Looks("ids of events that were counted", max(velocity.DEDUP_MS, lateness) + _HOUR_MS),
            Looks("sessions", velocity.SESSION_IDLE_MS),
        ]
    return LookBack(lateness, tuple(parts))


def longest_catalogue(rules: InForce) -> int:
    """Return the longest window of any catalogue, of shadow rulesets too, in ms; 0 where there is none."""
    books = (rules.live.book, *(shadow.book for shadow in rules.shadows))
    return max(
        (catalogue.window for book in books for ruleset in _sets(book) for catalogue in ruleset.catalogues), default=0
    )


def rules_in_force(settings: Settings) -> InForce:
    """Return the rules of the settings as they are now. RegistryError where they cannot be read."""
    return WatchedRules(rules_registry_of(settings))()


def _sets(book: Rulebook) -> Iterable[Ruleset]:
    return (book.everyone, *book.of_merchant.values())
