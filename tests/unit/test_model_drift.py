"""Drift of live events against what a model was trained on, and ``clickgoose model drift``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from infra.cli import model as commands
from infra.compare_clickhouse import StoredEvents
from infra.model_compare import CompareError, SourceBatch
from infra.model_drift import METRICS, live_drift
from schemas.batches import F32
from scoring.drift import REFERENCE_FILE, Reference
from scoring.features import feature_schema
from scoring.model import Model
from scoring.release import release
from scoring.report import make_report
from tests.compared import InMemory, some_events
from tests.model_doubles import two_models
from tests.tiny_model import TINY, tiny_model, tiny_set

ROWS = 500


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that keeps what it saw."""
    root = tmp_path_factory.mktemp("models")
    return release(tiny_model(), TINY, root, report=lambda _: make_report(tiny_set(), tiny_model(), TINY))[0]


def batches(features: F32, without: int = 0) -> InMemory:
    """Return events with these features in two batches, the first of which has rows without any."""
    events, half = some_events(len(features), 5), len(features) // 2
    nothing = np.full(half, np.nan, np.float32)
    has = np.arange(half) >= without
    parts = ((features[:half][has], np.arange(half), has), (features[half:], np.arange(half, 2 * half), has | True))
    return InMemory(tuple(SourceBatch(events.take(rows), some, has, nothing, nothing) for some, rows, has in parts))


def naive_psi(edges: tuple[float, ...], before: tuple[float, ...], values: F32, weight: np.ndarray) -> float:  # type: ignore[type-arg]
    counts = [0.0] * len(before)
    for value, counted in zip(values.tolist(), weight.tolist(), strict=True):
        place = len(edges) + 1 if math.isnan(value) else sum(value >= np.float32(edge) for edge in edges)
        counts[place] += counted
    now = [max(one / sum(counts), 1e-4) for one in counts]
    old = [max(one, 1e-4) for one in before]
    return sum((b - a) * math.log(b / a) for a, b in zip(old, now, strict=True))


def test_indices_are_those_of_a_plain_loop_over_all_batches(directory: Path) -> None:
    model, features = Model.load(directory), tiny_set().features[:ROWS]
    reference = Reference.decode((directory / REFERENCE_FILE).read_bytes())
    found = live_drift(model, batches(features)).figures
    weight = some_events(ROWS, 5).weight
    score = reference.score
    assert found["score_psi"] == pytest.approx(
        naive_psi(score.edges, score.shares, model.score(features), weight), abs=1e-3
    )
    by_name = {one["name"]: one for one in found["features"]}
    assert set(by_name) == set(reference.features) and len(by_name) > 3
    for name, one in reference.features.items():
        values = features[:, feature_schema().position[name]]
        assert by_name[name]["psi"] == pytest.approx(naive_psi(one.edges, one.shares, values, weight), abs=1e-3), name
        absent = float(weight[np.isnan(values)].sum() / weight.sum())
        assert by_name[name]["absent_now"] == pytest.approx(absent, abs=1e-5)
    assert (found["rows"], found["events"]) == (ROWS, weight.sum())


def test_a_feature_that_is_gone_comes_first_and_one_that_stands_still_does_not(directory: Path) -> None:
    model, features = Model.load(directory), tiny_set().features[:ROWS].copy()
    still = live_drift(model, batches(features))
    name = max(still.figures["features"], key=lambda one: (one["absent_now"] == 0, -one["psi"]))["name"]
    features[:, feature_schema().position[name]] = np.nan
    moved = live_drift(model, batches(features))
    assert moved.figures["features"][0]["name"] == name and moved.figures["features"][0]["absent_now"] == 1
    assert moved.values["largest_feature_psi"] > 1  # type: ignore[operator]
    assert still.values["score_psi"] < 0.25  # type: ignore[operator]
    assert moved.values["features_moved"] == still.values["features_moved"] + 1  # type: ignore[operator]
    assert set(moved.values) == set(METRICS)


def test_rows_without_features_are_left_out_and_counted(directory: Path) -> None:
    found = live_drift(Model.load(directory), batches(tiny_set().features[:ROWS], without=50))
    weight = some_events(ROWS, 5).weight
    assert found.values["rows"] == ROWS - 50
    assert found.values["with_features_share"] == pytest.approx(weight[50:].sum() / weight.sum(), abs=1e-3)


def test_nothing_to_measure_or_to_measure_with_is_one_sentence(directory: Path) -> None:
    with pytest.raises(CompareError, match="no event has features of this build"):
        live_drift(Model.load(directory), InMemory(()))
    with pytest.raises(CompareError, match="says nothing of the data that it saw"):
        live_drift(two_models()[0], batches(tiny_set().features[:ROWS]))


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stored events that no engine is asked for."""

    def given(self: StoredEvents, a: str, b: str) -> Iterator[SourceBatch]:
        yield from batches(tiny_set().features[:ROWS]).given

    monkeypatch.setattr(StoredEvents, "batches", given)
    monkeypatch.setattr(StoredEvents, "total", lambda self: ROWS)


def run(*arguments: str) -> Result:
    app = typer.Typer()
    commands.register(app)
    options = ["--url", "clickhouse://127.0.0.1:1/x"]
    return CliRunner().invoke(app, ["model", "drift", *arguments, *options], env={"COLUMNS": "120"})


@pytest.mark.usefixtures("stored")
def test_the_command_tells_what_moved_and_its_gate_trips(directory: Path) -> None:
    shown = run(str(directory), "--fail-on", "rows<100")
    assert shown.exit_code == 0, shown.output
    assert "features that moved most" in shown.stdout and "gate: open" in shown.stderr
    failed = run(str(directory), "--json", "--fail-on", "rows>100", "--fail-on", "score_psi>50")
    assert (failed.exit_code, failed.stderr) == (1, f"gate: rows is {ROWS}, and must not be > 100\n")
    assert json.loads(failed.stdout)["metrics"]["rows"] == ROWS


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--fail-on", "flip_share>0.1"), 2, "'flip_share' is no metric; did you mean "),
        (("--since", "soon"), 2, "'soon' is no time"),
        ((), 1, "cannot read events from ClickHouse at 127.0.0.1:1"),
    ],
)
def test_wrong_use_is_one_sentence(directory: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    result = run(str(directory), *arguments)
    assert result.exit_code == code
    assert said in result.stderr and result.stderr.count("\n") == 1
