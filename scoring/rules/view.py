"""What rules look at in one event, and the questions to history that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from scoring.rules.answers import LONGEST_TEXT, CatalogueName, Entity, Membership, Query, Value, Write
from scoring.rules.document import Catalogue, HistoryOperand, ListOperand
from scoring.rules.selector_tokens import Fault
from scoring.rules.selectors import Document, Selector, compiled
from scoring.rules.times import time_of

_NO_ENTITY = Fault("an entity must be text or a number")
_TOO_LONG = Fault(f"an entity or a value has at most {LONGEST_TEXT} characters")
_NO_VALUE = Fault("a catalogue keeps numbers, texts, true and false")
_NO_TIME = Fault("the time must be ms, or text as 2026-03-01T12:00:00Z")


class Happening(NamedTuple):
    """An event to be judged. ``at``: its own time, in Unix ms; ``id``: the same at every delivery."""

    event: Mapping[str, Any]
    event_type: str
    id: str
    at: int


class Asked(NamedTuple):
    """What is asked of history, once, and where in a row the answer goes, each time with its factor."""

    operand: HistoryOperand
    slots: tuple[tuple[int, float], ...]


class View:
    """What the rules look at in one event: each selector is run once. ``seen``: what selectors gave already."""

    def __init__(self, happening: Happening, seen: dict[str, Any] | None = None) -> None:
        self.happening = happening
        self._document: Document | None = None
        self._seen: dict[str, Any] = {} if seen is None else seen
        self._entities: dict[str, str | Fault | None] = {}
        self._own: dict[CatalogueName, Write | Fault | None] = {}

    def look(self, text: str) -> Any:
        """Return what a selector gives, or a Fault."""
        seen = self._seen
        if text not in seen:
            selector = compiled(text)
            if isinstance(selector, Selector):
                if self._document is None:
                    self._document = Document(self.happening.event)
                seen[text] = selector(self._document)
            else:
                seen[text] = selector
        return seen[text]

    def entity(self, text: str) -> str | Fault | None:
        """Return the entity that a selector gives, None where the event has none."""
        entities = self._entities
        if text not in entities:
            seen = self._seen
            value = seen[text] if text in seen else self.look(text)
            is_short = type(value) is str and 0 < len(value) <= LONGEST_TEXT  # as most are
            entities[text] = value if is_short else entity_text(value)
        return entities[text]

    def query(self, operand: HistoryOperand) -> Query | Fault | None:
        """Return the question to a catalogue, None where the event has no such entity."""
        entity = self.entity(operand.of)
        if not isinstance(entity, str):
            return entity
        at = self.happening.at
        included = self.included(operand, entity) if operand.include_self else None
        if isinstance(included, Fault):
            return included
        name = operand.catalogue.name
        return Query(name, entity, operand.function, operand.over, at, self.dedupe(operand.catalogue), included)

    def included(self, operand: HistoryOperand, entity: str) -> Value | Fault | None:
        """Return the event's own value in a window that counts it in, None where it has none there."""
        if self.happening.event_type not in operand.catalogue.event_types:
            return None
        write = self.write(operand.catalogue)
        if write is None or isinstance(write, Fault):
            return write
        inside = self.happening.at - operand.over < write.at <= self.happening.at
        return write.value if inside and write.entity == entity else None

    def membership(self, operand: ListOperand) -> Membership | Fault | None:
        """Return the question to a list, None where the event has no such value."""
        value = self.entity(operand.selector)
        return Membership(operand.list, value) if isinstance(value, str) else value

    def dedupe(self, catalogue: Catalogue) -> str:
        """Return what names the event in a catalogue: the same event counts once."""
        found = self.entity(catalogue.dedupe) if catalogue.dedupe is not None else None
        return found if isinstance(found, str) else self.happening.id

    def write(self, catalogue: Catalogue) -> Write | Fault | None:
        """Return what the event adds to a catalogue of its type, None where it has nothing for it."""
        if catalogue.name not in self._own:
            self._own[catalogue.name] = self._write(catalogue)
        return self._own[catalogue.name]

    def _write(self, catalogue: Catalogue) -> Write | Fault | None:
        entity = self.entity(catalogue.entity)
        value = 1 if catalogue.value is None else self.look(catalogue.value)
        at = self.happening.at if catalogue.time is None else self.look(catalogue.time)
        for found in (entity, value, at):
            if found is None or isinstance(found, Fault):
                return found
        if not isinstance(value, bool | int | float | str):
            return _NO_VALUE
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            return _TOO_LONG
        if not isinstance(value, str) and abs(value) > 1e300:
            return _NO_VALUE
        time = time_of(at)
        if time is None:
            return _NO_TIME
        return Write(catalogue.name, str(entity), self.dedupe(catalogue), value, time, catalogue.window)

    def entities(self) -> tuple[Entity, ...]:
        """Return whom and what the event names under ``entities``; a list names several of a kind."""
        given = self.happening.event.get("entities")
        found: dict[Entity, None] = {}
        for kind, value in given.items() if isinstance(given, Mapping) else ():
            for one in value if isinstance(value, list) else (value,):
                text = entity_text(one)
                if isinstance(text, str):
                    found[Entity(str(kind), text)] = None
        return tuple(found)


def entity_text(value: Any) -> str | Fault | None:
    """Return an entity as text, so that 7, 7.0 and "7" are the same; None where there is none."""
    if type(value) is str and 0 < len(value) <= LONGEST_TEXT:
        return value  # most of them
    if value is None or isinstance(value, Fault):
        return value
    if isinstance(value, str):
        return _TOO_LONG if len(value) > LONGEST_TEXT else value or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _NO_ENTITY
    if isinstance(value, int) and abs(value) >= 10**LONGEST_TEXT:
        return _TOO_LONG  # before it is written out
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return _TOO_LONG if len(text) > LONGEST_TEXT else text
