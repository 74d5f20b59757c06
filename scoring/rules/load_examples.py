"""Examples beside a rule: an event, what was before it, and whether the rule must match."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from schemas.smart_signals import SMART_SIGNALS
from scoring.rules.answers import FUNCTIONS
from scoring.rules.document import Example
from scoring.rules.load_operands import Known, is_number
from scoring.rules.places import Placed, Reader, plain, shown, suggestion
from scoring.rules.times import duration, time_of

_FIELDS: Final = ("event", "matches", "history", "lists", "signals", "score")
_MOST_HISTORY: Final = 1_000
_AGO: Final = "ago"


class ExampleReader:
    """Reads the examples of a rule; mistakes go to the reader."""

    def __init__(self, reader: Reader, known: Known, event_types: tuple[str, ...]) -> None:
        self._reader = reader
        self._known = known
        self._event_types = event_types

    def read(self, node: Placed | None, most: int) -> tuple[Example, ...]:
        """Return the examples that have no mistakes."""
        items = self._reader.items(node, "examples") if node else []
        if len(items) > most and node:
            self._reader.say(node, f"a rule has at most {most} examples")
        return tuple(example for item in items[:most] if (example := self._example(item)))

    def _example(self, node: Placed) -> Example | None:
        before = len(self._reader.mistakes)
        fields = self._reader.fields(node, "the example", _FIELDS)
        for name in ("event", "matches"):
            if node.is_mapping and name not in fields:
                self._reader.say(node, f"the example lacks {name}; write {{event: {{...}}, matches: true}}")
        event = self._event(fields["event"], "event") if "event" in fields else {}
        matches = self._reader.flag(fields["matches"], "matches") if "matches" in fields else False
        history = self._history(fields.get("history"))
        lists = self._lists(fields.get("lists"))
        signals = self._signals(fields.get("signals"))
        score: Any = fields["score"].value if "score" in fields else None
        if "score" in fields and not (is_number(score) and 0 <= score <= 100):
            self._reader.say(fields["score"], f"score is {shown(fields['score'])}; give 0 to 100")
        if len(self._reader.mistakes) > before:
            return None
        return Example(event, matches, history, lists, signals, score, node.line)

    def _event(self, node: Placed, where: str) -> Mapping[str, Any]:
        if not node.is_mapping:
            self._reader.say(node, f"{where} must be an object, as {{event_type: payment, data: {{amount: 501}}}}")
            return {}
        self._finite(node)
        event: dict[str, Any] = plain(node)
        if not isinstance(event.get("event_type"), str):
            self._reader.say(node, f"{where} lacks event_type; add it, as event_type: payment")
        elif self._event_types and where == "event" and event["event_type"] not in self._event_types:
            hint = suggestion(event["event_type"], self._event_types)
            self._reader.say(node, f"the rule does not look at events of type {event['event_type']!r}; {hint}")
        if "occurred_at" in event and time_of(event["occurred_at"]) is None:
            self._reader.say(node, f"{where}: occurred_at is no time; give ms, or text as 2026-03-01T12:00:00Z")
        return event

    def _finite(self, node: Placed) -> None:
        """Refuse numbers that JSON has not."""
        if node.is_mapping:
            for _, value in node.value:
                self._finite(value)
        elif isinstance(node.value, list):
            for value in node.value:
                self._finite(value)
        elif isinstance(node.value, float) and not math.isfinite(node.value):
            self._reader.say(node, "JSON has no such number; give another one")

    def _history(self, node: Placed | None) -> tuple[Mapping[str, Any], ...]:
        items = self._reader.items(node, "history") if node else []
        if len(items) > _MOST_HISTORY and node:
            self._reader.say(node, f"an example has at most {_MOST_HISTORY:,} lines of history")
        return tuple(self._before(item) for item in items[:_MOST_HISTORY])

    def _before(self, node: Placed) -> Mapping[str, Any]:
        names = [key.value for key, _ in node.value] if node.is_mapping else []
        if "catalogue" in names:
            fields = self._reader.fields(node, "the answer", ("catalogue", *FUNCTIONS))
            name = fields["catalogue"]
            if not isinstance(name.value, str) or name.value not in self._known.catalogues:
                hint = suggestion(str(name.value), self._known.catalogues)
                self._reader.say(name, f"there is no catalogue {shown(name)}; {hint}")
            return self._answers(fields)
        event = dict(self._event(node, "history"))
        if _AGO in event and duration(event[_AGO]) is None:
            self._reader.say(node, f"ago is {event[_AGO]!r}; give a duration, as 10m")
        if _AGO in event and "occurred_at" in event:
            self._reader.say(node, "history has ago and occurred_at; keep one")
        return event

    def _answers(self, fields: Mapping[str, Placed]) -> Mapping[str, Any]:
        said = {name: plain(node) for name, node in fields.items()}
        for name, node in fields.items():
            if name == "since":
                said[name] = duration(node.value)
            value = said[name]
            good = name in ("catalogue", "last") or is_number(value)
            if name == "last":
                good = isinstance(value, bool | int | float | str)
            if not good:
                wanted = "a duration, as 10m" if name == "since" else "the answer, a number"
                self._reader.say(node, f"{name} is {shown(node)}; give {wanted}")
        return said

    def _lists(self, node: Placed | None) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for key, value in self._reader.entries(node, "lists") if node else ():
            found[key.value] = tuple(str(item.value) for item in self._reader.items(value, f"list {key.value}"))
        return found

    def _signals(self, node: Placed | None) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        for key, value in self._reader.entries(node, "signals") if node else ():
            if key.value not in SMART_SIGNALS:
                said = f"there is no smart signal {key.value!r}; {suggestion(key.value, SMART_SIGNALS)}"
                self._reader.say(key, said)
            elif not isinstance(value.value, bool) and not (is_number(value.value) and 0 <= value.value <= 1):
                self._reader.say(value, "a signal is true, false, or a confidence from 0 to 1 that it is true")
            found[key.value] = value.value
        return found
