"""What is made once for a program, against the plain way: paths through an event, and trees of what is true."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.rules.conditions import all_operands, compile_condition, explainer, true_explainer
from scoring.rules.document import Operand
from scoring.rules.evaluate import Engine, Happening
from scoring.rules.gathered import Gathered
from scoring.rules.lists import NoLists
from scoring.rules.paths import MOST_PATHS, plain_paths, walker
from scoring.rules.ruleset import Rulebook
from scoring.rules.selector_tokens import Fault
from scoring.rules.selectors import Document, Selector, compiled
from scoring.rules.verdicts import generated
from tests.property.test_rules_engine import CATALOGUES, CONDITIONS
from tests.rules_kit import NOON, loaded, ruleset

TEXTS = (
    ".", ".data", ".data.amount", ".data[\"amount\"]", ".data.list[0]", ".data.list[-1].name", ".data.amount.odd",
    ".entities.user", ".absent.far.off", ".data.list.name", ".[0]", ".data | keys", ".data.list[7]", "not a selector",
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["amount", "list", "name"]), inner),
    max_leaves=8,
)
EVENTS = st.dictionaries(st.sampled_from(["data", "entities", "0"]), JSON)


@given(EVENTS, st.permutations(TEXTS))
@settings(max_examples=200, deadline=None)
def test_one_walk_gives_what_each_selector_gives(event: dict[str, Any], texts: list[str]) -> None:
    paths = plain_paths(texts)
    fields = {2 * slot: text for slot, text in enumerate(paths)}
    size = 2 * len(paths) + 3
    seen, row = walker(paths, fields, size)(event)
    expected = {text: compiled(text)(Document(event)) for text in paths}  # type: ignore[operator]
    assert seen == expected
    assert [type(value) for value in seen.values()] == [type(value) for value in expected.values()]
    assert row == [expected[fields[slot]] if slot in fields else None for slot in range(size)]


def test_what_is_no_plain_path_and_more_than_are_walked_are_read_when_asked_for() -> None:
    assert ".data | keys" not in plain_paths(TEXTS) and "not a selector" not in plain_paths(TEXTS)
    assert all(isinstance(compiled(text), Selector) for text in plain_paths(TEXTS))
    many = [f".data.field_{number}" for number in range(MOST_PATHS + 1)]
    assert list(plain_paths(many)) == many[:-1]


VALUES = st.sampled_from(
    [None, True, False, 0, 1, 5, -3.5, 1e9, 10**9 - 1, -(10**9), float("nan"), "ID", "J", "", "a b", "x" * 40,
     ["ID", 5], {"a": 1}, Fault("odd")]
)  # fmt: skip


@given(st.lists(CONDITIONS, min_size=1, max_size=4), st.data())
@settings(max_examples=300, deadline=None)
def test_verdicts_and_trees_of_what_is_true_are_those_of_the_plain_way(whens: list[Any], data: st.DataObject) -> None:
    rules = [{"id": f"rule-{at}", "when": when, "actions": ["review"]} for at, when in enumerate(whens)]
    conditions = [rule.when for rule in loaded({"catalogues": CATALOGUES, "rules": rules}).rules]
    slots: dict[Operand, int] = {}
    for condition in conditions:
        for operand in all_operands(condition):
            slots.setdefault(operand, len(slots))
    row = [data.draw(VALUES) for _ in slots]
    said = [compile_condition(condition, slots.__getitem__)(row) for condition in conditions]
    judge = generated(conditions, slots.__getitem__)
    assert judge is not None
    assert judge(row) == [(number, verdict) for number, verdict in enumerate(said) if verdict is not False]
    for condition, verdict in zip(conditions, said, strict=True):
        if verdict:
            plain, quick = (
                explainer(condition, slots.__getitem__)(row),
                true_explainer(condition, slots.__getitem__)(row),
            )
            assert repr(plain) == repr(quick)


@given(JSON)
@settings(max_examples=100, deadline=None)
def test_without_lists_a_decision_is_as_with_lists_that_say_nothing(value: Any) -> None:
    class Asked(NoLists):
        def __bool__(self) -> bool:
            return True

    rules = [
        {"id": "listed", "when": {"list": "cards", "field": ".data.card"}, "actions": ["deny"]},
        {"id": "unlisted", "when": {"not": {"list": "cards", "field": ".data.card"}}, "actions": ["review"]},
    ]
    engine = Engine(Rulebook(ruleset({"rules": rules})))
    event = {"entities": {"user": "u1"}, "data": {"card": value}}
    plan = engine.plan("shop", Happening(event, "payment", "event", NOON))
    assert plan.decide(Gathered({}, NoLists())) == plan.decide(Gathered({}, Asked()))
