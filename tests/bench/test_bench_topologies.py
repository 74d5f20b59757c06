"""``clickgoose bench topologies``: every way brings all rows to an end, and the report has all figures."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from flows.stage_state import Part
from infra.bench import topologies
from infra.bench.events import recorded_events
from infra.bench.measure import RowsLost
from infra.bench.topologies import TOPOLOGIES, bench_topologies, ratios
from infra.cli import bench
from infra.traffic.dataset import dataset_keys
from tests.kafka_parts import need_apache_kafka

FIGURES = {"events_per_s", "seconds", "scored", "dead", "dropped", "cpu_us_per_event"}


def test_there_are_the_flow_as_one_its_parts_in_three_processes_and_in_one() -> None:
    assert TOPOLOGIES["fused"] == ((),)
    assert sorted(part for process in TOPOLOGIES["staged"] for part in process) == sorted(Part)
    assert all(len(process) == 1 for process in TOPOLOGIES["staged"])
    assert TOPOLOGIES["staged_in_one"] == (tuple(Part),)


@pytest.mark.stack
def test_a_topology_has_nothing_of_the_one_before_it_and_brings_every_row_to_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    need_apache_kafka()
    monkeypatch.setattr(topologies, "_STILL_SECONDS", 1.5)
    good = recorded_events(300, 5)
    words = list[str]()
    all_parts = TOPOLOGIES["staged_in_one"]  # the two others take as long again each
    found = bench_topologies(
        [*good, *good[-20:], b"rubbish"], dataset_keys(), words.append, {"first": all_parts, "second": all_parts}
    )  # fmt: skip
    for name in ("first", "second"):
        assert set(found[name]) == FIGURES
        assert (found[name]["scored"], found[name]["dead"], found[name]["dropped"]) == (300, 1, 20)
        assert found[name]["events_per_s"] == pytest.approx(321 / found[name]["seconds"], rel=0.01)
        assert set(found[name]["cpu_us_per_event"]) == {"extract+enrich+score"}
    assert words == ["starting the stack", "first: 321 events", "second: 321 events"]
    assert json.dumps(found)


def test_ratios_are_to_the_flow_as_one() -> None:
    assert ratios({"fused": 2_000.0, "staged": 500.0, "staged_in_one": 2_500.0}) == {
        "staged_to_fused": 0.25,
        "staged_in_one_to_fused": 1.25,
    }
    assert ratios({"staged": 500.0}) == {}


def invoke(monkeypatch: pytest.MonkeyPatch, measure: Any, *words: str) -> Any:
    monkeypatch.setattr(topologies, "bench_topologies", measure)
    monkeypatch.setattr(bench, "_recorded", lambda events, seed: [b""] * events)
    app = typer.Typer()
    bench.register(app)
    return CliRunner().invoke(app, ["bench", "topologies", *words], env={"COLUMNS": "200"})


def figures(values: list[bytes], *_: Any) -> dict[str, Any]:
    each = {"staged": ["score", "enrich", "extract"], "staged_in_one": ["extract+enrich+score"], "fused": ["flow"]}
    found: dict[str, Any] = {
        name: {"events_per_s": len(values) / len(each[name]), "cpu_us_per_event": dict.fromkeys(each[name], 100.0)}
        for name in TOPOLOGIES
    }
    return {**found, "staged_to_fused": 0.333, "staged_in_one_to_fused": 1.0}


def test_the_command_prints_one_object_or_a_table_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    done = invoke(monkeypatch, figures, "--events", "1200", "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (0, figures([b""] * 1_200))
    table = invoke(monkeypatch, figures, "--events", "1200")
    assert table.exit_code == 0
    assert "1,200 events; to fused: staged 0.33, staged_in_one 1.00" in " ".join(table.stdout.split())
    (row,) = [line for line in table.stdout.splitlines() if "events/s" in line]
    assert [word for word in row.split() if word[0].isdigit()] == ["1,200", "400", "1,200"]
    (row,) = [line for line in table.stdout.splitlines() if "CPU" in line]
    assert [word for word in row.split() if word[0].isdigit()] == ["100", "300", "100"]


def test_no_rate_is_printed_where_rows_were_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any) -> dict[str, Any]:
        raise RowsLost("staged: 10 events in, 9 scored, 0 dead, 0 dropped")

    done = invoke(monkeypatch, lost)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.strip().endswith("staged: 10 events in, 9 scored, 0 dead, 0 dropped")
