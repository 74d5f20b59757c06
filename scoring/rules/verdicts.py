"""All rules of a program as one generated function: which of them do not say no.

A comparison that several rules share is made once, numbers and texts are compared in place, and everything else is left
to ``compare``. Logic is Kleene's, as in ``conditions``. Nothing of a rule gets into the generated text: constants are
handed in by number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeGuard

from scoring.rules.compare import Verdict, against_constant, compare
from scoring.rules.document import All, Comparison, Condition, Not, Operand, leaves

Row = Sequence[Any]
Hits = list[tuple[int, Verdict]]
Judge = Callable[[Row], Hits]
MOST_COMPARISONS: Final = 5_000
"""What has more takes too long to generate."""
_SIGNS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_EQUAL: Final = {"eq": "==", "ne": "!="}


def generated(conditions: Sequence[Condition | None], slot: Callable[[Operand], int]) -> Judge | None:
    """Return a function from a row to the numbers of the conditions that are true or err, with what they say.

    ``None`` stands for a condition that is not asked. None where there are too many comparisons.
    """
    if sum(len(leaves(one)) for one in conditions if one is not None) > MOST_COMPARISONS:
        return None
    writer = _Writer(slot)
    for number, condition in enumerate(conditions):
        if condition is not None:
            writer.rule(number, condition)
    return writer.function()


class _Writer:
    """Writes statements; values have names by number."""

    def __init__(self, slot: Callable[[Operand], int]) -> None:
        self.lines: list[str] = []
        self._slot = slot
        self._globals: dict[str, Any] = {"compare": compare}
        self._said: dict[Any, str] = {}  # names of what is known already, by what it is
        self._slots: set[int] = set()

    def function(self) -> Judge:
        """Return what was written as a function."""
        names = [f"v{slot}" if slot in self._slots else "_" for slot in range(max(self._slots, default=-1) + 1)]
        row = [f"{', '.join(names)}, *_ = row"] if names else []
        body = ["hits = []", *row, *self.lines, "return hits"]
        text = "def judge(row):\n" + "\n".join(f"    {line}" for line in body)
        exec(compile(text, "<rules>", "exec"), self._globals)  # noqa: S102 # numbers and operators alone are in the text
        judge: Judge = self._globals["judge"]
        return judge

    def rule(self, number: int, condition: Condition) -> None:
        """Write what notes a rule unless it says no."""
        if isinstance(condition, All) and len(condition.parts) > 1 and not any(map(_is_pattern, condition.parts)):
            names = tuple(dict.fromkeys(self.condition(part) for part in condition.parts))
            unsure = " and ".join(f"{name} is not False" for name in names)
            unknown = " or ".join(f"{name} is None" for name in names)
            self.lines.append(f"if {unsure}: hits.append(({number}, None if {unknown} else True))")
            return
        said = self.condition(condition)
        self.lines.append(f"if {said} is not False: hits.append(({number}, {said}))")

    def condition(self, condition: Condition) -> str:
        """Write a condition; return its name."""
        if isinstance(condition, Comparison):
            return self._comparison(condition)
        if isinstance(condition, Not):
            inner = self.condition(condition.part)
            return self._name(("not", inner), f"None if {inner} is None else not {inner}")
        return self._group(condition.parts, decisive=not isinstance(condition, All))

    def _group(self, parts: Sequence[Condition], decisive: bool) -> str:
        """Write parts of which one that says ``decisive`` decides; patterns are looked for last, and only if needed."""
        late = [part for part in parts if _is_pattern(part)]
        names = tuple(dict.fromkeys(self.condition(part) for part in parts if not _is_pattern(part)))
        if not late and len(names) == 1:
            return names[0]
        text = str(not decisive)
        if names:
            decided = " or ".join(f"{name} is {decisive}" for name in names)
            unknown = " or ".join(f"{name} is None" for name in names)
            text = f"{decisive} if {decided} else None if {unknown} else {not decisive}"
        if not late:
            return self._name((decisive, names), text)
        said = self._name((decisive, names, len(self.lines)), text)
        for part in late:
            value, check = self._value(part.left), self._given(against_constant(part.comparator, 0, part.right))
            then = f"{decisive} if found is {decisive} else None if found is None else {said}"
            self.lines.append(f"if {said} is not {decisive}: found = {check}(({value},)); {said} = {then}")
        return said

    def _comparison(self, one: Comparison) -> str:
        left = self._value(one.left)
        if isinstance(one.right, Operand):
            right = self._value(one.right)
            return self._name((one.comparator, left, right), self._of_two(one.comparator, left, right))
        constant = (one.comparator, left, _typed(one.right))
        if constant in self._said:
            return self._said[constant]
        return self._name(constant, self._with_constant(one, left))

    def _of_two(self, comparator: str, left: str, right: str) -> str:
        slow = f"compare({comparator!r}, {left}, {right})"
        if sign := _EQUAL.get(comparator):
            return f"{left} {sign} {right} if type({left}) is str and type({right}) is str else {slow}"
        if comparator not in _SIGNS:
            return slow
        both = f"{self._is_number(left)} and {self._is_number(right)}"
        return f"{left} {_SIGNS[comparator]} {right} if {both} else {slow}"

    def _with_constant(self, one: Comparison, left: str) -> str:
        constant, comparator = one.right, one.comparator
        slow = f"{self._given(against_constant(comparator, 0, constant))}(({left},))"
        if comparator != "exists":
            slow = f"False if {left} is None else {slow}"
        kind = type(constant)
        if comparator in _SIGNS and kind in (int, float):
            return f"{left} {_SIGNS[comparator]} {self._given(constant)} if {self._is_number(left)} else {slow}"
        sign = _EQUAL.get(comparator)
        if sign and kind in (str, int, float):
            alike = f"type({left}) is str" if kind is str else self._is_number(left)
            return f"{left} {sign} {self._given(constant)} if {alike} else {slow}"
        if sign and kind is bool:
            return f"{left} is {constant is (comparator == 'eq')} if type({left}) is bool else {slow}"
        if comparator in ("in", "not_in") and all(type(value) is str for value in constant):
            among = f"{left} {'in' if comparator == 'in' else 'not in'} {self._given(frozenset(constant))}"
            return f"{among} if type({left}) is str else {slow}"
        return slow

    def _value(self, operand: Operand) -> str:
        number = self._slot(operand)
        self._slots.add(number)
        return f"v{number}"

    def _is_number(self, value: str) -> str:
        return f"(type({value}) is float or type({value}) is int)"

    def _name(self, what: Any, text: str) -> str:
        """Write what is not known yet; return its name."""
        if what not in self._said:
            self._said[what] = f"c{len(self._said)}"
            self.lines.append(f"{self._said[what]} = {text}")
        return self._said[what]

    def _given(self, constant: Any) -> str:
        name = f"k{len(self._globals)}"
        self._globals[name] = constant
        return name


def _is_pattern(condition: Condition) -> TypeGuard[Comparison]:
    return isinstance(condition, Comparison) and condition.comparator == "matches"


def _typed(constant: Any) -> Any:
    """Tell 1 from 1.0 and from true, which are equal in Python."""
    if isinstance(constant, tuple):
        return tuple(_typed(one) for one in constant)
    return type(constant), constant
