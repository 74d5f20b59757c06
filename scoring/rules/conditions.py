"""Conditions as functions of a row of values, and what they saw, for people.

Logic is Kleene's, with None for an error: ``any`` of true and an error is true, ``all`` of false and an error is false,
and else an error stays one. So the order of parts decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from scoring.rules.compare import Verdict, against_constant, compare
from scoring.rules.document import (
    All,
    Comparison,
    Condition,
    FieldOperand,
    HistoryOperand,
    ListOperand,
    Not,
    Operand,
    ScoreOperand,
    SignalOperand,
    operands,
)
from scoring.rules.selector_tokens import Fault
from scoring.rules.times import written

Row = list[Any]
Check = Callable[[Row], Verdict]
Slot = Callable[[Operand], int]
_HIDDEN_DIGITS: Final = 10  # whole numbers of so many digits may be a telephone or a card
_HIDDEN: Final = 10 ** (_HIDDEN_DIGITS - 1)
_LABEL: Final = re.compile(r"[A-Za-z][A-Za-z_-]{0,31}\Z")


def compile_condition(condition: Condition, slot: Slot) -> Check:
    """Return the condition over a row, in which ``slot`` says where an operand's value is."""
    if isinstance(condition, Comparison):
        return _comparison(condition, slot)
    if isinstance(condition, Not):
        inner = compile_condition(condition.part, slot)
        return lambda row: None if (said := inner(row)) is None else not said
    parts = tuple(compile_condition(part, slot) for part in condition.parts)
    return _quantified(parts, decisive=not isinstance(condition, All))


def _comparison(one: Comparison, slot: Slot) -> Check:
    left = slot(one.left)
    if not isinstance(one.right, Operand):
        return against_constant(one.comparator, left, one.right)
    right = slot(one.right)
    return lambda row: compare(one.comparator, row[left], row[right])


def _quantified(parts: tuple[Check, ...], decisive: bool) -> Check:
    def check(row: Row) -> Verdict:
        said: Verdict = not decisive
        for part in parts:
            found = part(row)
            if found is decisive:
                return decisive
            if found is None:
                said = None
        return said

    return check


Explain = Callable[[Row], dict[str, Any]]


def explainer(condition: Condition, slot: Slot) -> Explain:
    """Return what makes a tree of a row: what each part said, and the values seen as far as they may be shown."""
    if isinstance(condition, Comparison):
        return _comparison_explainer(condition, slot)
    if isinstance(condition, Not):
        part = explainer(condition.part, slot)
        return lambda row: {"not": (told := part(row)), "is": None if told["is"] is None else not told["is"]}
    parts = [explainer(part, slot) for part in condition.parts]
    decisive = not isinstance(condition, All)

    def explain(row: Row) -> dict[str, Any]:
        told = [part(row) for part in parts]
        said = [part["is"] for part in told]
        verdict = decisive if decisive in said else None if None in said else not decisive
        return {"any" if decisive else "all": told, "is": verdict}

    return explain


def _comparison_explainer(one: Comparison, slot: Slot) -> Explain:
    left_slot, right_slot = slot(one.left), slot(one.right) if isinstance(one.right, Operand) else None
    of, against = named(one.left), _against(one)

    def explain(row: Row) -> dict[str, Any]:
        left, right = row[left_slot], one.right if right_slot is None else row[right_slot]
        verdict = compare(one.comparator, left, right)
        told: dict[str, Any] = {"of": of, one.comparator: against, "is": verdict}
        told["saw"] = _shown(one.left, left, one, verdict)
        if right_slot is not None:
            told["saw_there"] = _shown(one.right, right, one, verdict)
        if verdict is None:
            faults = [value.said for value in (left, right) if isinstance(value, Fault)]
            told["fault"] = faults[0] if faults else "the value has another type than this comparison needs"
        return told

    return explain


def true_explainer(condition: Condition, slot: Slot) -> Explain:
    """Return what makes the same tree of a row for which the condition is true: what follows is not compared again."""
    if isinstance(condition, Comparison):
        return _true_comparison_explainer(condition, slot)
    if not isinstance(condition, All):
        return explainer(condition, slot)
    parts = [true_explainer(part, slot) for part in condition.parts]
    return lambda row: {"all": [part(row) for part in parts], "is": True}


