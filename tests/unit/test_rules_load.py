"""Files of rules: what is read of them, and what is said of every mistake, with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from infra.rules_files import read_rules
from schemas.smart_signals import SMART_SIGNALS
from scoring.rules.document import MOST_BYTES, MOST_RULES, All, Comparison, FieldOperand, HistoryOperand
from scoring.rules.load import load
from scoring.rules.load_operands import KINDS, MODIFIERS
from scoring.rules.places import Mistake
from scoring.rules.ruleset import Rulebook
from scoring.rules.texts import placed
from tests.rules_kit import loaded, mistakes, one_rule, ruleset

ROOT = Path(__file__).parents[2]
SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "schemas" / "rules.schema.json").read_text("utf-8")))
SPENT = "catalogues: {spent: {event_types: [payment], entity: .entities.user, value: .data.amount, window: 7d}}\n"
SEEN = "catalogues: {seen: {event_types: [login], entity: .entities.user, window: 7d}}\n"


def of_rule(when: str, before: str = SPENT, more: str = "") -> str:
    return f"{before}rules:\n- id: rule\n  when: {when}\n  actions: [review]\n{more}"


def said(text: str) -> str:
    found = mistakes(text)
    assert len(found) == 1, found
    return found[0]


def test_the_forms_of_a_condition_are_read() -> None:
    rules = ruleset(of_rule("{sum: spent, over: 3d, gt: 1_000, lt: 2e3}"))
    assert rules.rules[0].when == All((
        Comparison(HistoryOperand("sum", rules.catalogues[0], 3 * 86_400_000, ".entities.user"), "gt", 1000),
        Comparison(HistoryOperand("sum", rules.catalogues[0], 3 * 86_400_000, ".entities.user"), "lt", 2000.0),
    ))  # fmt: skip
    (rule,) = ruleset(of_rule("{field: .data.country, in: [NO, on, 2026-03-01, 12:30]}")).rules
    assert rule.when == Comparison(FieldOperand(".data.country"), "in", ("NO", "on", "2026-03-01", "12:30"))


CONDITIONS = {
    "{count: spend, gt: 1}": "4:17: there is no catalogue 'spend'; did you mean spent?",
    "{signal: vpm}": "4:18: there is no smart signal 'vpm'; did you mean vpn?",
    "{field: .data.amount|lenght, gt: 1}": (
        "4:30: field: lenght is not read here; did you mean length? (selector, column 14)"
    ),
    "{field: 5, gt: 1}": "4:17: field must be a selector, as .data.amount, not 5",
    "{field: .a, gtt: 1}": "4:21: the comparison has no 'gtt'; did you mean gt?",
    "{sum: spent, over: 30d, gt: 1}": "4:28: over is 30d, but 'spent' keeps 7d; widen its window",
    "{sum: spent, over: 120d, gt: 1}": "4:28: over is 120d; history is kept for 90d; give at most that",
    "{sum: spent, over: soon, gt: 1}": "4:28: over is 'soon'; give a duration, as 30s, 15m, 3h or 7d",
    "{sum: spent, over: 0s, gt: 1}": "4:28: over is '0s'; give a duration, as 30s, 15m, 3h or 7d",
    "{sum: spent, gt: much}": "4:26: gt cannot compare a number with 'much'; give a value of that type",
    "{sum: spent, gt: true}": "4:26: gt cannot compare a number with True; give a value of that type",
    "{sum: spent, matches: x}": "4:31: matches looks at text, and this is a number; use gt, lt or eq",
    "{sum: spent, exists: true}": "4:30: this always has a value; compare it, as with gt: 0",
    "{sum: spent, part: result, gt: 1}": "4:28: sum cannot have 'part'; it may have over, of, include_self, times",
    "{sum: spent, times: 0, gt: 1}": "4:29: times is 0; give a number other than 0",
    "{since: spent, lt: 10}": "4:28: since is compared with a duration, as 10m, not 10",
    "{field: .a, eq: null}": (
        "4:25: eq cannot compare a value of the event with None; use exists: false for what is not there"
    ),
    "{field: .a, eq: [1]}": "4:25: eq cannot compare a value of the event with a list; use in for several values",
    "{field: .a, in: []}": "4:25: in needs 1 to 1,000 values; use a list for more",
    "{field: .a, in: {sum: spent}}": "4:25: in cannot compare a any with this",
    "{field: .a, matches: '(a'}": (
        "4:31: this is no pattern of RE2 (missing ): (a); see github.com/google/re2/wiki/Syntax"
    ),
    "{field: .a, exists: 1}": "4:29: exists needs true or false, not 1",
    "{field: .a}": ("4:9: nothing to compare with; add one of gt, gte, lt, lte, eq, ne, in, not_in, matches, exists"),
    "{field: .a, signal: vpn, eq: true}": (
        "4:9: the comparison has field and signal; give one of field, count, sum, min, max, avg, distinct, last, since,"
        " list, signal, score"
    ),
    "{signal: vpn, gt: 1}": "4:27: gt cannot compare a boolean with 1; give a value of that type",
    "{signal: vpn, eq: 'true'}": ("4:28: eq cannot compare a boolean with 'true'; write true or false without quotes"),
    "{signal: vpn, eq: {sum: spent}}": "4:27: eq cannot compare a boolean with a number",
    "{signal: bot, part: confidence, gt: 80}": "4:45: gt 80 decides nothing: this is from 0 to 1",
    "{score: model, gt: 100}": "4:28: gt 100 decides nothing: this is from 0 to 100",
    "{score: modle, gt: 10}": "4:17: score cannot be 'modle'; did you mean model?",
    "{list: bad}": "4:9: list needs the value to look for; add `field: .entities.user`",
    "{all: []}": "4:15: all of nothing decides nothing; add a comparison, or write `when: always`",
    "{all: {field: .a, gt: 1}}": "4:15: all must be a list; write it as `[one, two]`",
    "{all: [{signal: vpn}], any: [{signal: tor}]}": (
        "4:9: a condition has one of all, any and not; put one into the other"
    ),
    "{field: .a, gt: 5, lt: 3}": (
        "2:3: rule rule can never be reached: the bounds contradict each other, so it never matches; correct them"
    ),
    "sometimes": (
        "4:9: a condition is a comparison, or all, any or not of some, not 'sometimes'; "
        "write {field: .data.amount, gt: 500}"
    ),
}


@pytest.mark.parametrize("when", CONDITIONS)
def test_a_mistake_in_a_condition_is_said_with_its_place(when: str) -> None:
    expected = CONDITIONS[when]
    line, rest = expected.split(":", 1)
    moved = f"{line if line == '4' else '3'}:{rest}"
    assert said(of_rule(when)) == moved


def test_values_are_needed_where_a_function_is_made_of_them() -> None:
    assert said(of_rule("{sum: seen, gt: 1}", SEEN)).endswith(
        "sum of 'seen' needs values; give the catalogue `value: .data.amount`, or use count"
    )


def test_a_condition_is_bounded_in_depth_and_size() -> None:
    deep = "{not: " * 8 + "{signal: vpn}" + "}" * 8
    assert "conditions are nested deeper than 8; split the rule" in said(of_rule(deep))
    wide = "{any: [" + ", ".join(["{signal: vpn}"] * 65) + "]}"
    assert "a rule has at most 64 comparisons; split it" in said(of_rule(wide))


FILES = {
    "": "1:1: the file is empty; give it catalogues or rules, or take it away",
    "- a": "1:1: the file must hold names with values, as `name: value`; indent them below it",
    "rule: []": "1:1: the file has no 'rule'; did you mean rules?",
    "rules: {}": "1:8: rules must be a list; write it as `[one, two]`",
    "rules: []\nrules: []": "2:1: the file has 'rules' twice, first in line 1; take one out",
    "rules: &all []\ncatalogues: *all": "2:1: a reference (*) is not read here; write its value out",
    "rules: [": (
        "2:1: this is not YAML (while parsing a flow node from line 2 on, did not find expected node content); look at "
        "the indentation, colons and quotes"
    ),
    "rules:\n- {id: Large Payment, when: always, actions: [deny]}": (
        "2:8: 'Large Payment' is no id of a rule; did you mean large-payment?"
    ),
    "rules:\n- {id: a, when: always}": "2:3: the rule lacks actions; add it",
    "rules:\n- {id: a, when: always, actions: [dny]}": "2:35: an action cannot be 'dny'; did you mean deny?",
    "rules:\n- {id: a, when: always, actions: []}": (
        "2:34: a rule has 1 to 16 actions; add one of allow, review, deny, score, tag, alert"
    ),
    "rules:\n- {id: a, when: always, actions: [deny, allow]}": (
        "2:34: a rule decides once, this says deny and allow; keep one"
    ),
    "rules:\n- {id: a, when: always, actions: [{score: 200}]}": (
        "2:43: score is 200; give the points to add, from -100 to 100 and not 0"
    ),
    "rules:\n- {id: a, when: always, actions: [deny], status: lvie}": (
        "2:50: status cannot be 'lvie'; did you mean live?"
    ),
    "rules:\n- {id: a, when: always, actions: [deny], priority: high}": (
        "2:52: priority must be a whole number from -1000000 to 1000000"
    ),
    "rules:\n- {id: a, when: always, actions: [deny], event_types: [Pay Out]}": (
        "2:56: 'Pay Out' is no event type; did you mean pay_out?"
    ),
    "rules:\n- {id: a, when: always, actions: [deny]}\n- {id: a, when: always, actions: [deny]}": (
        "3:3: there is a rule 'a' in rules.yaml:2 already; give this one another id"
    ),
    "rules:\n- {id: a, when: always, actions: [deny], examples: [{matches: true}]}": (
        "2:53: the example lacks event; write {event: {...}, matches: true}"
    ),
    "rules:\n- {id: a, when: always, actions: [deny], examples: [{event: {}, matches: true}]}": (
        "2:61: event lacks event_type; add it, as event_type: payment"
    ),
    "catalogues: {a: {event_types: [login], entity: .x}}": "1:14: catalogue a lacks window; add it",
    "catalogues: {a: {event_types: [login], entity: .x, window: 91d}}": (
        "1:60: window is 91d; history is kept for 90d; give at most that"
    ),
    "catalogues: {a: {event_types: [login], entity: '.x[', window: 1d}}": (
        "1:52: entity: brackets hold a whole number, a text in quotes, or nothing (selector, column 4)"
    ),
}


@pytest.mark.parametrize("text", FILES)
def test_a_mistake_in_a_file_is_said_with_its_place(text: str) -> None:
    assert said(text) == FILES[text]


def test_all_mistakes_of_a_file_are_said_at_once() -> None:
    text = "rules:\n- {id: a, when: {signal: vpm}, actions: [dny]}\n- {id: b, when: {field: .x}, actions: [deny]}\n"
    assert [one.split(":")[0] for one in mistakes(text)] == ["2", "2", "3"]


def test_a_rule_behind_one_that_always_stops_is_unreachable() -> None:
    def rules(**more: Any) -> dict[str, Any]:
        stop = {"id": "stop", "when": "always", "actions": ["deny"], "stop_on_match": True, "priority": 5}
        return {"rules": [stop | more, {"id": "late", "when": {"signal": "vpn"}, "actions": ["deny"]}]}

    assert "rule late can never be reached: stop always matches before it and stops; raise" in said(json.dumps(rules()))
    assert not mistakes(rules(event_types=["payment"])), "other events reach the later rule"
    assert not mistakes(rules(status="shadow")), "a shadow stops nothing"
    assert not mistakes(rules(priority=-5)), "it comes after"


CONTRADICTIONS = [
    "{all: [{field: .a, gte: 5}, {field: .a, lt: 5}]}",
    "{all: [{field: .a, eq: x}, {all: [{field: .a, in: [y, z]}]}]}",
    "{all: [{field: .a, eq: 5}, {field: .a, gt: 5}]}",
    "{all: [{field: .a, exists: false}, {field: .a, eq: 1}]}",
    "{any: [{field: .a, gt: 5, lt: 3}, {field: .b, gt: 5, lt: 3}]}",
]
POSSIBLE = [
    "{all: [{field: .a, gte: 5}, {field: .a, lte: 5}]}",
    "{all: [{field: .a, eq: 1}, {field: .b, eq: 2}]}",
    "{all: [{field: .a, in: [x, y]}, {field: .a, in: [y, z]}]}",
    "{any: [{field: .a, gt: 5, lt: 3}, {field: .b, gt: 5}]}",
    "{not: {field: .a, gt: 5, lt: 3}}",
]


@pytest.mark.parametrize("when", CONTRADICTIONS)
def test_bounds_that_contradict_each_other_are_a_mistake(when: str) -> None:
    assert "the bounds contradict each other" in said(of_rule(when))


@pytest.mark.parametrize("when", POSSIBLE)
def test_bounds_that_leave_something_are_none(when: str) -> None:
    assert not mistakes(of_rule(when))


def test_sizes_are_bounded() -> None:
    assert said("#" * (MOST_BYTES + 1)) == "1:1: the file has more than 256 KiB; split it"
    many = {"rules": [{"id": f"r{number}", "when": "always", "actions": ["deny"]} for number in range(1_001)]}
    assert "a ruleset has at most 1,000 rules" in said(json.dumps(many))
    one = {"event_types": ["login"], "entity": ".a", "window": "1d"}
    assert "a ruleset has at most 200 catalogues" in said(
        json.dumps({"catalogues": {f"c{n}": one for n in range(201)}})
    )


def test_files_of_a_ruleset_share_catalogues_and_ids() -> None:
    first = placed(of_rule("{sum: spent, gt: 1}", "").encode(), "first.yaml")
    second = placed((SPENT + "rules: [{id: rule, when: always, actions: [deny]}]").encode(), "second.yaml")
    assert not isinstance(first, Mistake) and not isinstance(second, Mistake)
    found = load([first, second], "global")
    assert [str(one) for one in found.mistakes] == [
        "second.yaml:2:9: there is a rule 'rule' in first.yaml:2 already; give this one another id"
    ]
    alone = load([first], "global")
    assert "there is no catalogue 'spent'; there is none yet" in alone.mistakes[0].said


def test_lists_are_checked_where_they_are_known() -> None:
    read = placed(of_rule("{list: bad-bank, field: .a}", "").encode(), "rules.yaml")
    assert not isinstance(read, Mistake)
    assert not load([read], "global").mistakes
    assert load([read], "global", ["bad-banks"]).mistakes[0].said == (
        "there is no list 'bad-bank'; did you mean bad-banks?"
    )


def test_a_digest_is_of_what_is_decided() -> None:
    one = ruleset(of_rule("{sum: spent, over: 3d, gt: 1}"))
    same = ruleset("# said otherwise\n" + of_rule("{gt: 1, over: 72h, sum: spent}", more="  description: more\n"))
    assert one.digest == same.digest
    others = [
        ruleset(of_rule("{sum: spent, over: 3d, gt: 2}")),
        ruleset(of_rule("{sum: spent, over: 4d, gt: 1}")),
        ruleset(of_rule("{sum: spent, over: 3d, gt: 1}", SPENT.replace("7d", "8d"))),
        ruleset(of_rule("{sum: spent, over: 3d, gt: 1}", more="  status: shadow\n")),
        ruleset(of_rule("{sum: spent, over: 3d, gt: 1}"), "own"),
    ]
    assert len({one.digest, *(other.digest for other in others)}) == 6


def test_a_rulebook_is_named_by_all_its_rulesets() -> None:
    one, other = ruleset(of_rule("{sum: spent, gt: 1}"), "own"), ruleset(of_rule("{sum: spent, gt: 2}"), "own")
    books = [Rulebook(), Rulebook(of_merchant={"a": one}), Rulebook(of_merchant={"b": one}),
             Rulebook(of_merchant={"a": other}), Rulebook(of_merchant={"a": one, "b": other})]  # fmt: skip
    assert len({book.digest for book in books}) == 5
    assert books[-1].digest == Rulebook(of_merchant={"b": other, "a": one}).digest
    assert books[1].of("a").digest != books[3].of("a").digest
    assert books[1].of("b").digest == books[0].of("b").digest, "nothing of the other merchant's is in it"


def test_a_ruleset_with_mistakes_is_not_made() -> None:
    with pytest.raises(ValueError, match=r"rules\.yaml:2:17: .* \(1 more\)"):
        ruleset("rules:\n- {id: a, when: 1, actions: [dny]}")


@pytest.mark.parametrize(
    "file", sorted((ROOT / "scoring" / "rules" / "library").glob("*.yaml")), ids=lambda file: file.name
)
def test_the_shipped_rules_have_the_form_of_the_schema(file: Path) -> None:
    SCHEMA.validate(yaml.safe_load(file.read_text("utf-8")))


@pytest.mark.parametrize("when", [*POSSIBLE, *CONTRADICTIONS, "always", "{list: bad, field: .a}", "{signal: vpn}",
    "{last: spent, over: 1h, of: .a, include_self: true, ne: {field: .b}}", "{score: model, times: 2, gte: 5}",
    "{field: .a, in: {field: .b}}", "{field: .a, matches: ^x}", "{field: .a, not_in: [1, x, true]}",
])  # fmt: skip
def test_the_schema_refuses_nothing_that_may_be_written(when: str) -> None:
    SCHEMA.validate(yaml.safe_load(of_rule(when)))


def test_the_schema_knows_the_names_that_the_reader_knows() -> None:
    comparison = SCHEMA.schema["$defs"]["operand"]["properties"]
    assert tuple(comparison["signal"]["enum"]) == SMART_SIGNALS
    assert set(comparison) == {*KINDS, *MODIFIERS}
    assert SCHEMA.schema["properties"]["rules"]["maxItems"] == MOST_RULES


def test_the_schema_refuses_what_has_another_form() -> None:
    for wrong in [
        {"rule": []}, one_rule({"feld": ".a"}), one_rule({"field": ".a", "gtt": 1}), one_rule({"signal": "vpm"}),
        one_rule({"all": []}), one_rule("always", status="lvie"), one_rule("always", actions=["dny"]),
    ]:  # fmt: skip
        assert not SCHEMA.is_valid(wrong)
        assert loaded(wrong).mistakes


def test_a_directory_has_the_global_rules_and_those_of_merchants(tmp_path: Path) -> None:
    own = tmp_path / "merchants" / "shop-1"
    own.mkdir(parents=True)
    (tmp_path / "all.yaml").write_text(SPENT + "rules: [{id: all, when: always, actions: [review]}]")
    (own / "own.yaml").write_text(of_rule("{sum: spent, gt: 1}", ""))
    read = read_rules([tmp_path])
    assert "there is no catalogue 'spent'" in read.mistakes[0].said, "a merchant's set knows its own catalogues only"
    (own / "own.yaml").write_text(of_rule("{sum: spent, gt: 1}"))
    read = read_rules([tmp_path])
    assert not read.mistakes and set(read.rulesets) == {"global", "shop-1"}
    assert [scoped.rule.id for scoped in read.book.of("shop-1").rules] == ["rule", "all"]
    assert [scoped.rule.id for scoped in read.book.of("shop-2").rules] == ["all"]
    (tmp_path / "merchants" / "no shop").mkdir()
    (tmp_path / "merchants" / "no shop" / "own.yaml").write_text("rules: []")
    assert "'no shop' is no merchant" in read_rules([tmp_path]).mistakes[0].said
