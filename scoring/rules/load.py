"""Read files of rules: catalogues and rules of one merchant, or of all, with every mistake that can be seen at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, cast

from scoring.rules.answers import CatalogueName
from scoring.rules.document import (
    MOST_CATALOGUES,
    MOST_RULES,
    STATUSES,
    Actions,
    Catalogue,
    Rule,
    Status,
    definition_of,
    stream_of,
    value_of,
)
from scoring.rules.load_conditions import ConditionReader
from scoring.rules.load_examples import ExampleReader
from scoring.rules.load_operands import LONGEST_NAME, Known, OperandReader, is_number
from scoring.rules.places import Mistake, Placed, Reader, shown, suggestion
from scoring.rules.reach import unreachable

Scope = Literal["own", "global"]
_TOP: Final = ("catalogues", "rules")
_CATALOGUE: Final = ("event_types", "entity", "value", "time", "dedupe", "window")
_RULE: Final = (
    "id", "description", "event_types", "when", "actions", "status", "priority", "stop_on_match", "examples",
)  # fmt: skip
_DECISIONS: Final = ("allow", "review", "deny")
_ACTIONS: Final = (*_DECISIONS, "score", "tag", "alert")
_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")
_EVENT_TYPE: Final = re.compile(r"[a-z0-9_]{1,64}\Z")  # as the ingest tier takes them
_MOST_ACTIONS: Final = 16
_MOST_EXAMPLES: Final = 50
_MOST_PRIORITY: Final = 1_000_000


class Loaded(NamedTuple):
    """What files say together. Where there are mistakes, nothing of it may be used."""

    catalogues: tuple[Catalogue, ...]
    rules: tuple[Rule, ...]
    mistakes: tuple[Mistake, ...]


def load(files: Sequence[tuple[str, Placed | None]], scope: Scope, lists: Iterable[str] | None = None) -> Loaded:
    """Read the files of one ruleset, each a name and its content (None: nothing but comments).

    ``lists``: the names that conditions may use; None: any.
    """
    readers = [_FileReader(name, node, scope) for name, node in files]
    catalogues: dict[str, Catalogue] = {}
    rules: dict[str, Rule] = {}
    for reader in readers:
        reader.catalogues(catalogues)
    known = Known(catalogues, None if lists is None else frozenset(lists))
    for reader in readers:
        reader.rules(rules, known)
    mistakes = [mistake for reader in readers for mistake in reader.say.mistakes]
    mistakes += [
        Mistake(rule.file, rule.line, rule.column, f"rule {rule.id} can never be reached: {why}")
        for rule, why in unreachable(list(rules.values()))
    ]
    return Loaded(tuple(catalogues.values()), tuple(rules.values()), tuple(sorted(set(mistakes))))


class _FileReader:
    def __init__(self, name: str, node: Placed | None, scope: Scope) -> None:
        self.say = Reader(name)
        self._scope = scope
        empty = Placed((), 1, 1)
        if node is None:
            self.say.say(empty, "the file is empty; give it catalogues or rules, or take it away")
        self._top = self.say.fields(node or empty, "the file", _TOP)

    def catalogues(self, found: dict[str, Catalogue]) -> None:
        """Add the catalogues of the file to those of the ruleset."""
        node = self._top.get("catalogues")
        for key, body in self.say.entries(node, "catalogues") if node else ():
            if not self._is_id(key, "a catalogue"):
                continue
            if key.value in found:
                self.say.say(key, f"there is a catalogue {key.value!r} already; give this one another id")
            elif len(found) >= MOST_CATALOGUES:
                self.say.say(key, f"a ruleset has at most {MOST_CATALOGUES} catalogues")
                return
            elif catalogue := self._catalogue(key, body):
                found[key.value] = catalogue

    def _catalogue(self, key: Placed, body: Placed) -> Catalogue | None:
        before = len(self.say.mistakes)
        where = f"catalogue {key.value}"
        fields = self.say.fields(body, where, _CATALOGUE)
        if body.is_mapping:
            self._need(key, where, fields, ("event_types", "entity", "window"))
        operands = OperandReader(self.say, Known({}))
        texts = {name: operands.selector(node, name) for name, node in fields.items() if name in _CATALOGUE[1:5]}
        types = self._event_types(fields.get("event_types"))
        window = operands.window(fields["window"], "window") if "window" in fields else None
        entity = texts.get("entity")
        if len(self.say.mistakes) > before or window is None or entity is None:
            return None
        said = value, time, dedupe = texts.get("value"), texts.get("time"), texts.get("dedupe")
        definition, stream = definition_of(types, entity, *said), stream_of(types, entity, time, dedupe)
        name = CatalogueName(self._scope, key.value, definition, stream, value_of(value))
        return Catalogue(name, types, entity, window, *said)

    def rules(self, found: dict[str, Rule], known: Known) -> None:
        """Add the rules of the file to those of the ruleset."""
        node = self._top.get("rules")
        for body in self.say.items(node, "rules") if node else ():
            if len(found) >= MOST_RULES:
                self.say.say(body, f"a ruleset has at most {MOST_RULES:,} rules")
                return
            rule = self._rule(body, known)
            if rule and rule.id in found:
                other = found[rule.id]
                said = f"there is a rule {rule.id!r} in {other.file}:{other.line} already; give this one another id"
                self.say.say(body, said)
            elif rule:
                found[rule.id] = rule

    def _rule(self, body: Placed, known: Known) -> Rule | None:
        before = len(self.say.mistakes)
        fields = self.say.fields(body, "the rule", _RULE)
        if body.is_mapping:
            self._need(body, "the rule", fields, ("id", "when", "actions"))
        if "id" in fields and not self._is_id(fields["id"], "a rule"):
            return None
        when = ConditionReader(self.say, known).read(fields["when"]) if "when" in fields else None
        settings = self._settings(fields)
        actions = self._actions(fields["actions"]) if "actions" in fields else None
        types = self._event_types(fields["event_types"]) if "event_types" in fields else ()
        examples = ExampleReader(self.say, known, types).read(fields.get("examples"), _MOST_EXAMPLES)
        if len(self.say.mistakes) > before or when is None or actions is None:
            return None
        name = str(fields["id"].value)
        place: dict[str, Any] = {"file": self.say.file, "line": body.line, "column": body.column}
        return Rule(name, when, actions, event_types=types, examples=examples, **place, **settings)

    def _settings(self, fields: Mapping[str, Placed]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if "description" in fields:
            made["description"] = self.say.text(fields["description"], "description", 500)
        if "status" in fields:
            made["status"] = cast(Status, self.say.chosen(fields["status"], "status", STATUSES))
        if "priority" in fields:
            made["priority"] = self.say.whole(fields["priority"], "priority", -_MOST_PRIORITY, _MOST_PRIORITY)
        if "stop_on_match" in fields:
            made["stop_on_match"] = self.say.flag(fields["stop_on_match"], "stop_on_match")
        return made

    def _actions(self, node: Placed) -> Actions | None:
        items = self.say.items(node, "actions")
        if isinstance(node.value, list) and not 0 < len(items) <= _MOST_ACTIONS:
            self.say.say(node, f"a rule has 1 to {_MOST_ACTIONS} actions; add one of {', '.join(_ACTIONS)}")
        decisions: list[str] = []
        named: dict[str, list[str]] = {"tag": [], "alert": []}
        points = 0.0
        for item in items:
            if not item.is_mapping:
                if decision := self.say.chosen(item, "an action", _DECISIONS):
                    decisions.append(decision)
                continue
            for name, value in self.say.fields(item, "an action", _ACTIONS).items():
                if name == "score":
                    points += self._points(value)
                elif name in named:
                    text = self.say.text(value, name, LONGEST_NAME)
                    named[name] += [text] if text else []
                else:
                    self.say.say(value, f"{name} stands alone; write `- {name}`")
        if len(decisions) > 1:
            self.say.say(node, f"a rule decides once, this says {' and '.join(decisions)}; keep one")
        decision = cast(Literal["allow", "review", "deny"], decisions[0]) if decisions else None
        return Actions(decision, points, tuple(dict.fromkeys(named["tag"])), tuple(dict.fromkeys(named["alert"])))

    def _points(self, node: Placed) -> float:
        if is_number(node.value) and node.value and abs(node.value) <= 100:
            return float(node.value)
        self.say.say(node, f"score is {shown(node)}; give the points to add, from -100 to 100 and not 0")
        return 0.0

    def _event_types(self, node: Placed | None) -> tuple[str, ...]:
        if node is None:
            return ()
        items = self.say.items(node, "event_types")
        if isinstance(node.value, list) and not 0 < len(items) <= 100:
            self.say.say(node, "event_types names 1 to 100; leave it out for every type")
        for item in items:
            if not isinstance(item.value, str) or not _EVENT_TYPE.match(item.value):
                likely = re.sub(r"[^a-z0-9]+", "_", str(item.value).lower()).strip("_") or "payment"
                self.say.say(item, f"{shown(item)} is no event type; did you mean {likely}?")
        return tuple(dict.fromkeys(str(item.value) for item in items))

    def _need(self, place: Placed, where: str, fields: Mapping[str, Placed], names: Sequence[str]) -> None:
        for name in (name for name in names if name not in fields):
            self.say.say(place, f"{where} lacks {name}; add it")

    def _is_id(self, node: Placed, what: str) -> bool:
        if isinstance(node.value, str) and _ID.match(node.value):
            return True
        likely = re.sub(r"[^a-z0-9_-]+", "-", str(node.value).lower()).strip("-_")[:64] or "large-payment"
        self.say.say(node, f"{shown(node)} is no id of {what}; {suggestion(likely, (likely,))}")
        return False
