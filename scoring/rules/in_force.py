"""What events are judged by right now: the live rules, and whole rulesets that are tried in their shadow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from scoring.rules.answers import CatalogueName, Write
from scoring.rules.evaluate import Engine, Plan
from scoring.rules.ruleset import Rulebook


@dataclass(frozen=True, slots=True)
class InForce:
    """Taken whole, once for a decision or a batch, so that nothing is judged by halves of two publications.

    Shadows are judged by without any effect, except that their catalogues are written too: they need history when they
    go live. ``state``: names the publication that said so.
    """

    live: Engine = field(default_factory=lambda: Engine(Rulebook()))
    shadows: tuple[Engine, ...] = ()
    state: str = ""

    @classmethod
    def of(cls, live: Rulebook, shadows: Sequence[Rulebook] = (), state: str = "") -> Self:
        """Return the engines of rulebooks."""
        return cls(Engine(live), tuple(map(Engine, shadows)), state)

    def shadows_of(self, merchant: str) -> tuple[Engine, ...]:
        """Return the shadows that judge this merchant's events otherwise than the live rules: the others need not run.

        What is tried for one merchant is so no business of another's.
        """
        if not self.shadows:
            return ()
        live = self.live.book.of(merchant).digest
        return tuple(shadow for shadow in self.shadows if shadow.book.of(merchant).digest != live)


CurrentRules = Callable[[], InForce]
"""Gives what is in force; it may be another value at each call, and never waits."""
NO_RULES = InForce()


def joined_writes(plans: Iterable[Plan]) -> tuple[Write, ...]:
    """Return what an event adds to history by the plans of the live engine and of shadows, each once.

    Rulesets share the history of a catalogue that they define alike, whatever its window: the longest is kept, as what
    the shorter one would drop is gone for the other too.
    """
    found: dict[tuple[CatalogueName, str, str], Write] = {}
    for plan in plans:
        for write in plan.writes:
            name = write.catalogue, write.entity, write.dedupe
            other = found.get(name)
            if other is None or write.window > other.window:
                found[name] = write
    return tuple(found.values())
