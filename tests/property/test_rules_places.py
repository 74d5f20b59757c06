"""A selector that is said not to look at a place gives the same whatever stands there."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from scoring.rules.past_view import hides
from scoring.rules.selector_tokens import Fault
from scoring.rules.selectors import Document, compiled

NAMES = st.sampled_from(("a", "b", "c"))
LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(("", "a", "x"))
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
EVENTS = st.dictionaries(NAMES, VALUES, min_size=1, max_size=3)


@st.composite
def programs(draw: st.DrawFn, depth: int = 3) -> str:
    """Return a program of the grammar, with every construct that selectors may have."""
    if depth == 0:
        return draw(st.sampled_from((
            ".", ".a", ".b", ".c", ".a.b", ".b.a", ".[]?", ".a[]?", ".b.c[]?", ".a[0]?", ".a[-1]?", ".a[1:]?", "1",
            '"a"', "null", "length", "keys", "type", "not", "any", "all", "first", "last", "values", "add",
            "to_entries", "empty",
        )))  # fmt: skip
    left, right, other = (draw(programs(depth - 1)) for _ in range(3))
    return draw(st.sampled_from((
        f"{left} | {right}", f"({left} | {right})?", f"[{left}]", f"({left}), ({right})", f"({left}) + ({right})",
        f"({left}) == ({right})", f"({left}) < ({right})", f"({left}) // ({right})", f"({left}) and ({right})",
        f"({left}) or ({right})", f"if {left} then {right} else {other} end", f"if {left} then {right} end",
        f"if {left} then {right} elif {other} then 1 else 2 end", f"map({left})", f"map({left})?", f"select({left})",
        f"[.[]? | {left}]", f"[.[]? | select({left}) | {right}]", f"any({left})", f"all({left})?", f"first({left})",
        f"last({left})", f"sort_by({left})", f"min_by({left})?", f"group_by({left})", f"has({left})?",
        f"({left}) | first", f"({left}) | .a", f"({left}) | .[]?", f"({left})[0]?",
    )))  # fmt: skip


def places(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for name, one in members for place in ((*path, str(name)), *places(one, (*path, str(name))))]


def changed(event: Any, path: tuple[str, ...], value: Any, gone: bool) -> Any:
    """Return the event with something else at a place; a member of an object may also be gone."""
    other = copy.deepcopy(event)
    *before, last = path
    holder = other
    for step in before:
        holder = holder[int(step)] if isinstance(holder, list) else holder[step]
    if isinstance(holder, list):
        holder[int(last)] = value
    elif gone:
        del holder[last]
    else:
        holder[last] = value
    return other


@given(programs(), EVENTS, st.data())
@example("[.[] | .a]", {"b": {"a": 1}}, None)
@settings(max_examples=400, deadline=None)
def test_what_is_not_looked_at_changes_nothing(text: str, event: dict[str, Any], data: st.DataObject | None) -> None:
    selector = compiled(text)
    if isinstance(selector, Fault):
        return
    for path in places(event):
        if hides(text, path):
            continue
        value, gone = (data.draw(VALUES), data.draw(st.booleans())) if data else (None, True)
        assert selector(Document(changed(event, path, value, gone))) == selector(Document(event)), path


@given(st.sampled_from(("a", "b")), NAMES, EVENTS)
@settings(max_examples=30, deadline=None)
def test_a_member_of_every_item_is_told_from_its_neighbours(name: str, member: str, event: dict[str, Any]) -> None:
    text = f"[.{name}[]? | .{member}?] | length"
    for path in places(event):
        looks = path[0] == name and (len(path) < 3 or path[2] == member)
        assert hides(text, path) is looks
