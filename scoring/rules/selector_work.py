"""How much work a selector can be, before it runs: the most values, their weight and the steps, for any event.

jq cannot be interrupted, and no clock may decide what a rule says. So every construct says how it can make more of its
input than it was, and a selector whose bound is too high is refused when it is loaded. A value weighs at least 1, a
text its characters, and every item of a list one more, as in JSON.

Functions here are given the inputs of an expression as a flow with ``single`` true.
"""

from __future__ import annotations

from typing import NamedTuple


class Flow(NamedTuple):
    """The values that come out of an expression, at most, for all its inputs together."""

    values: int
    weight: int
    steps: int = 0  # so far
    single: bool = True  # at most one for each input of the expression
    number: bool = False  # each is a number, or the expression fails


def one(weight: int) -> Flow:
    """Return the flow of one event."""
    return Flow(1, weight)


def same(flow: Flow) -> Flow:
    """A part of each input is taken in one step: ``.a``, ``.[0]``."""
    return flow._replace(steps=flow.steps + flow.values, number=False)


def spread(flow: Flow) -> Flow:
    """Every part of each input comes out: ``.[]``."""
    return Flow(max(flow.weight // 2, 1), flow.weight, flow.steps + flow.weight, single=False)


def parts(flow: Flow) -> Flow:
    """Return the parts of each input as the inputs of another expression."""
    return spread(flow)._replace(single=True)


def look_through(flow: Flow, growth: int = 1, number: bool = False) -> Flow:
    """All of each input is looked at, and made into one value of at most ``growth`` times its weight."""
    return Flow(flow.values, flow.weight * growth, flow.steps + flow.weight * growth, flow.single, number)


def measure(flow: Flow, number: bool) -> Flow:
    """All of each input is looked at, and one small value comes out: ``length``, ``any``, ``tonumber``."""
    return Flow(flow.values, flow.values, flow.steps + flow.weight, flow.single, number)


def constant(flow: Flow, weight: int, number: bool = False) -> Flow:
    """Each input gives the same value."""
    return Flow(flow.values, flow.values * max(weight, 1), flow.steps + flow.values, True, number)


def both(given: Flow, left: Flow, right: Flow) -> Flow:
    """Return the outputs of two expressions on the same input, one after the other."""
    steps = left.steps + right.steps - given.steps
    number = left.number and right.number
    return Flow(left.values + right.values, left.weight + right.weight, steps, False, number)


def either(given: Flow, left: Flow, right: Flow) -> Flow:
    """Return the outputs of one or the other."""
    return both(given, left, right)._replace(single=left.single and right.single)


def paired(given: Flow, left: Flow, right: Flow) -> Flow:
    """Return every output of one expression with every output of the other: what operators do in jq.

    The weight is that of both values of a pair.
    """
    repeat = 1 if right.single else max(right.values, 1)
    if left.single and right.single:
        values, weight = given.values, left.weight + right.weight
    else:
        values = max(left.values, 1) * max(right.values, 1)
        weight = left.weight * max(right.values, 1) + right.weight * max(left.values, 1)
    own = (left.steps - given.steps) * repeat + right.steps
    return Flow(values, weight, own + values + weight, left.single and right.single)


def gathered(given: Flow, inner: Flow) -> Flow:
    """Return one list of an expression's outputs for each input: ``[...]``."""
    weight = inner.weight + inner.values + given.values
    return Flow(given.values, weight, inner.steps + inner.values)
