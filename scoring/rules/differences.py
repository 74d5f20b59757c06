"""What changes from one ruleset to another: rules and catalogues added, removed, and changed with what of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, Final, NamedTuple, TypeVar

from scoring.rules.conditions import all_operands, named
from scoring.rules.document import ALWAYS, All, Catalogue, Comparison, Condition, HistoryOperand, Not, Operand, Rule
from scoring.rules.ruleset import Ruleset, content
from scoring.rules.times import written

_Thing = TypeVar("_Thing", Rule, Catalogue)
_SIGNS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "eq": "=", "ne": "!=", "in": "in", "not_in": "not in"}


class Part(NamedTuple):
    """One part of a rule or a catalogue that is another one now."""

    part: str
    before: str
    after: str


class Changed(NamedTuple):
    """A rule or a catalogue that both rulesets have, and that is not the same."""

    id: str
    parts: tuple[Part, ...]


class Kinds(NamedTuple):
    """Of rules or of catalogues."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[Changed, ...]


class NewHistory(NamedTuple):
    """A catalogue whose members are something else now: what happened before is not known to the rules that read it."""

    catalogue: str
    rules: tuple[str, ...]


class Differences(NamedTuple):
    """From one ruleset to another."""

    rules: Kinds
    catalogues: Kinds
    new_histories: tuple[NewHistory, ...]

    def __bool__(self) -> bool:
        """Return whether anything differs."""
        return any((*self.rules, *self.catalogues))


def differences(before: Ruleset, after: Ruleset) -> Differences:
    """Compare what decides, and descriptions; places, comments and examples do not matter.

    A rule over a catalogue that changed is not changed itself.
    """
    old, new = ({one.name.id: one for one in rules.catalogues} for rules in (before, after))
    anew = [name for name, one in new.items() if name in old and old[name].name != one.name]
    rules = _kinds({one.id: one for one in before.rules}, {one.id: one for one in after.rules})
    return Differences(rules, _kinds(old, new), tuple(NewHistory(name, _readers(after, name)) for name in anew))


def _readers(ruleset: Ruleset, catalogue: str) -> tuple[str, ...]:
    return tuple(rule.id for rule in ruleset.rules if catalogue in _catalogues(rule.when))


def _catalogues(condition: Condition) -> set[str]:
    return {one.catalogue.name.id for one in all_operands(condition) if isinstance(one, HistoryOperand)}


def _kinds(before: Mapping[str, _Thing], after: Mapping[str, _Thing]) -> Kinds:
    both = [name for name in after if name in before]
    parts = {name: tuple(_parts(before[name], after[name])) for name in both}
    return Kinds(
        tuple(name for name in after if name not in before),
        tuple(name for name in before if name not in after),
        tuple(Changed(name, found) for name, found in parts.items() if found),
    )


def _parts(before: Rule | Catalogue, after: Rule | Catalogue) -> Iterable[Part]:
    for one in fields(before):
        old, new = getattr(before, one.name), getattr(after, one.name)
        if one.name == "actions":
            yield from _parts(old, new)
        elif one.compare and one.name != "name" and _essence(old) != _essence(new):
            yield Part(one.name, _said(one.name, old), _said(one.name, new))


def _essence(value: Any) -> Any:
    """Return a value as JSON in which catalogues are their ids, and 1, 1.0 and true are not the same."""
    return json.dumps(_by_id(content(value)), sort_keys=True)


def _by_id(said: Any) -> Any:
    if isinstance(said, list):
        return [_by_id(one) for one in said]
    if isinstance(said, dict):
        if said.get("kind") == Catalogue.__name__:
            return said["name"][1]
        return {name: _by_id(one) for name, one in said.items()}
    return said


def _said(part: str, value: Any) -> str:
    if part == "window":
        return written(value)
    if part == "when":
        return condition_text(value)
    if part in ("tags", "alerts", "event_types"):
        return ", ".join(value) or ("all" if part == "event_types" else "none")
    if value is None or value == "":
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def condition_text(condition: Condition) -> str:
    """Return a condition as one line: ``all(sum of payments over 3d > 1000, .data.country in [ID, SG])``."""
    if isinstance(condition, Comparison):
        return _comparison_text(condition)
    if condition == ALWAYS:
        return "always"
    if isinstance(condition, Not):
        return f"not({condition_text(condition.part)})"
    return f"{'all' if isinstance(condition, All) else 'any'}({', '.join(map(condition_text, condition.parts))})"


def _comparison_text(one: Comparison) -> str:
    left = _operand_text(one.left)
    if one.comparator == "exists":
        return f"{left} {'exists' if one.right else 'does not exist'}"
    return f"{left} {_SIGNS.get(one.comparator, one.comparator)} {_right_text(one)}"


def _right_text(one: Comparison) -> str:
    if isinstance(one.right, Operand):
        return _operand_text(one.right)
    since = isinstance(one.left, HistoryOperand) and one.left.function == "since"
    if since and type(one.right) is int and one.right:
        return written(one.right)
    return json.dumps(one.right, ensure_ascii=False)


def _operand_text(operand: Operand) -> str:
    """Return an operand, with whose history it is where that is not the catalogue's own entity."""
    said = named(operand)
    if isinstance(operand, HistoryOperand) and operand.of != operand.catalogue.entity:
        return f"{said} of {operand.of}"
    return said
