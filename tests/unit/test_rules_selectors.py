"""Selectors: what they give, what they refuse, and where."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from scoring.rules.selector_functions import FUNCTIONS
from scoring.rules.selectors import LARGEST, Document, Fault, Selector, compiled

EVENT = {
    "data": {"amount": 12.5, "qty": "3", "items": [{"price": 2, "kind": "book"}, {"price": 3, "kind": "card"}]},
    "odd name": {"x-y": [1, 2, 3]},
    "email": "Someone@Example.com",
    "id": 2**60 + 1,
}
PLAIN = {
    ".data.amount": 12.5,
    ".data.items[0].price": 2,
    ".data.items[-1].kind": "card",
    ".data.items[7].kind": None,
    '."odd name"["x-y"][2]': 3,
    '.["odd name"]."x-y".[0]': 1,
    ".nothing.at.all": None,
    ".id": 2**60 + 1,
}
RUN = {
    "[.data.items[] | .price] | add": 5,
    '[.data.items[] | select(.kind == "card") | .price] | length': 1,
    '.email | split("@") | last | ascii_downcase': "example.com",
    ".data.items | map(.price) | max": 3,
    ".data.nothing // .data.amount": 12.5,
    "(.data.qty | tonumber) * (.data.items[0].price | tonumber)": 6,
    'if .data.amount > 10 then "large" else "small" end': "large",
    '[.data.amount, .data.qty] | map(tostring) | join("/")': "12.5/3",
    '.data.items[]? | select(.kind == "none")': None,
    ".data.items[1:] | length": 1,
    ".data.items | any(.price > 2)": True,
    "-1": -1,
}


@pytest.mark.parametrize("text", PLAIN)
def test_a_plain_path_is_read_directly(text: str) -> None:
    selector = compiled(text)
    assert isinstance(selector, Selector) and selector.path is not None
    assert selector(Document(EVENT)) == PLAIN[text]


@pytest.mark.parametrize("text", RUN)
def test_the_rest_runs_in_jq(text: str) -> None:
    selector = compiled(text)
    assert isinstance(selector, Selector) and selector.path is None
    assert selector(Document(EVENT)) == RUN[text]


REFUSED = {
    "": (1, "'the end' comes where a path as .data.amount should begin"),
    ".a[": (4, "brackets hold a whole number, a text in quotes, or nothing"),
    ".a |": (5, "'the end' comes where a path as .data.amount should begin"),
    ".a b": (4, "'b' comes where the end should"),
    '."a': (2, "this text does not end, or has a sequence that JSON does not know; \\(...) is not read here"),
    ".a | lenght": (6, "lenght is not read here; did you mean length?"),
    ".a | env": (6, "env is not read here"),
    "$ENV.HOME": (1, "variables ($) and the environment are not read here"),
    "input": (1, "input is not read here"),
    "debug": (1, "debug is not read here"),
    "now": (1, "now is not read here"),
    "..": (1, "'..' is not read here: name the path"),
    "recurse": (1, "recurse is not read here"),
    "[range(1000000000)]": (2, "range is not read here"),
    "repeat(.)": (1, "repeat is not read here"),
    "def f: f; f": (1, "def is not read here"),
    'test("(a+)+$")': (1, "test is not read here"),
    "reduce .[] as $x (0; . + 1)": (15, "variables ($) and the environment are not read here"),
    'import "a" as a; .': (1, "import is not read here"),
    ".a = 1": (4, "'=' is not read here"),
    '"x" * 1000000000': (5, "'*' needs numbers for sure: write (.data.price | tonumber) * (...)"),
    ".a * .b": (4, "'*' needs numbers for sure: write (.data.price | tonumber) * (...)"),
    "[.[] + .[] + .[]]": (1, "this could take too long on a large event; use fewer lists of lists, pairs and commas"),
    " | ".join(["[., .]"] * 30): (
        1, "this could take too long on a large event; use fewer lists of lists, pairs and commas"
    ),
    "(" * 20 + "." + ")" * 20: (17, "brackets are nested deeper than 16"),
    "." + "a" * 600: (513, "a selector has at most 512 characters, this has 601"),
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_selector_or_could_run_away_is_refused_with_its_column(text: str) -> None:
    column, said = REFUSED[text]
    assert compiled(text) == Fault(said, column)


MISFITS: dict[str, tuple[Any, int]] = {
    ".email.domain": (EVENT, 7),
    ".data[0]": (EVENT, 6),
    ".data.items.price": (EVENT, 12),
    ".data.qty + 1": (EVENT, 1),
    ".data.items[].price": (EVENT, 1),
    ".a | tostring": ({"a": "x" * LARGEST}, 1),
    ".a | not": ({"a": "\ud800"}, 1),
}


@pytest.mark.parametrize("text", MISFITS)
def test_an_event_that_does_not_fit_is_a_fault_that_does_not_quote_it(text: str) -> None:
    event, column = MISFITS[text]
    selector = compiled(text)
    assert isinstance(selector, Selector)
    found = selector(Document(event))
    assert isinstance(found, Fault) and found.column == column
    assert not any(part in found.said for part in ("Someone", "12.5", "xxx", "book"))


def test_a_plain_path_reads_events_that_jq_is_not_given() -> None:
    selector = compiled(".b")
    assert isinstance(selector, Selector)
    assert selector(Document({"a": "x" * LARGEST, "b": 1})) == 1


def test_programs_are_kept_and_may_run_in_many_threads() -> None:
    selector = compiled("[.a[] | . + 1] | add")
    assert isinstance(selector, Selector) and compiled("[.a[] | . + 1] | add") is selector
    wrong: list[Any] = []

    def run(number: int) -> None:
        for _ in range(50):
            wrong.extend({number} - {(selector(Document({"a": [number, number]})) - 2) / 2})

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_documentation_names_the_functions_that_are_read() -> None:
    text = " ".join((Path(__file__).parents[2] / "docs" / "rules.md").read_text("utf-8").split())
    named = text.split("these functions: `")[1].split("`")[0].split()
    assert named == [name for name in FUNCTIONS if name not in ("true", "false", "null")]
