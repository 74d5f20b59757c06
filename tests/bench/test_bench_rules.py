"""The benchmark of decisions: what it reports in a short form, and no rate where an answer was wrong."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.bench import rules as bench
from infra.bench.rules import Load, bench_rules
from infra.bench.rules_http import AnswersWrong
from infra.bench.rules_load import EVENT_TYPES, ONE_TYPE, book, events
from infra.cli.bench import _show_rules, bench_app
from scoring.rules.conditions import all_operands
from scoring.rules.document import HistoryOperand, Rule
from scoring.rules.evaluate import Engine

SHORT = Load(seconds=0.6, entities=20, members=5, compared=20, memory_members=500)


def _asked(rules: Sequence[Rule]) -> list[list[HistoryOperand]]:
    return [[one for one in all_operands(rule.when) if isinstance(one, HistoryOperand)] for rule in rules]


@pytest.mark.parametrize("event_types", [EVENT_TYPES, ONE_TYPE])
def test_the_load_is_what_the_figures_are_promised_for(event_types: tuple[str, ...]) -> None:
    program_rules = book(100, 20, event_types).everyone
    assert len(program_rules.rules) == 100
    assert {rule.status for rule in program_rules.rules} == {"live"}

    asked = _asked(program_rules.rules)
    assert sum(bool(some) for some in asked) == 60
    assert len({one.catalogue.name for some in asked for one in some}) == 20
    assert len({one.of for some in asked for one in some}) == 4


def test_events_of_each_type_look_at_a_quarter_of_the_rules_made_for_types() -> None:
    engine = Engine(book(100, 20, EVENT_TYPES))
    for event_type in EVENT_TYPES:
        program = engine.program("", event_type)
        asked = _asked([ready.scoped.rule for ready in program.rules])
        assert len(program.rules) == 25
        assert sum(bool(some) for some in asked) == 15
        assert len({one.catalogue.name for some in asked for one in some}) == len(program.written) == 5
    kinds = Counter(event["event_type"] for event in islice(events(10, 1, EVENT_TYPES), 400))
    assert kinds == dict.fromkeys(EVENT_TYPES, 100)


def test_every_rule_looks_at_every_event_of_the_load_of_one_type() -> None:
    (event_type,) = ONE_TYPE
    program = Engine(book(100, 20)).program("", event_type)
    assert len(program.rules) == 100
    assert len(program.written) == 20


def test_it_reports_rates_latency_and_what_they_cost_of_both_loads(capsys: pytest.CaptureFixture[str]) -> None:
    shares: list[float] = []
    found = bench_rules(SHORT, shares.append)
    every = found["every_rule_looks"]
    assert found.keys() >= {"decisions_per_s", "p99_ms", "baseline_per_s", "cpu_us_per_decision", "machine", "versions"}
    for one in (found, every):
        assert one["decisions_per_s"] > 0 < one["baseline_per_s"]
        assert one["p50_ms"] <= one["p99_ms"]
        assert one["cpu_us_per_decision"].keys() == {"service", "store", "baseline"}
        assert one["answered"] >= 20
    assert found["an_event_looks_at"] == {"rules": 25, "velocity_rules": 15, "catalogues": 5}
    assert every["an_event_looks_at"] == {"rules": 100, "velocity_rules": 60, "catalogues": 20}
    assert found["mb_per_million_members"].keys() == {"without value", "number", "text"}
    assert sum(shares) == pytest.approx(1.0)
    json.dumps(found)

    _show_rules(found)
    shown = capsys.readouterr().out
    assert "each rule for one" in shown and "every rule looks" in shown


def test_an_answer_that_differs_from_the_engines_leaves_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(load: Load, advance: Any) -> dict[str, Any]:
        raise AnswersWrong("an answer was wrong: deny instead of allow")

    monkeypatch.setattr(bench, "bench_rules", wrong)
    done = CliRunner().invoke(bench_app, ["rules", "--json"])
    assert done.exit_code == 1
    assert "no rate" in done.output and "deny instead of allow" in done.output
    assert "decisions_per_s" not in done.output
