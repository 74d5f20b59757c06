"""The grammar of selectors: the part of jq that reads one event and cannot run away.

Paths, lists, conditions, arithmetic, comparisons, ``//`` and some forty functions (``selector_functions``); no
variables, definitions, loops, recursion, regular expressions (use ``matches``), clock, environment, files, nor
assignment. jq itself evaluates it; here it is read to know that it may, where it looks, and to find plain paths, which
need no jq.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Final

from scoring.rules import selector_places as places
from scoring.rules import selector_work as work
from scoring.rules.selector_functions import FUNCTIONS, OF_ONE, PLAIN, Bound, Step, Term
from scoring.rules.selector_places import See
from scoring.rules.selector_tokens import Refused, Token, tokens
from scoring.rules.selector_work import Flow

LONGEST: Final = 512  # characters of a selector
_DEEPEST: Final = 16  # brackets in brackets
_COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")

Made = Callable[[Flow, Flow, Flow], Flow]


def _itself(flow: Flow) -> Flow:
    return flow._replace(steps=flow.steps + flow.values)


_ALL: Final = Term(_itself, places.itself, ())
_WORDS: Final = ("and", "or", "if", "then", "elif", "else", "end")


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
            left = _piped(left, self._comma())
        self._depth -= 1
        return left

    def _comma(self) -> Term:
        return self._operators(self._alternative, places.either, {",": work.both})

    def _alternative(self) -> Term:
        return self._operators(self._or, _alternatives, {"//": work.either})

    def _or(self) -> Term:
        return self._operators(self._and, places.truths, {"or": _small_pair})

    def _and(self) -> Term:
        return self._operators(self._comparison, places.truths, {"and": _small_pair})

    def _comparison(self) -> Term:
        left = self._sum()
        if not self._is(*_COMPARISONS):
            return left
        self._take()
        return _joint(left, self._sum(), _small_pair, places.made_of)

    def _sum(self) -> Term:
        return self._operators(self._product, places.made_of, {"+": _sum_pair, "-": _sum_pair})

    def _product(self) -> Term:
        left = self._term()
        while self._is("*", "/", "%"):
            sign = self._take()
            right = self._term()
            made = _product_pair(sign) if sign.text == "*" else _sum_pair
            left = _joint(left, right, made, places.made_of)
        return left

    def _operators(self, part: Callable[[], Term], see: Callable[[See, See], See], signs: dict[str, Made]) -> Term:
        left = part()
        while self._is(*signs):
            made = signs[self._take().text]
            left = _joint(left, part(), made, see)
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
                term = term._replace(path=None)
            else:
                return term

    def _start(self) -> Term:
        token = self._take()
        if token.kind == "field":
            return _stepped(_ALL, token.text, token.column)
        if token.kind in ("number", "string"):
            weight, number = len(token.text), token.kind == "number"
            return Term(lambda flow: work.constant(flow, weight, number), places.constant)
        if token.kind == "name":
            return self._named(token)
        if token.kind == "sign" and token.text in ".([-":
            return self._signed(token)
        raise Refused(f"{token.text!r} comes where a path as .data.amount should begin", token.column)

    def _signed(self, token: Token) -> Term:
        if token.text == ".":
            if self._next.kind == "string":
                step = self._take()
                return _stepped(_ALL, step.text, step.column)
            if self._is(".") or self._next.kind == "field":
                raise Refused("'..' is not read here: name the path", token.column)
            return _ALL
        if token.text == "-":
            if self._next.kind != "number":
                raise Refused("'-' stands between two values, or before a number", token.column)
            self._take()
            return Term(lambda flow: work.constant(flow, 1, number=True), places.constant)
        if token.text == "(":
            inner = self.pipe()
            self.expect(")")
            return inner._replace(path=None)
        if self._given("]"):
            return Term(lambda flow: work.constant(flow, 1), places.constant)
        items = self.pipe()
        self.expect("]")
        return Term(lambda flow: work.gathered(flow, items.bound(flow)), places.made_of(items.see))

    def _named(self, token: Token) -> Term:
        if token.text == "if":
            return self._choice()
        if not self._given("("):
            if token.text in PLAIN:
                return PLAIN[token.text]
        elif token.text in OF_ONE:
            inner = self.pipe()
            self.expect(")")
            bound, see = OF_ONE[token.text]
            return Term(bound(inner.bound), see(inner.see))
        raise Refused(_no_function(token.text), token.column)

    def _choice(self) -> Term:
        condition = self.pipe()
        self.expect("then")
        then = self.pipe()
        self.expect("else", "elif", "end")
        word = self._tokens[self._at - 1].text
        other = Term(work.same, places.itself)
        if word == "elif":
            other = self._choice()
        elif word == "else":
            other = self.pipe()
            self.expect("end")
        bound = _chosen(condition.bound, then.bound, other.bound)
        return Term(bound, places.chosen(condition.see, then.see, other.see))

    def _bracket(self, term: Term) -> Term:
        opening = self._take()
        if self._given("]"):
            return _piped(term, Term(work.spread, places.step(None)))
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
        return _piped(term, Term(work.look_through, places.whole))

    def _index(self) -> int:
        negative = self._given("-")
        token = self._take()
        if token.kind != "number" or "." in token.text or len(token.text) > 6:
            raise Refused("brackets hold a whole number, a text in quotes, or nothing", token.column)
        return -int(token.text) if negative else int(token.text)


def _stepped(term: Term, step: Step, column: int) -> Term:
    path = None if term.path is None else (*term.path, (step, column))
    return _piped(term, Term(work.same, places.step(step)))._replace(path=path)


def _piped(first: Term, second: Term) -> Term:
    def bound(flow: Flow) -> Flow:
        middle = first.bound(flow)
        made = second.bound(middle._replace(single=True))
        return made._replace(single=made.single and middle.single)

    return Term(bound, places.piped(first.see, second.see))


def _joint(left: Term, right: Term, made: Made, see: Callable[[See, See], See]) -> Term:
    return Term(lambda flow: made(flow, left.bound(flow), right.bound(flow)), see(left.see, right.see))


def _alternatives(left: See, right: See) -> See:
    return places.either(places.piped(left, places.there), right)


def _small_pair(given: Flow, left: Flow, right: Flow) -> Flow:
    pair = work.paired(given, left, right)
    return pair._replace(weight=pair.values)


def _sum_pair(given: Flow, left: Flow, right: Flow) -> Flow:
    return work.paired(given, left, right)._replace(number=left.number and right.number)


def _product_pair(sign: Token) -> Made:
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
    takes = "has no argument here" if name in PLAIN else "needs an argument" if name in OF_ONE else "is not read here"
    hint = f"; did you mean {likely[0]}?" if likely and likely[0] != name else ""
    return f"{name} {takes}{hint}"
