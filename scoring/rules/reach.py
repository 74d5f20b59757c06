"""Rules that cannot be reached: bounds that contradict each other, or an unconditional rule that stops before them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from scoring.rules.document import All, AnyOf, Comparison, Condition, Operand, Rule

_NEVER: Final = "the bounds contradict each other"


class _Bounds:
    """What a value may still be after some comparisons with constants."""

    def __init__(self) -> None:
        self.low, self.high = -math.inf, math.inf
        self.low_open = self.high_open = False
        self.among: set[tuple[str, Any]] | None = None
        self.absent = self.present = False

    def add(self, comparison: Comparison) -> None:
        """Narrow it down."""
        value = comparison.right
        kind = comparison.comparator
        if kind == "exists":
            self.absent |= value is False
            self.present |= value is True
            return
        self.present = True  # a value that is not there compares with nothing
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if kind in ("gt", "gte") and number and (value, kind == "gt") > (self.low, self.low_open):
            self.low, self.low_open = value, kind == "gt"
        elif kind in ("lt", "lte") and number and (value, kind != "lt") < (self.high, not self.high_open):
            self.high, self.high_open = value, kind == "lt"
        elif kind in ("eq", "in"):
            values = {_typed(one) for one in (value if kind == "in" else (value,))}
            self.among = values if self.among is None else self.among & values

    @property
    def empty(self) -> bool:
        """Return whether nothing is left."""
        if self.absent and self.present:
            return True
        if self.among is not None and not any(self._holds(one) for one in self.among):
            return True
        return self.low > self.high or (self.low == self.high and (self.low_open or self.high_open))

    def _holds(self, typed: tuple[str, Any]) -> bool:
        kind, value = typed
        bounded = self.low > -math.inf or self.high < math.inf
        if kind != "number":
            return not bounded
        above = value > self.low or (value == self.low and not self.low_open)
        below = value < self.high or (value == self.high and not self.high_open)
        return bool(above and below)


def _typed(value: Any) -> tuple[str, Any]:
    if isinstance(value, bool):
        return "boolean", value
    return ("number", value) if isinstance(value, int | float) else ("text", value)


def never_true(condition: Condition) -> bool:
    """Return whether no event can fulfil a condition, by its comparisons with constants."""
    if isinstance(condition, AnyOf):
        return all(never_true(part) for part in condition.parts)
    bounds: dict[Operand, _Bounds] = {}
    for part in _together(condition):
        if not isinstance(part, Comparison):
            if isinstance(part, AnyOf) and never_true(part):
                return True
        elif not isinstance(part.right, Operand):
            bounds.setdefault(part.left, _Bounds()).add(part)
    return any(one.empty for one in bounds.values())


def _together(condition: Condition) -> Iterator[Condition]:
    """Give what must hold at once."""
    if isinstance(condition, All):
        for part in condition.parts:
            yield from _together(part)
    else:
        yield condition


class Unreachable(NamedTuple):
    """A rule that never does anything, and why."""

    rule: Rule
    why: str


def order(rule: Rule) -> tuple[int, str]:
    """Return what rules are sorted by: the highest priority first, then by id."""
    return (-rule.priority, rule.id)


def unreachable(rules: Sequence[Rule]) -> list[Unreachable]:
    """Return rules that cannot match, and rules that one before them always stops."""
    found = [
        Unreachable(rule, f"{_NEVER}, so it never matches; correct them") for rule in rules if never_true(rule.when)
    ]
    stops: list[Rule] = []
    for rule in sorted((rule for rule in rules if rule.status == "live"), key=order):
        covering = next((stop for stop in stops if _covers(stop, rule)), None)
        if covering is not None:
            why = f"{covering.id} always matches before it and stops; raise this rule's priority above"
            found.append(Unreachable(rule, f"{why} {covering.priority}"))
        if rule.stop_on_match and isinstance(rule.when, All) and not rule.when.parts:
            stops.append(rule)
    return found


def _covers(stop: Rule, rule: Rule) -> bool:
    return not stop.event_types or bool(rule.event_types and set(rule.event_types) <= set(stop.event_types))
