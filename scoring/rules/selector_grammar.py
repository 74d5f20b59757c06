"""The grammar of selectors: the part of jq that reads one event and cannot run away.

Paths, lists, conditions, arithmetic, comparisons, ``//`` and some forty functions; no variables, definitions, loops,
recursion, regular expressions (use ``matches``), clock, environment, files, nor assignment. jq itself evaluates it;
here it is read to know that it may, and to find plain paths, which need no jq.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Final, NamedTuple

from scoring.rules import selector_work as work
from scoring.rules.selector_tokens import Refused, Token, tokens
from scoring.rules.selector_work import Flow

LONGEST: Final = 512  # characters of a selector
_DEEPEST: Final = 16  # brackets in brackets
_COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")

Step = str | int
Bound = Callable[[Flow], Flow]


class Term(NamedTuple):
    """An expression: how it flows, and the steps of its path where it is a plain one."""

    bound: Bound
    path: tuple[tuple[Step, int], ...] | None = None  # each step with its column


def _itself(flow: Flow) -> Flow:
    return flow._replace(steps=flow.steps + flow.values)


def _look(flow: Flow) -> Flow:
    return work.look_through(flow)


def _number(flow: Flow) -> Flow:
    return work.measure(flow, number=True)


def _small(flow: Flow) -> Flow:
    return work.measure(flow, number=False)


def _sorted(flow: Flow) -> Flow:
    return flow._replace(steps=flow.steps + 2 * flow.weight, number=False)


_PLAIN: Final[dict[str, Bound]] = {
    **dict.fromkeys(("length", "utf8bytelength", "tonumber", "floor", "ceil", "round", "sqrt", "fabs"), _number),
    "fromdateiso8601": _number,
    **dict.fromkeys(("type", "any", "all", "not"), _small),
    **dict.fromkeys(("ascii_downcase", "ascii_upcase", "trim", "ltrim", "rtrim"), _look),
    **dict.fromkeys(("add", "reverse", "flatten", "values"), _look),
    **dict.fromkeys(("min", "max", "first", "last"), _look),
    **dict.fromkeys(("keys", "sort", "unique"), _sorted),
    "tostring": lambda flow: work.look_through(flow, 2),  # each quote and backslash gets one more
    "to_entries": lambda flow: work.look_through(flow, 4),
    "empty": lambda flow: work.constant(flow, 1),
    **dict.fromkeys(("true", "false", "null"), lambda flow: work.constant(flow, 1)),
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


_OF_ONE: Final[dict[str, Callable[[Bound], Bound]]] = {
    "map": _map, "select": _select, "any": _quantified, "all": _quantified, "first": _picked, "last": _picked,
    **dict.fromkeys(("sort_by", "min_by", "max_by", "group_by", "unique_by"), _by),
    **dict.fromkeys(("has", "startswith", "endswith", "ltrimstr", "rtrimstr"), _with),
    "split": _split,
    "join": _joined,
}  # fmt: skip
_WORDS: Final = ("and", "or", "if", "then", "elif", "else", "end")
FUNCTIONS: Final = tuple(sorted({*_PLAIN, *_OF_ONE}))


def parse(text: str) -> Term:
    """Read a selector. Refused where it is none, or uses more of jq than selectors may."""
    if len(text) > LONGEST:
        raise Refused(f"a selector has at most {LONGEST} characters, this has {len(text)}", LONGEST + 1)
    parser = _Parser(tokens(text))
    term = parser.pipe()
    parser.expect("end")
    return term


class _Parser:
    def __init__(self, stream: Iterable[Token]) -> None:
        self._tokens = list(stream)
        self._at = 0
        self._depth = 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._next
        self._at += token.kind != "end"
        return token

    def _is(self, *signs: str) -> bool:
        return self._next.kind in ("sign", "name") and self._next.text in signs

    def _given(self, *signs: str) -> bool:
        found = self._is(*signs)
        self._at += found
        return found

    def expect(self, *signs: str) -> None:
        """Take one of these, or refuse."""
        if self._next.kind == "end" and "end" in signs and self._next.text == "the end":
            return
        if not self._given(*signs):
            wanted = " or ".join(repr(sign) if sign != "end" else "the end" for sign in signs)
            raise Refused(f"{self._next.text!r} comes where {wanted} should", self._next.column)

    def pipe(self) -> Term:
        """Read ``a | b``, the loosest."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Refused(f"brackets are nested deeper than {_DEEPEST}", self._next.column)
        left = self._comma()
        while self._given("|"):
            first, second = left.bound, self._comma().bound
            left = Term(_piped(first, second))
        self._depth -= 1
        return left

    def _comma(self) -> Term:
        return self._operators(self._alternative, {",": work.both})

    def _alternative(self) -> Term:
        return self._operators(self._or, {"//": work.either})

    def _or(self) -> Term:
        return self._operators(self._and, {"or": _small_pair})

    def _and(self) -> Term:
        return self._operators(self._comparison, {"and": _small_pair})

    def _comparison(self) -> Term:
        left = self._sum()
        if not self._is(*_COMPARISONS):
            return left
        self._take()
        return Term(_joint(left.bound, self._sum().bound, _small_pair))

    def _sum(self) -> Term:
        return self._operators(self._product, {"+": _sum_pair, "-": _sum_pair})

    def _product(self) -> Term:
        left = self._term()
        while self._is("*", "/", "%"):
            sign = self._take()
            right = self._term()
            made = _product_pair(sign) if sign.text == "*" else _sum_pair
            left = Term(_joint(left.bound, right.bound, made))
        return left

    def _operators(self, part: Callable[[], Term], signs: dict[str, Callable[[Flow, Flow, Flow], Flow]]) -> Term:
        left = part()
        while self._is(*signs):
            made = signs[self._take().text]
            left = Term(_joint(left.bound, part().bound, made))
        return left

    def _term(self) -> Term:
        term = self._start()
        while True:
            if self._next.kind == "field":
                token = self._take()
                term = _stepped(term, token.text, token.column)
            elif self._is(".") and self._tokens[self._at + 1].kind == "string":
                self._take()
                token = self._take()
                term = _stepped(term, token.text, token.column)
            elif self._is("[") or (self._is(".") and self._tokens[self._at + 1].text == "["):
                self._given(".")
                term = self._bracket(term)
            elif self._given("?"):
                term = Term(term.bound)
            else:
                return term

    def _start(self) -> Term:
        token = self._take()
        if token.kind == "field":
            return Term(work.same, ((token.text, token.column),))
        if token.kind in ("number", "string"):
            weight, number = len(token.text), token.kind == "number"
            return Term(lambda flow: work.constant(flow, weight, number))
        if token.kind == "name":
            return self._named(token)
        if token.kind == "sign" and token.text in ".([-":
            return self._signed(token)
        raise Refused(f"{token.text!r} comes where a path as .data.amount should begin", token.column)

    def _signed(self, token: Token) -> Term:
        if token.text == ".":
            if self._next.kind == "string":
                step = self._take()
                return Term(work.same, ((step.text, step.column),))
            if self._is(".") or self._next.kind == "field":
                raise Refused("'..' is not read here: name the path", token.column)
            return Term(_itself, ())
        if token.text == "-":
            if self._next.kind != "number":
                raise Refused("'-' stands between two values, or before a number", token.column)
            self._take()
            return Term(lambda flow: work.constant(flow, 1, number=True))
        if token.text == "(":
            inner = self.pipe()
            self.expect(")")
            return Term(inner.bound)
        if self._given("]"):
            return Term(lambda flow: work.constant(flow, 1))
        items = self.pipe().bound
        self.expect("]")
        return Term(lambda flow: work.gathered(flow, items(flow)))

    def _named(self, token: Token) -> Term:
        if token.text == "if":
            return self._choice()
        if not self._given("("):
            if token.text in _PLAIN:
                return Term(_PLAIN[token.text])
        elif token.text in _OF_ONE:
            inner = self.pipe()
            self.expect(")")
            return Term(_OF_ONE[token.text](inner.bound))
        raise Refused(_no_function(token.text), token.column)

    def _choice(self) -> Term:
        condition = self.pipe().bound
        self.expect("then")
        then = self.pipe().bound
        self.expect("else", "elif", "end")
        word = self._tokens[self._at - 1].text
        other: Bound = work.same
        if word == "elif":
            other = self._choice().bound
        elif word == "else":
            other = self.pipe().bound
            self.expect("end")
        return Term(_chosen(condition, then, other))

    def _bracket(self, term: Term) -> Term:
        opening = self._take()
        if self._given("]"):
            return Term(_piped(term.bound, work.spread))
        step: Step | None = None
        if self._next.kind == "string":
            step = self._take().text
        elif not self._is(":"):
            step = self._index()
        if isinstance(step, str) or not self._is(":"):
            self.expect("]")
            return _stepped(term, step if step is not None else 0, opening.column)
        self._take()
        if not self._is("]"):
            self._index()
        elif step is None:
            raise Refused("a slice needs a bound, as .[0:2]", opening.column)
        self.expect("]")
        return Term(_piped(term.bound, work.look_through))

    def _index(self) -> int:
        negative = self._given("-")
        token = self._take()
        if token.kind != "number" or "." in token.text or len(token.text) > 6:
            raise Refused("brackets hold a whole number, a text in quotes, or nothing", token.column)
        return -int(token.text) if negative else int(token.text)


