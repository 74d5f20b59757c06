"""What events are judged by right now: the live rules, and whole rulesets that are tried in their shadow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from scoring.rules.evaluate import Engine
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


CurrentRules = Callable[[], InForce]
"""Gives what is in force; it may be another value at each call, and never waits."""
NO_RULES = InForce()
