"""Comparisons, in three values: true, false, and None where one side has a fault or another type than is needed.

**What is not there compares with nothing:** every comparison with null is false, ``ne`` and ``not_in`` too; ``exists``
asks for it. Numbers equal numbers, texts texts, true and false themselves; nothing else is equal.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

from scoring.rules.document import Comparator
from scoring.rules.patterns import LONGEST_SUBJECT, pattern
from scoring.rules.selector_tokens import Fault

Verdict = bool | None
"""True, false, or None: an error."""
_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le,
}  # fmt: skip
_NUMBERS: Final = (int, float)  # exact types: bool is none of them


def compare(comparator: Comparator, left: Any, right: Any) -> Verdict:
    """Compare two values of an event or a rule; ``matches`` and ``exists`` take a constant on the right."""
    if isinstance(left, Fault) or isinstance(right, Fault):
        return None
    if comparator == "exists":
        return (left is not None) is right
    if left is None or right is None:
        return False
    return _COMPARE[comparator](comparator, left, right)


def equal(left: Any, right: Any) -> bool:
    """Return whether two values are the same one of JSON's scalars."""
    if type(left) in _NUMBERS and type(right) in _NUMBERS:
        return bool(left == right)
    return type(left) is type(right) and isinstance(left, bool | str) and bool(left == right)


def _ordered(comparator: str, left: Any, right: Any) -> Verdict:
    alike = (type(left) in _NUMBERS and type(right) in _NUMBERS) or (isinstance(left, str) and isinstance(right, str))
    return _ORDERS[comparator](left, right) if alike else None


def _equals(comparator: str, left: Any, right: Any) -> Verdict:
    return equal(left, right) is (comparator == "eq")


def _among(comparator: str, left: Any, right: Any) -> Verdict:
    if not isinstance(right, tuple | list):
        return None
    return any(equal(left, one) for one in right) is (comparator == "in")


def _matches(_: str, text: Any, wanted: str) -> Verdict:
    if not isinstance(text, str) or len(text) > LONGEST_SUBJECT:
        return None
    try:
        return pattern(wanted).search(text) is not None
    except (UnicodeEncodeError, ValueError):
        return None  # half a surrogate pair


_COMPARE: Final[dict[str, Callable[[str, Any, Any], Verdict]]] = {
    **dict.fromkeys(_ORDERS, _ordered),
    **dict.fromkeys(("eq", "ne"), _equals),
    **dict.fromkeys(("in", "not_in"), _among),
    "matches": _matches,
}


def against_constant(comparator: Comparator, slot: int, constant: Any) -> Callable[[list[Any]], Verdict]:
    """Return a comparison of one value of a row with a constant, quick where it is numbers."""
    order = _ORDERS.get(comparator)
    if order is not None and type(constant) in _NUMBERS:

        def quick(values: list[Any]) -> Verdict:
            value = values[slot]
            kind = type(value)
            return order(value, constant) if kind is int or kind is float else compare(comparator, value, constant)

        return quick
    return lambda values: compare(comparator, values[slot], constant)
