"""The engine against a naive one: rules as plain values, history as a list of all events, no plan and no store."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.rules.answers import Entity, Entry, Standing
from scoring.rules.evaluate import Judgement, Signal
from scoring.rules.examples import check_examples
from scoring.rules.times import duration
from tests.rules_kit import NOON, Shop, loaded, ruleset, statuses

CATALOGUES: dict[str, dict[str, Any]] = {
    "spent": {"event_types": ["payment"], "entity": ".entities.user", "value": ".data.amount", "window": "2h"},
    "seen": {"event_types": ["payment", "login"], "entity": ".entities.device", "window": "1h"},
    "places": {"event_types": ["login"], "entity": ".entities.user", "value": ".data.country", "window": "2h"},
}
PERIODS = ("10m", "45m", "1h")
ABSENT = object()
USERS, COUNTRIES = ("u1", "u2"), ("ID", "SG", "NO")

EVENTS = st.fixed_dictionaries(
    {
        "event_type": st.sampled_from(["payment", "login", "other"]),
        "entities": st.fixed_dictionaries(
            {}, optional={"user": st.sampled_from(USERS), "device": st.sampled_from(["d1", 2])}
        ),
        "data": st.fixed_dictionaries(
            {},
            optional={
                "amount": st.integers(0, 20) | st.just("many"),
                "country": st.sampled_from(COUNTRIES),
                "vip": st.booleans(),
                "known": st.just(["ID", "SG"]),
            },
        ),
    }
)
FIELDS = [".data.amount", ".data.country", ".data.vip", ".entities.user", ".data.amount.odd"]
FUNCTIONS = ["count", "sum", "min", "max", "avg", "distinct", "last", "since"]


@st.composite
def operands(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["field", "history", "history", "signal", "score"]))
    if kind == "field":
        return {"field": draw(st.sampled_from(FIELDS))}
    if kind == "signal":
        return {"signal": "bot", "part": "confidence"}
    if kind == "score":
        return {"score": "model"}
    function = draw(st.sampled_from(FUNCTIONS))
    names = ["spent", "places"] if function not in ("count", "since") else list(CATALOGUES)
    asked: dict[str, Any] = {function: draw(st.sampled_from(names)), "over": draw(st.sampled_from(PERIODS))}
    if draw(st.booleans()):
        asked["include_self"] = True
    if function != "last" and draw(st.booleans()):
        asked["times"] = draw(st.sampled_from([2, 0.5, -1]))
    return asked


def _kind(operand: dict[str, Any]) -> str:
    return "any" if "field" in operand or "last" in operand else "since" if "since" in operand else "number"


@st.composite
def comparisons(draw: st.DrawFn) -> dict[str, Any]:
    left = draw(operands())
    kind = _kind(left)
    if kind == "any" and draw(st.booleans()):
        comparator, right = draw(st.sampled_from([
            ("eq", "ID"), ("ne", "ID"), ("in", ["ID", 5, True]), ("not_in", ["ID", 5]), ("matches", "^I"),
            ("exists", True), ("exists", False), ("eq", True), ("gt", "J"), ("in", {"field": ".data.known"}),
        ]))  # fmt: skip
        return {**left, comparator: right}
    if draw(st.integers(0, 3)) == 0:
        return {**left, draw(st.sampled_from(["gt", "eq", "lte", "ne"])): draw(operands())}
    if "signal" in left:
        return {**left, "gte": 0.5}
    constant = draw(st.sampled_from(["30s", "20m"])) if kind == "since" else draw(st.integers(1, 15))
    return {**left, draw(st.sampled_from(["gt", "gte", "lt", "lte", "eq", "ne"])): constant}


CONDITIONS = st.recursive(
    comparisons() | st.just({"signal": "vpn"}),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts})
        | st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts})
        | inner.map(lambda part: {"not": part})
    ),
    max_leaves=5,
)
RULES = st.lists(
    st.fixed_dictionaries(
        {
            "when": CONDITIONS,
            "actions": st.lists(st.sampled_from(["allow", "review", "deny"]), min_size=1, max_size=1).map(
                lambda decision: [*decision, {"score": 5}]
            ),
            "priority": st.integers(0, 2),
            "status": st.sampled_from(["live", "live", "live", "shadow", "off"]),
            "stop_on_match": st.sampled_from([False, False, True]),
        },
        optional={"event_types": st.just(["payment"])},
    ),
    min_size=1,
    max_size=5,
)
STEPS = st.lists(
    st.tuples(EVENTS, st.integers(-5 * 60_000, 50 * 60_000).filter(bool), st.booleans()), min_size=1, max_size=8
)
SIGNALS = {"vpn": Signal(True, 1.0), "bot": Signal(None, None)}


class Naive:
    """Judges by looking at everything that came before."""

    def __init__(self, rules: list[dict[str, Any]]) -> None:
        self.rules = sorted(rules, key=lambda rule: (-rule["priority"], rule["id"]))
        self.kept: dict[tuple[str, str], dict[str, tuple[int, Any]]] = {}

    def see(self, event: dict[str, Any], at: int, event_id: str, snoozed: str, score: float) -> dict[str, Any]:
        self.event, self.at, self.id, self.score = event, at, event_id, score
        trace: dict[str, str] = {}
        matched: list[dict[str, Any]] = []
        for rule in self.rules:
            if event["event_type"] not in rule.get("event_types", [event["event_type"]]):
                continue
            said = self.condition(rule["when"])
            words = {True: "match", False: "no_match", None: "error"}
            off = {"off": "off"}.get(rule["status"]) or ("snoozed" if rule["id"] == snoozed else None)
            trace[rule["id"]] = off or words[said]
            if off is None and said and rule["status"] == "live":
                matched.append(rule)
                if rule["stop_on_match"]:
                    break
        self.write()
        first = [rule["actions"][0] for rule in matched if rule["priority"] == matched[0]["priority"]]
        strict = ("allow", "review", "deny")
        decision = max(first, key=strict.index) if first else "review" if score >= 40 else "allow"
        return {"trace": trace, "decision": decision, "score": min(score + 5 * len(matched), 100)}

    def write(self) -> None:
        for name in CATALOGUES:
            own = self.own(name)
            if own:
                kept = self.kept.setdefault((name, own[0]), {})
                kept.setdefault(self.id, (self.at, own[1]))
        del self.event

    def own(self, name: str) -> tuple[str, Any] | None:
        catalogue = CATALOGUES[name]
        if self.event["event_type"] not in catalogue["event_types"]:
            return None
        entity = self.field(catalogue["entity"])
        value = self.field(catalogue["value"]) if "value" in catalogue else 1
        return None if entity is None or value is None else (str(entity), value)

    def field(self, path: str) -> Any:
        value: Any = self.event
        for name in path[1:].split("."):
            if value is None:
                return None
            if not isinstance(value, dict):
                return ABSENT
            value = value.get(name)
        return value

    def operand(self, told: dict[str, Any]) -> Any:
        if "field" in told:
            return self.field(told["field"])
        if "score" in told:
            return self.score
        if "signal" in told:
            return getattr(SIGNALS[told["signal"]], told.get("part", "result"))
        function = next(name for name in FUNCTIONS if name in told)
        name = told[function]
        entity = self.field(CATALOGUES[name]["entity"])
        if entity is None:
            return None
        over = duration(told["over"]) or 0
        kept = self.kept.get((name, str(entity)), {})
        members = [one for key, one in kept.items() if key != self.id and self.at - over < one[0] <= self.at]
        own = self.own(name) if told.get("include_self") else None
        return self.reduced(function, members, own, told.get("times", 1))

    def reduced(self, function: str, members: list[tuple[int, Any]], own: Any, times: float) -> Any:
        if function in ("last", "since"):
            if own:
                return own[1] if function == "last" else 0
            if not members:
                return None
            newest = max(members, key=lambda one: one[0])
            return newest[1] if function == "last" else (self.at - newest[0]) * times
        values = [value for _, value in members] + ([own[1]] if own else [])
        numbers = [value for value in values if isinstance(value, int | float)]
        if function == "count":
            return len(values) * times
        if function == "distinct":
            return len(set(values)) * times
        if function == "sum":
            return sum(numbers) * times
        if not numbers:
            return None
        found = {"min": min(numbers), "max": max(numbers), "avg": sum(numbers) / len(numbers)}
        return found[function] * times

    def condition(self, told: dict[str, Any]) -> bool | None:
        for group, decisive in (("all", False), ("any", True)):
            if group in told:
                parts = [self.condition(part) for part in told[group]]
                return decisive if decisive in parts else None if None in parts else not decisive
        if "not" in told:
            inner = self.condition(told["not"])
            return None if inner is None else not inner
        comparators = [name for name in told if name in ORDER]
        left = self.operand(told)
        if not comparators:
            return bool(left)
        right = told[comparators[0]]
        if isinstance(right, dict):
            right = self.operand(right)
        elif isinstance(right, str) and "since" in told:
            right = duration(right)
        return compared(left, comparators[0], right)


ORDER = ("gt", "gte", "lt", "lte", "eq", "ne", "in", "not_in", "matches", "exists")


def kind(value: Any) -> str:
    return (
        "boolean" if isinstance(value, bool) else "number" if isinstance(value, int | float) else type(value).__name__
    )


def compared(left: Any, comparator: str, right: Any) -> bool | None:
    if left is ABSENT or right is ABSENT:
        return None
    if comparator == "exists":
        return (left is not None) == right
    if left is None or right is None:
        return False
    if comparator in ("eq", "ne"):
        return ((kind(left), left) == (kind(right), right)) == (comparator == "eq")
    if comparator in ("in", "not_in"):
        among = [(kind(one), one) for one in right]
        return ((kind(left), left) in among) == (comparator == "in")
    if comparator == "matches":
        return bool(re.search(right, left)) if isinstance(left, str) else None
    if kind(left) != kind(right) or kind(left) == "boolean":
        return None
    return bool({"gt": left > right, "gte": left >= right, "lt": left < right, "lte": left <= right}[comparator])


@given(RULES, STEPS, st.sampled_from([0.0, 39.0, 97.0]))
@settings(max_examples=120, deadline=None)
def test_the_engine_says_what_a_naive_one_says(rules: list[dict[str, Any]], steps: Any, score: float) -> None:
    named = [{"id": f"rule-{number}", **rule} for number, rule in enumerate(rules)]
    said = loaded({"catalogues": CATALOGUES, "rules": named})
    assert all("never be reached" in one.said for one in said.mistakes)
    if said.mistakes:
        return
    shop, quick, naive = *(Shop(ruleset({"catalogues": CATALOGUES, "rules": named})) for _ in range(2)), Naive(named)
    for user in USERS:
        shop.standings[Entity("user", user)] = Standing(snoozed={"rule-1": NOON + 3_600_000} if user == "u2" else {})
    at, event_id = NOON, ""
    for number, (event, later, again) in enumerate(steps):
        at += later
        event_id = event_id if again and event_id else f"event {number}"
        snoozed = event["entities"].get("user") == "u2" and at < NOON + 3_600_000
        expected = naive.see(event, at, event_id, "rule-1" if snoozed else "", score)
        known = Judgement(SIGNALS, score, lambda points: "review" if points >= 40 else "allow")
        outcome = shop.see(event, at, event_id, known, all_trees=True)
        assert statuses(outcome) == expected["trace"]
        assert outcome.score == expected["score"]
        assert outcome.decision == expected["decision"]
        quick.standings = shop.standings
        generated = quick.see(event, at, event_id, known)
        assert [one._replace(tree=None) for one in generated.trace] == [
            one._replace(tree=None) for one in outcome.trace
        ]
        assert generated._replace(trace=()) == outcome._replace(trace=())
        for one, other in zip(generated.trace, outcome.trace, strict=True):
            assert one.tree == (other.tree if one.status in ("match", "error") else None)
        for one in outcome.trace:
            if one.tree is not None:
                assert {True: "match", False: "no_match", None: "error"}[one.tree["is"]] == one.status
    assert not check_examples(ruleset({"catalogues": CATALOGUES, "rules": named}))


@given(EVENTS, st.sampled_from(["allow", "deny", "both", "ended"]))
@settings(max_examples=60, deadline=None)
def test_lists_decide_before_any_rule(event: dict[str, Any], listed: str) -> None:
    shop = Shop(ruleset({"rules": [{"id": "all", "when": "always", "actions": ["review"]}]}))
    entry, ended = Entry("some list"), Entry("some list", until=NOON)
    standing = {
        "allow": Standing(allow=entry),
        "deny": Standing(deny=entry),
        "both": Standing(allow=entry, deny=entry),
        "ended": Standing(allow=ended, deny=ended),
    }[listed]
    shop.standings[Entity("user", "u1")] = standing
    outcome = shop.see(event)
    if event["entities"].get("user") != "u1" or listed == "ended":
        assert (outcome.decision, outcome.by) == ("review", "rules")
    else:
        assert outcome.decision == ("deny" if listed == "deny" else "allow") and not outcome.trace
