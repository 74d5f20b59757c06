"""The functions of jq that selectors may use: what each makes of its input, and where it looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from scoring.rules import selector_places as places
from scoring.rules import selector_work as work
from scoring.rules.selector_places import See
from scoring.rules.selector_work import Flow

Step = str | int
Bound = Callable[[Flow], Flow]


class Term(NamedTuple):
    """An expression: how it flows, where it looks, and the steps of its path where it is a plain one."""

    bound: Bound
    see: See
    path: tuple[tuple[Step, int], ...] | None = None  # each step with its column


def _look(flow: Flow) -> Flow:
    return work.look_through(flow)


def _number(flow: Flow) -> Flow:
    return work.measure(flow, number=True)


def _small(flow: Flow) -> Flow:
    return work.measure(flow, number=False)


def _sorted(flow: Flow) -> Flow:
    return flow._replace(steps=flow.steps + 2 * flow.weight, number=False)


_NUMBERS: Final = ("length", "utf8bytelength", "tonumber", "floor", "ceil", "round", "sqrt", "fabs", "fromdateiso8601")
_TEXTS: Final = ("ascii_downcase", "ascii_upcase", "trim", "ltrim", "rtrim")
_CONSTANTS: Final = ("empty", "true", "false", "null")
PLAIN: Final[dict[str, Term]] = {
    **dict.fromkeys(_NUMBERS, Term(_number, places.whole)),
    **dict.fromkeys(_TEXTS, Term(_look, places.whole)),
    **dict.fromkeys(("add", "reverse", "flatten", "min", "max"), Term(_look, places.whole)),
    **dict.fromkeys(("any", "all"), Term(_small, places.each(places.truth))),
    **dict.fromkeys(("first", "last"), Term(_look, places.step(None))),
    **dict.fromkeys(("keys", "sort", "unique"), Term(_sorted, places.whole)),
    **dict.fromkeys(_CONSTANTS, Term(lambda flow: work.constant(flow, 1), places.constant)),
    "type": Term(_small, places.whole),
    "not": Term(_small, places.truth),
    "values": Term(_look, places.there),
    "tostring": Term(lambda flow: work.look_through(flow, 2), places.whole),  # quotes and backslashes become two
    "to_entries": Term(lambda flow: work.look_through(flow, 4), places.whole),
}


def _map(inner: Bound) -> Bound:
    return lambda flow: work.gathered(flow, inner(work.parts(flow)))


def _select(inner: Bound) -> Bound:
    def bound(flow: Flow) -> Flow:
        said = inner(flow)
        times = 1 if said.single else max(said.values, 1)
        return Flow(flow.values * times, flow.weight * times, said.steps, flow.single and said.single)

    return bound


def _quantified(inner: Bound) -> Bound:
    return lambda flow: Flow(flow.values, flow.values, inner(work.parts(flow)).steps, flow.single)


def _picked(inner: Bound) -> Bound:
    return lambda flow: inner(flow)._replace(single=True, values=flow.values)


def _by(inner: Bound) -> Bound:
    """Sort by keys: each item has the list of its keys beside it."""

    def bound(flow: Flow) -> Flow:
        keys = inner(work.parts(flow))
        return Flow(flow.values, 2 * flow.weight, keys.steps + 2 * (flow.weight + keys.weight), flow.single)

    return bound


def _with(inner: Bound) -> Bound:
    """Take an argument that is made of the same input."""
    return lambda flow: work.paired(flow, flow, inner(flow))


def _split(inner: Bound) -> Bound:
    return lambda flow: work.look_through(_with(inner)(flow), 4)  # every character may become a text of its own


def _joined(inner: Bound) -> Bound:
    def bound(flow: Flow) -> Flow:
        between = inner(flow)
        weight = flow.weight * (1 + between.weight)
        return Flow(max(between.values, 1), weight, between.steps + weight, flow.single and between.single)

    return bound


def _made_with(inner: See) -> See:
    return places.made_of(places.itself, inner)


def _made_by(inner: See) -> See:
    return places.made_of(places.itself, places.each(inner))


OF_ONE: Final[dict[str, tuple[Callable[[Bound], Bound], Callable[[See], See]]]] = {
    "map": (_map, lambda inner: places.made_of(places.each(inner))),
    "select": (_select, places.selected),
    **dict.fromkeys(("any", "all"), (_quantified, lambda inner: places.truths(places.each(inner)))),
    **dict.fromkeys(("first", "last"), (_picked, lambda inner: inner)),
    **dict.fromkeys(("sort_by", "min_by", "max_by", "group_by", "unique_by"), (_by, _made_by)),
    **dict.fromkeys(("has", "startswith", "endswith", "ltrimstr", "rtrimstr"), (_with, _made_with)),
    "split": (_split, _made_with),
    "join": (_joined, _made_with),
}
FUNCTIONS: Final = tuple(sorted({*PLAIN, *OF_ONE}))
