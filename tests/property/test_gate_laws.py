"""The gate's grammar: whatever is written is a condition that means what it says, or one sentence."""

from __future__ import annotations

import operator

from hypothesis import example, given
from hypothesis import strategies as st

from scoring.gate import METRICS, Condition, GateError, failures

OPERATORS = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(st.text(max_size=300) | st.from_regex(r"[a-z_.]{1,30} ?[<>=!]{1,3} ?-?[0-9.e]{1,9}", fullmatch=True))
@example("flip_share>nan")
@example("flip_share>1e999")
@example("flip_share>>1")
@example("__import__('os')>1")
def test_any_text_is_a_condition_or_one_sentence(text: str) -> None:
    try:
        condition = Condition.read(text)
    except GateError as refused:
        assert "\n" not in str(refused).replace(repr(text)[1:-1], "")
    else:
        assert condition.metric in METRICS and Condition.read(str(condition)) == condition
        assert len(failures({condition.metric: 0.5}, [condition])) == OPERATORS[condition.comparison](
            0.5, condition.number
        )


@given(st.sampled_from(list(METRICS)), st.sampled_from(list(OPERATORS)), NUMBERS, NUMBERS)
def test_a_condition_holds_as_its_comparison_says(metric: str, comparison: str, number: float, value: float) -> None:
    condition = Condition.read(f" {metric} {comparison} {number!r} ")
    assert condition == (Condition(metric, comparison, number))
    assert bool(failures({metric: value}, [condition])) == OPERATORS[comparison](value, number)


@given(st.sampled_from(list(METRICS)), st.sampled_from(list(OPERATORS)), st.sampled_from([None, float("nan")]))
def test_a_metric_without_a_value_fails_unless_that_is_allowed(
    metric: str, comparison: str, value: float | None
) -> None:
    condition = Condition(metric, comparison, 1.0)
    for values in ({metric: value}, {}):
        (said,) = failures(values, [condition])
        assert "has no value" in said
        assert failures(values, [condition], allow_missing=True) == []
