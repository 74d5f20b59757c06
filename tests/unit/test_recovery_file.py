"""Recovery files: what is read, and what every mistake says, with its place."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from infra.pages.registry import PAGES
from infra.recovery_file import RecoveryRefused, parse_recovery
from schemas.recovery import Cast, FieldTest, ReKey, Remove, Replace, json_schema

WHOLE = """\
name: all-of-it
author: Anna
why: every operation once
steps:
  - when:
      reason: [decode.bad_nested, normalize.]
      stage: decode
      version: clickgoose 0.1.0
      merchant: shop-1
      catalogue: [1, 2]
      detail: "wrong type"
      fields:
        screen.width: {range: [0, 100], present: true}
        navigator.platform: {in: [Win32, MacIntel]}
        page.url: {matches: "^http:"}
        header.device_id: {equals: "00112233445566778899aabbccddeeff"}
        navigator.webdriver: {equals: false}
    do:
      - replace: {field: page.url, pattern: "^http:(.*)", by: 'https:\\1'}
      - replace: {field: page.title, constant: Checkout}
      - remove: {field: storage.quota}
      - remove: {activity: 203}
      - remove: {unknown_signals: true}
      - remove: {field: envelope.linked_id}
      - cast: {field: screen.width, to: number}
      - cast: {field: activity.t, to: milliseconds}
      - re-key: {key_id: 2, merchant: shop-2}
"""


def test_a_whole_file_is_read_and_its_schema_takes_it() -> None:
    made = parse_recovery(WHOLE.encode(), "whole.yaml")
    (step,) = made.steps
    assert (made.name, made.author, step.key_id, step.line, made.reasons) == (
        "all-of-it", "Anna", 2, 5, ("decode.bad_nested", "normalize."),
    )  # fmt: skip
    assert FieldTest("screen.width", "range", (0, 100)) in step.when.fields
    assert step.do == (
        Replace("page.url", pattern="^http:(.*)", by="https:\\1"),
        Replace("page.title", constant="Checkout"),
        Remove("storage.quota"),
        Remove(activity=203),
        Remove(unknown_signals=True),
        Remove("envelope.linked_id"),
        Cast("screen.width", "number"),
        Cast("activity.t", "milliseconds"),
        ReKey(2, "shop-2"),
    )
    jsonschema.validate(yaml.safe_load(WHOLE), json_schema())
    root = Path(__file__).parents[2]
    shipped = json.loads((root / "docs/recovery-file.schema.json").read_text("utf-8"))
    assert shipped == json_schema() == json.loads(PAGES["docs/recovery-file.schema.json"]())


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("name: all-of-it", "name: All of it", "1: name is 'All of it'; did you mean all-of-it?"),
        ("author: Anna\n", "", "1: the file lacks author; say who wrote it"),
        ("why: every operation once", "why: ask jane.doe@example.com",
         "3: why holds what passes for personal data (mask.email); leave it out"),
        ("decode.bad_nested", "decode.bad_nestd",
         "6: steps[0].when.reason has 'decode.bad_nestd', which is no reason; did you mean decode.bad_nested?"),
        ("screen.width: {range", "screen.widht: {range",
         "13: steps[0].when.fields has no field 'screen.widht'; did you mean screen.width?"),
        ("range: [0, 100]", "range: [100, 0]",
         "13: steps[0].when.fields.screen.width.range must be two numbers, the lower one first, as [0, 100]"),
        ("equals: false", "equals: 0",
         "17: steps[0].when.fields.navigator.webdriver.equals cannot be 0; give true or false"),
        ('matches: "^http:"', 'matches: "(http"',
         "15: steps[0].when.fields.page.url.matches is no pattern of RE2 (missing ): (http); see "
         "github.com/google/re2/wiki/Syntax"),
        ("constant: Checkout", "constant: 4111 1111 1111 1111",
         "20: steps[0].do[1].replace.constant holds what passes for personal data (mask.card_number); leave it out"),
        ("page.title, constant: Checkout", "screen.height, constant: tall",
         "20: steps[0].do[1].replace.constant cannot be 'tall'; screen.height takes a number"),
        ("field: storage.quota", "field: header.event_id",
         "21: steps[0].do[2].remove.field cannot be header.event_id: it says which event this is; only re-key "
         "changes a key id"),
        ("field: storage.quota", "field: envelope.merchant",
         "21: steps[0].do[2].remove.field cannot be envelope.merchant; write re-key: {merchant: NEW}"),
        ("activity: 203", "activity: 9999",
         "22: steps[0].do[3].remove.activity is 9999, which is no log code; "),
        ("field: screen.width, to: number", "field: screen.width, to: boolean",
         "25: steps[0].do[6].cast.to of screen.width, a number, cannot be 'boolean'; known are milliseconds, "
         "number, seconds"),
        ("      merchant: shop-1\n", "",
         "26: steps[0].do[8].re-key.merchant gives events away; name whose they are in when.merchant"),
        ("by: 'https:\\1'", "by: 'https:\\4'",
         "19: steps[0].do[0].replace.by names a group that the pattern has not; write \\1 for its first"),
        ("- remove: {unknown_signals: true}", "- delete: {unknown_signals: true}",
         "23: steps[0].do[4] has no 'delete'; known are cast, re-key, remove, replace"),
        ("name: all-of-it", "name: [", "this is not YAML"),
    ],
)  # fmt: skip
def test_a_mistake_is_said_with_its_place_and_what_to_do(was: str, now: str, said: str) -> None:
    assert was in WHOLE
    with pytest.raises(RecoveryRefused) as refused:
        parse_recovery(WHOLE.replace(was, now, 1).encode(), "f.yaml")
    first = refused.value.mistakes[0]
    assert f"{first.line}: {first.said}".startswith(said) or said in first.said
    assert str(refused.value).startswith(f"f.yaml:{first.line}:{first.column}: ")


def test_nothing_without_conditions_or_operations_is_taken() -> None:
    text = "name: a\nauthor: b\nwhy: c\nsteps:\n  - {when: {}, do: []}\n"
    with pytest.raises(RecoveryRefused) as refused:
        parse_recovery(text.encode(), "f.yaml")
    assert [mistake.said for mistake in refused.value.mistakes] == [
        "steps[0].when is empty; say which letters are meant, as `reason: decode.bad_nested`",
        "steps[0].do has 0 operations; give 1 to 50",
    ]
    for empty in (b"", b"# nothing\n", b"[]", b"\xff"):
        with pytest.raises(RecoveryRefused):
            parse_recovery(empty, "f.yaml")
