"""``clickgoose rules check | test``, and the rules that are shipped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.cli import app
from infra.rules_files import read_rules
from scoring.rules.document import Rule
from scoring.rules.examples import check_examples

LIBRARY = Path(__file__).parents[2] / "scoring" / "rules" / "library"
GOOD = """
rules:
  - id: large
    when: {field: .data.amount, gt: 500}
    actions: [review]
    examples:
      - {event: {event_type: payment, data: {amount: 501}}, matches: true}
      - {event: {event_type: payment, data: {amount: 500}}, matches: false}
  - id: bare
    when: {signal: vpn}
    actions: [review]
"""
RULES = list(read_rules([LIBRARY]).book.everyone.rules)


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["rules", *arguments])
    return result.exit_code, result.stdout, result.stderr


def run_json(*arguments: str) -> tuple[int, dict[str, Any]]:
    code, out, _ = run(*arguments, "--json")
    return code, json.loads(out)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(GOOD)
    return path


def test_check_of_good_files(file: Path) -> None:
    code, said = run_json("check", str(file))
    assert code == 0 and not said["mistakes"]
    assert said["rulesets"]["global"]["rules"] == 2
    code, out, _ = run("check", str(file))
    assert (code, out) == (0, f"global: rules 2, catalogues 0, digest {said['rulesets']['global']['digest']}\n")


def test_check_says_every_mistake_with_its_place(file: Path) -> None:
    file.write_text(GOOD.replace("vpn", "vpm").replace("gt: 500", "gtt: 500"))
    code, out, err = run("check", str(file))
    assert (code, out) == (1, "")
    assert err == (
        f"{file}:4:33: the comparison has no 'gtt'; did you mean gt?\n"
        f"{file}:10:20: there is no smart signal 'vpm'; did you mean vpn?\n"
    )
    code, said = run_json("check", str(file))
    assert code == 1 and not said["rulesets"]
    assert [(one["line"], one["column"]) for one in said["mistakes"]] == [(4, 33), (10, 20)]
    assert run("test", str(file))[0] == 1
    assert run_json("test", str(file))[1]["mistakes"] == said["mistakes"]


def test_test_runs_examples_and_names_rules_without(file: Path) -> None:
    code, out, err = run("test", str(file))
    assert (code, out) == (0, "2 of 2 examples come out as they say; 1 of 2 rules have examples\n")
    assert err == f"{file}:9: rule bare has no examples; add one that matches\n"


def test_test_says_what_an_example_that_fails_has_seen(file: Path) -> None:
    file.write_text(GOOD.replace("amount: 501", "amount: 499").replace("amount: 500}", "amount: much}"))
    code, _, err = run("test", str(file))
    first, second, _ = err.splitlines()
    assert code == 1
    assert first.startswith(f"{file}:7: rule large should match here and says no_match; it saw ")
    assert '"saw": 499' in first
    assert second.startswith(f"{file}:8: rule large should not match here and says error (the value has another type")
    code, said = run_json("test", str(file))
    assert (code, said["examples"], [one["status"] for one in said["failed"]]) == (1, 2, ["no_match", "error"])
    assert said["without_examples"] == ["bare"]


@pytest.mark.parametrize("command", ["check", "test"])
def test_what_cannot_be_read_is_wrong_use(command: str, tmp_path: Path) -> None:
    missing = tmp_path / "none.yaml"
    assert run(command, str(missing)) == (2, "", f"{missing} cannot be read: No such file or directory\n")
    assert run(command, str(tmp_path)) == (
        2, "", f"{tmp_path} has no file that ends in .yaml; name one, or another directory\n"
    )  # fmt: skip
    assert run(command)[0] == 2


def test_history_in_an_example_is_events_or_answers(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("""
catalogues:
  spent: {event_types: [payment], entity: .entities.user, value: .data.amount, window: 1d}
rules:
  - id: much
    status: off
    when: {all: [{sum: spent, over: 1h, gt: 10}, {count: spent, over: 1h, lt: 3}]}
    actions: [deny]
    examples:
      - event: {event_type: payment, entities: {user: u}}
        history:
          - {event_type: payment, ago: 59m, entities: {user: u}, data: {amount: 11}}
          - {event_type: payment, ago: 60m, entities: {user: u}, data: {amount: 90}}
          - {event_type: payment, entities: {user: v}, data: {amount: 90}}
        matches: true
      - event: {event_type: payment, entities: {user: u}}
        history: [{catalogue: spent, sum: 11, count: 3}]
        matches: false
      - event: {event_type: payment, entities: {user: u}, occurred_at: 2026-01-01T00:00:00Z}
        history:
          - {event_type: payment, occurred_at: 2025-12-31T23:30:00Z, entities: {user: u}, data: {amount: 11}}
        matches: true
""")
    assert run_json("test", str(file)) == (
        0,
        {"mistakes": [], "rules": 1, "without_examples": [], "examples": 3, "failed": []},
    )


def test_twenty_rules_are_shipped_and_those_of_the_issue_are_among_them() -> None:
    names = {rule.id for rule in RULES}
    assert len(RULES) >= 20
    assert names >= {
        "card-testing", "credential-stuffing", "account-farm", "impossible-travel", "high-velocity",
        "new-device-high-amount", "spending-and-logins",
    }  # fmt: skip


def test_every_example_of_the_shipped_rules_comes_out_as_it_says() -> None:
    checked = check_examples(read_rules([LIBRARY]).book.everyone)
    assert not [(one.rule.id, one.example.line, one.trace) for one in checked if not one.good]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_shipped_rule_is_described_and_has_examples_of_both_kinds(rule: Rule) -> None:
    assert rule.description
    assert {example.matches for example in rule.examples} == {True, False}