def _true_comparison_explainer(one: Comparison, slot: Slot) -> Explain:
    left, of, against, comparator = slot(one.left), named(one.left), _against(one), one.comparator
    saw = _shown_where_true(one.left, one)
    if not isinstance(one.right, Operand):
        return lambda row: {"of": of, comparator: against, "is": True, "saw": saw(row[left])}
    right, saw_there = slot(one.right), _shown_where_true(one.right, one)
    return lambda row: {
        "of": of, comparator: against, "is": True, "saw": saw(row[left]), "saw_there": saw_there(row[right]),
    }  # fmt: skip


def _shown_where_true(operand: Operand, one: Comparison) -> Callable[[Any], Any]:
    """Return ``_shown`` of a comparison that is true, so of a value without a fault."""
    if _is_kept(operand):
        return lambda value: value
    numbers = one.comparator in ("gt", "gte", "lt", "lte", "eq", "in") or isinstance(operand, HistoryOperand)

    def shown(value: Any) -> Any:
        if numbers and type(value) in (int, float) and -_HIDDEN < value < _HIDDEN:
            return value
        return _shown(operand, value, one, True)

    return shown


def fault_in(tree: dict[str, Any]) -> str:
    """Return the first fault in an explained condition."""
    if "fault" in tree:
        return str(tree["fault"])
    below = tree.get("all") or tree.get("any") or ([tree["not"]] if "not" in tree else [])
    return next((said for part in below if (said := fault_in(part))), "")


def named(operand: Operand) -> str:
    """Return an operand in words, as it is written."""
    if isinstance(operand, FieldOperand):
        said = operand.selector
    elif isinstance(operand, HistoryOperand):
        self_too = ", the event itself included" if operand.include_self else ""
        said = f"{operand.function} of {operand.catalogue.name.id} over {written(operand.over)}{self_too}"
    elif isinstance(operand, ListOperand):
        return f"{operand.selector} in list {operand.list}"
    elif isinstance(operand, SignalOperand):
        return f"{operand.signal} {operand.part}"
    else:
        said = "score of the model"
    return said if operand.times == 1 else f"{said} times {operand.times:g}"


def _against(one: Comparison) -> Any:
    if isinstance(one.right, Operand):
        return named(one.right)
    if isinstance(one.right, tuple):
        return f"{len(one.right)} {'value' if len(one.right) == 1 else 'values'}"
    if isinstance(one.left, HistoryOperand) and one.left.function == "since":
        return written(one.right) if isinstance(one.right, int) and not isinstance(one.right, bool) else one.right
    if one.comparator == "matches":
        return "a pattern"
    return _label(one.right) if isinstance(one.right, str) else _number(one.right)


def _shown(operand: Operand, value: Any, one: Comparison, verdict: Verdict) -> Any:
    """Return a value that was seen, without what could be personal.

    Numbers that were compared by size and are no telephone's or card's, and texts that the rule itself names and that
    are words; of all else the type.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Fault):
        return None
    if _is_kept(operand):
        return value
    if isinstance(value, int | float):
        sized = one.comparator in ("gt", "gte", "lt", "lte") or isinstance(operand, HistoryOperand)
        return _number(value) if sized or (verdict and one.comparator in ("eq", "in")) else "a number"
    if isinstance(value, str):
        by_name = verdict is True and one.comparator in ("eq", "in") and not isinstance(one.right, Operand)
        return _label(value) if by_name else _length(value)
    return f"a list of {len(value)}" if isinstance(value, list) else "an object"


def _is_kept(operand: Operand) -> bool:
    """Return whether no value of an operand is personal."""
    if isinstance(operand, HistoryOperand):
        return operand.function in ("count", "distinct", "since")
    return isinstance(operand, ScoreOperand | SignalOperand)


def _number(value: Any) -> Any:
    if isinstance(value, bool) or abs(value) < _HIDDEN:
        return value
    return f"a number of {_HIDDEN_DIGITS} digits or more"


def _label(text: str) -> str:
    return text if _LABEL.match(text) else _length(text)


def _length(text: str) -> str:
    return f"a text of {len(text)}"


def all_operands(condition: Condition) -> list[Operand]:
    """Return every operand of a condition."""
    if isinstance(condition, Comparison):
        return operands(condition)
    parts = (condition.part,) if isinstance(condition, Not) else condition.parts
    return [operand for part in parts for operand in all_operands(part)]