def _stepped(term: Term, step: Step, column: int) -> Term:
    path = None if term.path is None else (*term.path, (step, column))
    return Term(_piped(term.bound, work.same), path)


def _piped(first: Bound, second: Bound) -> Bound:
    def bound(flow: Flow) -> Flow:
        middle = first(flow)
        made = second(middle._replace(single=True))
        return made._replace(single=made.single and middle.single)

    return bound


def _joint(left: Bound, right: Bound, made: Callable[[Flow, Flow, Flow], Flow]) -> Bound:
    return lambda flow: made(flow, left(flow), right(flow))


def _small_pair(given: Flow, left: Flow, right: Flow) -> Flow:
    pair = work.paired(given, left, right)
    return pair._replace(weight=pair.values)


def _sum_pair(given: Flow, left: Flow, right: Flow) -> Flow:
    return work.paired(given, left, right)._replace(number=left.number and right.number)


def _product_pair(sign: Token) -> Callable[[Flow, Flow, Flow], Flow]:
    """Refuse to repeat a text: a number in an event would say how often."""

    def made(given: Flow, left: Flow, right: Flow) -> Flow:
        if not (left.number and right.number):
            raise Refused("'*' needs numbers for sure: write (.data.price | tonumber) * (...)", sign.column)
        return _small_pair(given, left, right)._replace(number=True)

    return made


def _chosen(condition: Bound, then: Bound, other: Bound) -> Bound:
    def bound(flow: Flow) -> Flow:
        asked = condition(flow)
        made = work.either(flow, then(flow), other(flow))
        times = 1 if asked.single else max(asked.values, 1)
        steps = asked.steps + (made.steps - flow.steps) * times
        return Flow(made.values * times, made.weight * times, steps, made.single and asked.single, made.number)

    return bound


def _no_function(name: str) -> str:
    if name in _WORDS:
        return f"{name!r} does not begin an expression"
    likely = get_close_matches(name, FUNCTIONS, 1, 0.75)  # most names are of jq, and meant
    takes = "has no argument here" if name in _PLAIN else "needs an argument" if name in _OF_ONE else "is not read here"
    hint = f"; did you mean {likely[0]}?" if likely and likely[0] != name else ""
    return f"{name} {takes}{hint}"
