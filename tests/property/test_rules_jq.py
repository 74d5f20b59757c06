"""Selectors: direct access says what jq says; whatever is written, it is refused with a place or is soon done."""

from __future__ import annotations

import json
import time
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from scoring.rules import selector_work as work
from scoring.rules.selector_functions import FUNCTIONS
from scoring.rules.selector_grammar import parse
from scoring.rules.selector_tokens import Fault
from scoring.rules.selectors import LARGEST, Document, Selector, compiled, in_jq

NAMES = st.sampled_from(["a", "b", "Zz_9", "odd name", "é", '"', "\\", ""])
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


@st.composite
def paths(draw: st.DrawFn) -> str:
    steps = draw(st.lists(NAMES | st.integers(-3, 3), min_size=1, max_size=4))
    parts = [f".[{json.dumps(step)}]" if isinstance(step, int) else draw(_spelled(step)) for step in steps]
    return "".join(parts)


def _spelled(name: str) -> st.SearchStrategy[str]:
    quoted = json.dumps(name)
    plain = [f".{name}"] if name in ("a", "b", "Zz_9") else []
    return st.sampled_from([*plain, f".{quoted}", f".[{quoted}]"])


@given(paths(), VALUES)
@example('.["a"][-1]', {"a": [1, 2]})
@example(".a.b", {"a": None})
@settings(max_examples=150, deadline=None)
def test_a_plain_path_says_what_jq_says(path: str, value: Any) -> None:
    direct, through_jq = compiled(path), in_jq(path)
    assert isinstance(direct, Selector) and isinstance(through_jq, Selector)
    assert direct.path is not None and through_jq.path is None
    found, expected = direct(Document(value)), through_jq(Document(value))
    assert isinstance(found, Fault) == isinstance(expected, Fault)
    if not isinstance(found, Fault):
        assert found == expected and isinstance(found, bool) == isinstance(expected, bool)


PIECES = st.sampled_from([
    ".", "..", ".a", ".b", '."odd name"', "[", "]", "(", ")", "[]", "[0]", "|", ",", "//", "+", "-", "*", "/", "%",
    "==", "<", "and", "or", "not", "if", "then", "else", "end", "1", "-1", "2.5", '"x"', '"\\(1)"', "$x", "$ENV", "as",
    "def f: f;", "reduce", "?", " ", "\n", ":", ";", "'", "é", "\x00", "@base64", "env", "input", "debug", "now",
    "range", "repeat", "until", "recurse", "limit", "test", "splits", "map(", "select(", "sort_by(", *FUNCTIONS,
])  # fmt: skip


@given(st.lists(PIECES, max_size=14).map("".join) | st.text(max_size=40), VALUES)
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_selector_that_ends_or_a_fault_with_its_column(text: str, value: Any) -> None:
    selector = compiled(text)
    if isinstance(selector, Fault):
        assert selector.said and 1 <= selector.column <= len(text) + 1
        return
    found = selector(Document(value))
    if not isinstance(found, Fault):
        json.dumps(found)


@st.composite
def programs(draw: st.DrawFn, depth: int = 4) -> str:
    """Return a program of the grammar."""
    if depth == 0:
        return draw(st.sampled_from([".", ".a", ".[]", ".a[]?", "1", '"x"', "length", ".[0]"]))
    left, right = draw(programs(depth - 1)), draw(programs(depth - 1))
    return draw(st.sampled_from([
        f"{left} | {right}", f"[{left}]", f"({left}), ({right})", f"({left}) + ({right})", f"map({left})",
        f"[.[]? | {left}]", f"select({left})", f"sort_by({left})", f"({left}) == ({right})", f"({left}) // ({right})",
        f"if {left} then {right} else . end", f"({left} | tostring) | split(\"\") | join({right})", f"first({left})",
        f"({left} | tonumber) * 3", f"any({left})", f"[{left}] | add | tostring", f"to_entries | map({left})",
    ]))  # fmt: skip


HEAVY = [
    Document([1] * (LARGEST // 2 - 8)),
    Document([[[i % 7] * 3] * 3 for i in range(LARGEST // 36)]),
    Document({"a": ["x" * 50] * (LARGEST // 60)}),
    Document("\\" * (LARGEST // 2 - 8)),
]


@given(programs())
@settings(max_examples=50, deadline=None)
def test_what_is_not_refused_is_soon_done_on_the_largest_events(text: str) -> None:
    selector = compiled(text)
    if isinstance(selector, Fault):
        return
    for document in HEAVY:
        begun = time.process_time()
        found = selector(document)
        assert time.process_time() - begun < 1.5  # of a busy machine; alone it is a tenth of that
        assert isinstance(found, Fault) or len(json.dumps(found, ensure_ascii=False)) < 40 * LARGEST


@given(programs(depth=2), VALUES)
@settings(max_examples=100, deadline=None)
def test_the_outputs_of_a_program_are_never_more_than_its_bound_says(text: str, value: Any) -> None:
    document = Document(value)
    written = document.text()
    selector, gathered = compiled(text), compiled(f"[{text}] | length")
    if isinstance(selector, Fault) or isinstance(gathered, Fault) or isinstance(written, Fault):
        return
    count = gathered(document)
    if not isinstance(count, Fault):
        assert count <= parse(text).bound(work.one(len(written))).values
