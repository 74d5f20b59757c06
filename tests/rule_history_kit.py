"""What the tests of the rules' history share: short names, streams of events, and a plain list as oracle."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import strategies as st

from scoring.rules.answers import FUNCTIONS, CatalogueName, Found, Query, Value, Write
from scoring.rules.history import HistoryLimits, Outcome, Step, Written
from scoring.rules.history_keys import HistoryKeys

BASE = 1_790_000_000_000
KEYS = HistoryKeys(b"the entity key of tests")
SMALL = HistoryLimits(members=5, late_ms=20, idle_ms=60_000)
WINDOW = 100
PAYMENTS, LOGINS = CatalogueName("own", "payments_by_user"), CatalogueName("own", "logins_by_user")


def write(dedupe: str, at: int, value: Value = 1, **more: object) -> Write:
    """Return a write to the payments of one user; ``at`` in ms after the base."""
    given = {"catalogue": PAYMENTS, "entity": "someone@example.com", "window": WINDOW, **more}
    return Write(dedupe=dedupe, value=value, at=BASE + at, **given)  # type: ignore[arg-type]


def query(function: str, at: int, over: int = WINDOW, **more: object) -> Query:
    """Return a query of the payments of one user."""
    given = {"catalogue": PAYMENTS, "entity": "someone@example.com", "own": "", **more}
    return Query(function=function, over=over, at=BASE + at, **given)  # type: ignore[arg-type]


class Oracle:
    """A list of members for each merchant, catalogue and entity; every question looks at all of them."""

    def __init__(self, limits: HistoryLimits) -> None:
        self.limits = limits
        self.lists: dict[object, list[tuple[int, bytes, Value]]] = {}
        self.floors: dict[object, int] = {}

    def exchange(self, steps: list[Step]) -> list[Outcome]:
        outcomes = []
        for step in steps:
            answers = {one: self.answer(step.merchant, one) for one in step.queries}
            outcomes.append(Outcome(answers, tuple(self.write(step.merchant, one) for one in step.writes)))
        return outcomes

    def write(self, merchant: str, one: Write) -> Written:
        name = merchant, one.catalogue, one.entity
        members = self.lists.setdefault(name, [])
        newest = max((time for time, _, _ in members), default=one.at)
        retention = one.window + self.limits.late_ms
        if one.at <= newest - retention:
            self._lose(name, newest - retention)
            return Written.TOO_OLD
        if any(KEYS.id(one.dedupe) == other for _, other, _ in members):
            return Written.REPEATED
        added = one.at, KEYS.id(one.dedupe), one.value
        members.append(added)
        edge = max(newest, one.at) - retention
        if any(time <= edge for time, _, _ in members):
            self._lose(name, edge)
        members[:] = sorted((member for member in members if member[0] > edge), key=lambda member: member[:2])
        while len(members) > self.limits.members:
            self._lose(name, members.pop(0)[0])
        return Written.COUNTED if added in members else Written.TOO_OLD

    def answer(self, merchant: str, one: Query) -> Found:
        name = merchant, one.catalogue, one.entity
        own = KEYS.id(one.own) if one.own else b""
        floor = self.floors.get(name, 0)
        seen = [
            (time, value)
            for time, other, value in self.lists.get(name, [])
            if one.at - one.over < time <= one.at and other != own
        ]
        if one.included is not None:
            seen.append((one.at, one.included))
        partly = floor > one.at - one.over
        if one.function in ("last", "since"):
            if not seen:
                return Found(None, partly)
            time, value = seen[-1]
            missing = one.included is None and time < floor
            return Found(as_kept(value) if one.function == "last" else one.at - time, missing)
        return Found(reduced(one.function, [value for _, value in seen]), partly)

    def _lose(self, name: object, at: int) -> None:
        self.floors[name] = max(at, self.floors.get(name, 0))


def reduced(function: str, values: list[Value]) -> Value | None:
    """Return what a function makes of values, in exact arithmetic."""
    numbers = [Fraction(value) for value in values if not isinstance(value, str)]
    if function == "count":
        return len(values)
    if function == "distinct":
        return len({as_kept(value) for value in values})
    if function == "sum":
        return float(sum(numbers, Fraction(0)))
    if not numbers:
        return None
    if function == "avg":
        return float(sum(numbers)) / len(numbers)
    return float(min(numbers) if function == "min" else max(numbers))


def as_kept(value: Value) -> Value:
    return value if isinstance(value, str) else float(value)


merchants = st.sampled_from(["shop", "shop", "shop", "shop2"])  # most go to one history: there they meet
catalogues = st.sampled_from([PAYMENTS, PAYMENTS, PAYMENTS, LOGINS, CatalogueName("global", "payments_by_user")])
entities = st.sampled_from(["a", "a", "a", "ü\ud800"])
dedupes = st.sampled_from([f"event {number}" for number in range(12)])
values = st.one_of(
    st.sampled_from([1, 1, 1, True, False, 0.1, 0.2, 0.3, -0.0, 2**60, 1e300, -1e300, "", "ID", "SG", "ü\ud800"]),
    st.floats(-1e6, 1e6),
)
moves = st.sampled_from(
    [0, 0, 0, 1, 2, 10, 50, 99, 100, 101, 119, 120, 121, 150, -1, -5, -19, -20, -21, -119, -120, -121]
)
overs = st.sampled_from([1, 2, 10, 50, 99, 100])
functions = st.sampled_from([FUNCTIONS, FUNCTIONS, ("count",), ("count", "last"), ("sum", "since")])
some = st.lists(catalogues, min_size=1, max_size=2)
events = st.tuples(moves, merchants, entities, dedupes, values, some, overs, overs, functions)


@st.composite
def streams(draw: st.DrawFn) -> list[Step]:
    """Return events that ask and then write: repeated, late, at one time, at the edges of windows and retention."""
    rows = st.lists(events, min_size=1, max_size=20)
    now, steps = BASE, []
    for move, merchant, entity, dedupe, value, written, short, long, asked in draw(rows):
        now += move
        queries = [
            Query(catalogue, entity, function, over, now, own, itself)
            for catalogue in dict.fromkeys([PAYMENTS, *written])
            for function in asked
            for over, own, itself in ((short, dedupe, None), (long, "", None), (long, dedupe, value))
        ]
        steps.append(Step(merchant, queries, [Write(one, entity, dedupe, value, now, WINDOW) for one in written]))
    return steps
