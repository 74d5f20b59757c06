"""Conditions as they are written: ``all``, ``any`` and ``not`` over comparisons, typed as far as can be known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from scoring.rules.document import (
    ALWAYS,
    COMPARATORS,
    DEEPEST,
    MOST_LEAVES,
    ORDERS,
    All,
    AnyOf,
    Comparator,
    Comparison,
    Condition,
    FieldOperand,
    HistoryOperand,
    ListOperand,
    Not,
    Operand,
    SignalOperand,
)
from scoring.rules.load_operands import KINDS, MODIFIERS, Known, OperandReader, is_number
from scoring.rules.patterns import LONGEST_PATTERN, pattern
from scoring.rules.places import Placed, Reader, shown, suggestion
from scoring.rules.times import duration

MOST_CONSTANTS: Final = 1_000  # in a list after `in`
_GROUPS: Final = ("all", "any", "not")


class ConditionReader:
    """Reads the condition of a rule; mistakes go to the reader. Use one for each rule."""

    def __init__(self, reader: Reader, known: Known) -> None:
        self._reader = reader
        self._operands = OperandReader(reader, known)
        self._leaves = 0

    def read(self, node: Placed, depth: int = 1) -> Condition | None:
        """Return the condition, None where it has mistakes."""
        if node.value == "always":
            return ALWAYS
        if depth > DEEPEST:
            self._reader.say(node, f"conditions are nested deeper than {DEEPEST}; split the rule")
            return None
        if not node.is_mapping:
            said = f"a condition is a comparison, or all, any or not of some, not {shown(node)}"
            self._reader.say(node, f"{said}; write {{field: .data.amount, gt: 500}}")
            return None
        names = [key.value for key, _ in node.value]
        if any(group in names for group in _GROUPS):
            return self._group(node, depth)
        return self._leaf(node)

    def _group(self, node: Placed, depth: int) -> Condition | None:
        before = len(self._reader.mistakes)
        found = self._reader.fields(node, "the condition", _GROUPS)
        if len(found) != 1:
            if found:
                self._reader.say(node, "a condition has one of all, any and not; put one into the other")
            return None
        ((group, below),) = found.items()
        if group == "not":
            part = self.read(below, depth + 1)
            return Not(part) if part is not None else None
        items = self._reader.items(below, group)
        parts = tuple(part for item in items if (part := self.read(item, depth + 1)) is not None)
        if not items and len(self._reader.mistakes) == before:
            self._reader.say(below, f"{group} of nothing decides nothing; add a comparison, or write `when: always`")
        if len(parts) != len(items) or not parts:
            return None
        return All(parts) if group == "all" else AnyOf(parts)

    def _leaf(self, node: Placed) -> Condition | None:
        before = len(self._reader.mistakes)
        fields = self._reader.fields(node, "the comparison", (*KINDS, *MODIFIERS, *COMPARATORS))
        misspelt = len(self._reader.mistakes) > before
        left = self._operand(node, fields, misspelt)
        comparators = [name for name in COMPARATORS if name in fields]
        self._leaves += max(len(comparators), 1)
        if self._leaves > MOST_LEAVES:
            self._reader.say(node, f"a rule has at most {MOST_LEAVES} comparisons; split it")
            return None
        if left is None or (misspelt and not comparators):
            return None
        if not comparators:
            if type_of(left) == "boolean":
                return Comparison(left, "eq", True)
            self._reader.say(node, f"nothing to compare with; add one of {', '.join(COMPARATORS)}")
            return None
        parts = [part for name in comparators if (part := self._compare(left, name, fields[name]))]
        if len(parts) != len(comparators):
            return None
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _operand(self, node: Placed, fields: Mapping[str, Placed], misspelt: bool = False) -> Operand | None:
        kind = self._operands.kind(fields)
        if kind is None and misspelt:
            return None  # the name that is missing is the one that was said to be unknown
        if kind is None:
            said = [name for name in fields if name in KINDS]
            what = f"has {' and '.join(said)}" if said else "names nothing to look at"
            self._reader.say(node, f"the comparison {what}; give one of {', '.join(KINDS)}")
            return None
        return self._operands.read(node, kind, fields)

    def _compare(self, left: Operand, comparator: Comparator, node: Placed) -> Comparison | None:
        right = self._right(left, comparator, node) if node.is_mapping else self._constant(left, comparator, node)
        return None if right is None else Comparison(left, comparator, right)

    def _right(self, left: Operand, comparator: Comparator, node: Placed) -> Operand | None:
        if comparator in ("matches", "exists"):
            self._reader.say(node, f"{comparator} needs {'a pattern' if comparator == 'matches' else 'true or false'}")
            return None
        before = len(self._reader.mistakes)
        fields = self._reader.fields(node, comparator, (*KINDS, *MODIFIERS))
        right = self._operand(node, fields, len(self._reader.mistakes) > before)
        if right is None:
            return None
        ours, theirs = type_of(left), type_of(right)
        listed = comparator in ("in", "not_in")
        wrong = (
            (comparator in ORDERS and "boolean" in (ours, theirs))
            or (listed and not isinstance(right, FieldOperand))
            or (not listed and "any" not in (ours, theirs) and ours != theirs)
        )
        if wrong:
            self._reader.say(node, f"{comparator} cannot compare a {ours} with {'this' if listed else f'a {theirs}'}")
            return None
        return right

    def _constant(self, left: Operand, comparator: Comparator, node: Placed) -> Any:
        if comparator in ("in", "not_in"):
            return self._constants(left, comparator, node)
        if comparator == "exists":
            return self._presence(left, node)
        if comparator == "matches":
            return self._pattern(left, node)
        return self._scalar(left, comparator, node)

    def _constants(self, left: Operand, comparator: Comparator, node: Placed) -> Any:
        items = self._reader.items(node, comparator)
        if isinstance(node.value, list) and not 0 < len(items) <= MOST_CONSTANTS:
            self._reader.say(node, f"{comparator} needs 1 to {MOST_CONSTANTS:,} values; use a list for more")
            return None
        values = [self._scalar(left, "eq", item) for item in items]
        return tuple(values) if values and None not in values else None

    def _presence(self, left: Operand, node: Placed) -> bool | None:
        if not isinstance(node.value, bool):
            self._reader.say(node, f"exists needs true or false, not {shown(node)}")
            return None
        always = isinstance(left, ListOperand) or (
            isinstance(left, HistoryOperand) and left.function in ("count", "sum", "distinct")
        )
        if always:
            self._reader.say(node, "this always has a value; compare it, as with gt: 0")
            return None
        return node.value

    def _pattern(self, left: Operand, node: Placed) -> str | None:
        if type_of(left) != "any":
            self._reader.say(node, f"matches looks at text, and this is a {type_of(left)}; use gt, lt or eq")
            return None
        text = self._reader.text(node, "matches", LONGEST_PATTERN)
        if text is None:
            return None
        try:
            pattern(text)
        except ValueError as error:
            self._reader.say(node, f"this is no pattern of RE2 ({error}); see github.com/google/re2/wiki/Syntax")
            return None
        return text

    def _scalar(self, left: Operand, comparator: Comparator, node: Placed) -> Any:
        kind, value = type_of(left), node.value
        if isinstance(left, HistoryOperand) and left.function == "since":
            ms = duration(value)
            if ms is None:
                self._reader.say(node, f"since is compared with a duration, as 10m, not {shown(node)}")
            return ms
        if isinstance(value, bool):
            good = kind in ("boolean", "any") and comparator not in ORDERS
        elif is_number(value):
            good = kind in ("number", "any")
        else:
            good = isinstance(value, str) and kind == "any"
        if not good:
            self._reader.say(node, f"{comparator} cannot compare a {_named(kind)} with {shown(node)}; {_wanted(node)}")
            return None
        return self._inside(left, comparator, node)

    def _inside(self, left: Operand, comparator: Comparator, node: Placed) -> Any:
        """Refuse what no confidence, score or count can be."""
        most = _most(left)
        value = node.value
        if most is None or isinstance(value, bool) or not is_number(value):
            return value
        never = (
            value < 0 or value > most or (comparator == "gt" and value >= most) or (comparator == "lt" and value <= 0)
        )
        if never:
            self._reader.say(node, f"{comparator} {value:g} decides nothing: this is from 0 to {most:g}")
            return None
        return value


def type_of(operand: Operand) -> str:
    """Return ``number``, ``boolean`` or, where only an event can tell, ``any``."""
    if isinstance(operand, FieldOperand):
        return "number" if operand.times != 1 else "any"
    if isinstance(operand, ListOperand) or (isinstance(operand, SignalOperand) and operand.part == "result"):
        return "boolean"
    return "any" if isinstance(operand, HistoryOperand) and operand.function == "last" else "number"


def _most(operand: Operand) -> float | None:
    if isinstance(operand, SignalOperand) and operand.part == "confidence":
        return 1.0
    if isinstance(operand, HistoryOperand) and operand.function in ("count", "distinct") and operand.times == 1:
        return 10_001.0  # the bound of members, and the event itself
    return 100.0 if not isinstance(operand, FieldOperand | HistoryOperand) and type_of(operand) == "number" else None


def _named(kind: str) -> str:
    return "value of the event" if kind == "any" else kind


def _wanted(node: Placed) -> str:
    if node.value is None:
        return "use exists: false for what is not there"
    if isinstance(node.value, list):
        return "use in for several values"
    if isinstance(node.value, str) and suggestion(node.value, ("true", "false")).startswith("did"):
        return "write true or false without quotes"
    return "give a value of that type"
