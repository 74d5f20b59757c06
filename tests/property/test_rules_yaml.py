"""Whatever stands in a file of rules: it is read, or its mistakes are said with places inside it; never a crash."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.rules.document import ORDERS
from scoring.rules.examples import check_examples
from scoring.rules.load import Loaded
from scoring.rules.load_operands import KINDS, MODIFIERS
from scoring.rules.ruleset import Ruleset
from tests.rules_kit import Shop, loaded

LIBRARY = [
    file.read_text("utf-8")
    for file in sorted((Path(__file__).parents[2] / "scoring" / "rules" / "library").glob("*.yaml"))
]
WORDS = st.sampled_from([
    "catalogues", "rules", "id", "when", "actions", "examples", "event", "history", "matches", "all", "any", "not",
    "event_types", "entity", "value", "time", "dedupe", "window", "status", "priority", "stop_on_match", "signals",
    "lists", "score", "catalogue", "ago", *KINDS, *MODIFIERS, *ORDERS, "in", "matches", "exists", "description",
])  # fmt: skip
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | WORDS
    | st.sampled_from([".a", ".a[0]", "7d", "1h", "deny", "review", "live", "shadow", "always", "payment", "vpn",
                       "model", "c"])
)  # fmt: skip
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=4),
    max_leaves=15,
)


def check(text: str | dict[str, Any]) -> Loaded:
    begun = time.process_time()
    found = loaded(text)
    lines = text.count("\n") + 1 if isinstance(text, str) else 1
    for mistake in found.mistakes:
        assert mistake.said and 1 <= mistake.line <= lines + 1 and mistake.column >= 1
    if not found.mistakes:
        rules = Ruleset.of(found, "global")
        check_examples(rules)
        assert Shop(rules).see({"event_type": "payment"}).decision in ("allow", "review", "deny")
        assert rules.digest
    assert time.process_time() - begun < 2
    return found


@given(st.text(max_size=60) | st.text(alphabet="{}[]:,-#&*!|>'\"%@` \nab1\t", max_size=40))
@settings(max_examples=150, deadline=None)
def test_any_text(text: str) -> None:
    check(text)


@given(st.dictionaries(st.sampled_from(["catalogues", "rules"]), TREES, min_size=1))
@settings(max_examples=150, deadline=None)
def test_any_tree_of_the_words_of_rules(tree: dict[str, Any]) -> None:
    check(tree)


@given(TREES, TREES, TREES, TREES)
@settings(max_examples=150, deadline=None)
def test_anything_in_the_place_of_a_part(when: Any, actions: Any, example: Any, catalogue: Any) -> None:
    body = {"event_types": ["payment"], "entity": ".a", "value": ".b", "window": "1d"}
    rule = {"id": "r", "when": {"signal": "vpn"}, "actions": ["deny"]}
    check({"rules": [rule | {"when": when}]})
    check({"rules": [rule | {"actions": actions}]})
    check({"rules": [rule | {"examples": [example, {"event": example, "matches": True, "history": example}]}]})
    check({"catalogues": {"c": catalogue}, "rules": [rule | {"when": {"count": "c", "gt": 1}}]})
    check({"catalogues": {"c": body | {"entity": catalogue}}})


@given(st.sampled_from(LIBRARY), st.data())
@settings(max_examples=40, deadline=None)
def test_a_good_file_with_lines_lost_moved_or_cut(text: str, data: st.DataObject) -> None:
    lines = text.split("\n")
    at = data.draw(st.integers(0, len(lines) - 1))
    kind = data.draw(st.sampled_from(["lost", "indented", "cut", "twice", "sign"]))
    line = lines[at]
    cut = data.draw(st.integers(0, len(line)))
    lines[at : at + 1] = {
        "lost": [],
        "indented": [" " + line],
        "cut": [line[:cut]],
        "twice": [line, line],
        "sign": [line[:cut] + data.draw(st.sampled_from(list("{}[]:,-#&*!|'\"\x00é"))) + line[cut:]],
    }[kind]
    check("\n".join(lines))
