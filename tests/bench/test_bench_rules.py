"""The benchmark of decisions: what it reports in a short form, and no rate where an answer was wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.bench import rules as bench
from infra.bench.rules import Load, bench_rules
from infra.bench.rules_http import AnswersWrong
from infra.bench.rules_load import book
from infra.cli.bench import bench_app
from scoring.rules.conditions import all_operands
from scoring.rules.document import HistoryOperand

SHORT = Load(seconds=0.6, entities=20, members=5, compared=20, memory_members=500)


def test_the_load_is_what_the_figures_are_promised_for() -> None:
    program_rules = book(100, 20).everyone
    assert len(program_rules.rules) == 100
    assert {rule.status for rule in program_rules.rules} == {"live"}

    asked = [
        [one for one in all_operands(rule.when) if isinstance(one, HistoryOperand)] for rule in program_rules.rules
    ]
    assert sum(bool(some) for some in asked) == 60
    assert len({one.catalogue.name for some in asked for one in some}) == 20
    assert len({one.of for some in asked for one in some}) == 4


def test_it_reports_rates_latency_and_what_they_cost() -> None:
    shares: list[float] = []
    found = bench_rules(SHORT, shares.append)
    assert found.keys() >= {"decisions_per_s", "p99_ms", "baseline_per_s", "cpu_us_per_decision", "machine", "versions"}
    assert found["decisions_per_s"] > 0 < found["baseline_per_s"]
    assert found["p50_ms"] <= found["p99_ms"]
    assert found["mb_per_million_members"].keys() == {"without value", "number", "text"}
    assert found["answered"] >= 20
    assert sum(shares) == pytest.approx(1.0)
    json.dumps(found)


def test_an_answer_that_differs_from_the_engines_leaves_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(load: Load, advance: Any) -> dict[str, Any]:
        raise AnswersWrong("an answer was wrong: deny instead of allow")

    monkeypatch.setattr(bench, "bench_rules", wrong)
    done = CliRunner().invoke(bench_app, ["rules", "--json"])
    assert done.exit_code == 1
    assert "no rate" in done.output and "deny instead of allow" in done.output
    assert "decisions_per_s" not in done.output
