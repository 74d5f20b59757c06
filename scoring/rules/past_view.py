"""Past events as rules look at them again, where not all of them was kept: what cannot be seen is said, not guessed.

An entity was recorded as a keyed digest. It is as good as itself where it only names whose history is meant, but
nothing else can be asked of it than whether it is there. What was redacted, or never stored, is a fault.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final, NamedTuple

from scoring.rules.answers import CatalogueName, Query, Write
from scoring.rules.document import (
    All,
    AnyOf,
    Catalogue,
    Comparison,
    Condition,
    FieldOperand,
    HistoryOperand,
    Not,
    Operand,
)
from scoring.rules.history import HistoryLimits
from scoring.rules.program import Happening, View, entity_text
from scoring.rules.ruleset import Rulebook, Ruleset
from scoring.rules.selector_grammar import parse
from scoring.rules.selector_places import Look, all_looks, meets
from scoring.rules.selector_tokens import Fault, Refused
from scoring.rules.times import time_of

HIDDEN: Final = Fault("this was not kept of past events, or not in clear")
"""What a rule sees where it looks at something that cannot be judged again."""
_IS_THERE: Final = "is there: "  # before a selector that is only asked for its existence
_ENTITIES: Final = "entities"
Path = tuple[str, ...]


class Past(NamedTuple):
    """An event that was decided about. ``hidden``: paths below which something is missing.

    ``seal`` gives the digest of an entity; ``sealed``: those that the event has are digests already. ``opaque``: paths
    below which something else stands for each value, always the same for the same.
    """

    happening: Happening
    seal: Callable[[str], str]
    sealed: bool = False
    opaque: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()


class HiddenWrite(NamedTuple):
    """What an event may have added to a catalogue, which cannot be known.

    ``entity``: to whose history, None: to anybody's. ``at``: event time in ms, infinite where that is hidden, too.
    """

    catalogue: CatalogueName
    entity: str | None
    at: float


def _nothing_hidden(_: Query) -> bool:
    return False


def askable(book: Rulebook) -> Rulebook:
    """Return the rules so that whether a field is there can be told where its value cannot."""
    own = {merchant: _askable(one) for merchant, one in book.of_merchant.items()}
    return Rulebook(_askable(book.everyone), own)


def _askable(rules: Ruleset) -> Ruleset:
    return replace(rules, rules=tuple(replace(rule, when=_asking(rule.when)) for rule in rules.rules))


def _asking(condition: Condition) -> Condition:
    if isinstance(condition, Not):
        return Not(_asking(condition.part))
    if isinstance(condition, All | AnyOf):
        return type(condition)(tuple(map(_asking, condition.parts)))
    left: Operand = condition.left
    if isinstance(condition, Comparison) and condition.comparator == "exists" and isinstance(left, FieldOperand):
        return replace(condition, left=FieldOperand(_IS_THERE + left.selector))
    return condition


class PastView(View):
    """What the rules look at in a past event. ``lacks``: whether writes that a question asks for may be missing."""

    def __init__(self, past: Past, lacks: Callable[[Query], bool] = _nothing_hidden) -> None:
        super().__init__(past.happening)
        self._past, self._lacks = past, lacks
        self._digests = _texts(past.happening.event.get(_ENTITIES)) if past.sealed else frozenset[str]()
        self._writing = False

    def look(self, text: str) -> Any:
        """Return what a selector gives, or a Fault."""
        if text.startswith(_IS_THERE):
            seen = self._see(text.removeprefix(_IS_THERE))
            return seen if seen is None or isinstance(seen, Fault) else True
        seen = self._see(text)
        if seen is None or isinstance(seen, Fault):
            return seen
        if self._writing:
            return self._named(seen) if reads(text, _ENTITIES) else seen
        return HIDDEN if any(hides(text, path) for path in self._past.opaque) else seen

    def entity(self, text: str) -> str | Fault | None:
        """Return the digest of the entity that a selector gives."""
        if text not in self._entities:
            named = entity_text(self._see(text))
            self._entities[text] = self._named(named) if isinstance(named, str) else named
        return self._entities[text]

    def query(self, operand: HistoryOperand) -> Query | Fault | None:
        """Return the question, a Fault where its answer would not be that of then.

        The newest of digests says nothing of what it was, and what was added by hidden writes is not in the history.
        """
        value = operand.catalogue.value
        if operand.function == "last" and value is not None and reads(value, _ENTITIES):
            return HIDDEN
        asked = super().query(operand)
        if not isinstance(asked, Query):
            return asked
        unsure = self._is_unnamed(operand.catalogue) or self._lacks(_resting_on(asked, operand.catalogue))
        return HIDDEN if unsure else asked

    def write(self, catalogue: Catalogue) -> Write | Fault | None:
        """Return what the event adds to a catalogue; values that are entities are kept as digests."""
        self._writing = True
        try:
            made = super().write(catalogue)
        finally:
            self._writing = False
        return HIDDEN if isinstance(made, Write) and self._is_unnamed(catalogue) else made

    def hidden_write(self, catalogue: Catalogue) -> HiddenWrite | None:
        """Return what the event may have added to a catalogue of its type, None where that is known."""
        if self.write(catalogue) is not HIDDEN:
            return None
        said = self.happening.at if catalogue.time is None else self._see(catalogue.time)
        at = math.inf if said is HIDDEN else time_of(said)
        entity = self.entity(catalogue.entity)
        return None if at is None else HiddenWrite(catalogue.name, entity if isinstance(entity, str) else None, at)

    def _is_unnamed(self, catalogue: Catalogue) -> bool:
        """Return whether the id is hidden under which a catalogue counts the event once."""
        return catalogue.dedupe is not None and self.entity(catalogue.dedupe) is HIDDEN

    def _see(self, text: str) -> Any:
        if text not in self._seen:
            hidden = any(hides(text, path) for path in self._past.hidden)
            self._seen[text] = HIDDEN if hidden else super().look(text)
        return self._seen[text]

    def _named(self, value: Any) -> Any:
        """Return an entity's digest, as its own history is named; a value that is none as it is."""
        text = entity_text(value)
        if not isinstance(text, str) or text in self._digests:
            return value
        return self._past.seal(text)


def _resting_on(asked: Query, catalogue: Catalogue) -> Query:
    """Return the question over all the time in which writes can make a difference to its answer.

    Where events have an id of the catalogue's own, one before the window may be why one in it does not count.
    """
    if catalogue.dedupe is None:
        return asked
    limits = HistoryLimits()
    return asked._replace(over=asked.over + limits.retention(catalogue.window) + limits.idle_ms)


def _texts(entities: Any) -> frozenset[str]:
    values = entities.values() if isinstance(entities, Mapping) else ()
    several = (one for value in values for one in (value if isinstance(value, list) else [value]))
    return frozenset(one for one in several if isinstance(one, str))


@lru_cache(65_536)
def hides(text: str, path: Path) -> bool:
    """Return whether a selector may look at what is at or below a path, or holds it."""
    return any(meets(look, path) for look in _looks(text))


@lru_cache(65_536)
def reads(text: str, name: str) -> bool:
    """Return whether a selector may look at a member of the event."""
    return hides(text, (name,))


@lru_cache(65_536)
def _looks(text: str) -> frozenset[Look]:
    try:
        return all_looks(parse(text).see)
    except Refused:
        return frozenset()
