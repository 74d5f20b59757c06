"""``clickgoose model compare``: what it prints, its page, and how it ends."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from infra.cli import model
from infra.cli.time_range import moment_of, range_of
from infra.compare_simulation import SimulatedEvents
from infra.model_compare import SourceBatch
from scoring.gate import METRICS
from scoring.release import release
from scoring.train import train
from tests.compared import some_events
from tests.tiny_model import TINY, tiny_model, tiny_set

ROWS = 400


def run(*arguments: str) -> Result:
    """Run the group alone."""
    app = typer.Typer()
    model.register(app)
    return CliRunner().invoke(app, ["model", "compare", *arguments], env={"COLUMNS": "120"})


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The directories of two models, not signed."""
    from dataclasses import replace

    root = tmp_path_factory.mktemp("models")
    trained = tiny_model(), train(tiny_set(), replace(TINY, seed=4, trees=8))
    a, b = (str(release(one, TINY, root)[0]) for one in trained)
    return a, b


@pytest.fixture
def traffic(monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulation that takes no time."""

    def batches(self: SimulatedEvents, a: str, b: str) -> Iterator[SourceBatch]:
        events, nothing = some_events(ROWS, self.seed), np.full(ROWS, np.nan, np.float32)
        yield SourceBatch(events, tiny_set().features[:ROWS], np.ones(ROWS, np.bool_), nothing, nothing)

    monkeypatch.setattr(SimulatedEvents, "batches", batches)


def test_the_simulation_runs_through_the_real_stages(models: tuple[str, str]) -> None:
    result = run(*models, "--from", "simulation", "--events", "1000", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["a"]["rescored"], found["events"]["labelled"], found["source"]) == (1000, 1000, "simulation")
    assert set(found["metrics"]) == set(METRICS) and found["metrics"]["roc_auc.a"] > 0.5
    assert {part["name"] for part in found["flips"]["by_merchant"]} == {"demo-shop", "other-shop"}


@pytest.mark.usefixtures("traffic")
def test_tables_say_everything_for_people(models: tuple[str, str]) -> None:
    result = run(*models, "--from", "simulation")
    assert result.exit_code == 0, result.output
    for said in ("rows scored again", "Decisions of A", "Flips by merchant", "Flips by event type", "Factors that",
                 "labelled rows of", "95% interval", "Events that changed most", "spearman"):  # fmt: skip
        assert said in result.stdout, said


@pytest.mark.usefixtures("traffic")
def test_the_gate_fails_with_a_sentence_for_each_condition_that_holds(models: tuple[str, str]) -> None:
    conditions = ["--fail-on", "rows>100", "--fail-on", "rows>1000", "--fail-on", "pearson<=1"]
    result = run(*models, "--from", "simulation", *conditions, "--json")
    assert result.exit_code == 1
    said = [line for line in result.stderr.splitlines() if line.startswith("gate: ")]
    assert said[0] == f"gate: rows is {ROWS}, and must not be > 100"
    assert said[1].startswith("gate: pearson is 0.") and len(said) == 2
    assert json.loads(result.stdout)["metrics"]["rows"] == ROWS


@pytest.mark.usefixtures("traffic")
def test_an_open_gate_says_so(models: tuple[str, str]) -> None:
    result = run(*models, "--from", "simulation", "--fail-on", "rows<100")
    assert result.exit_code == 0
    assert "gate: open, none of 1 conditions holds" in result.stderr


@pytest.mark.usefixtures("traffic")
def test_a_metric_without_a_value_fails_the_gate_unless_it_may(
    models: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scoring.compare.SMALLEST_PART", ROWS + 1)
    condition = ("--from", "simulation", "--fail-on", "flip_share.largest_merchant>0.5")
    result = run(*models, *condition)
    assert result.exit_code == 1 and "flip_share.largest_merchant has no value" in result.stderr
    assert run(*models, *condition, "--allow-missing").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--fail-on", "flips>0.1"), 2, "--fail-on: 'flips' is no metric; did you mean flip_share"),
        (("--fail-on", "flip_share"), 2, "is no condition: write a metric"),
        (("--since", "yesterday"), 2, "'yesterday' is no time: give 7d, 12h or 30m ago"),
        (("--since", "1h", "--until", "2h"), 2, "--since 1h is not before --until 2h"),
        (("--from", "files"), 2, "--from files needs --files DIRECTORY"),
        (("--from", "files", "--files", "/nowhere"), 1, "/nowhere holds no part-*.parquet"),
    ],
)
def test_wrong_use_is_one_sentence(models: tuple[str, str], arguments: tuple[str, ...], code: int, said: str) -> None:
    result = run(*models, *arguments, "--url", "clickhouse://127.0.0.1:1/x")
    assert result.exit_code == code, result.output
    assert said in result.stderr and result.stderr.count("\n") == 1


def test_a_clickhouse_that_is_away_is_one_sentence_and_no_stack_trace(models: tuple[str, str]) -> None:
    command = [
        sys.executable,
        "-m",
        "infra.cli",
        "model",
        "compare",
        *models,
        "--url",
        "clickhouse://a:b@127.0.0.1:1/x",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("cannot read events from ClickHouse at 127.0.0.1:1: ")
    assert ended.stderr.count("\n") == 1


def test_models_that_are_not_there_or_the_same_are_refused(models: tuple[str, str]) -> None:
    same = run(models[0], models[0], "--from", "simulation")
    assert same.exit_code == 2 and "name two versions" in same.stderr
    for missing in ("goose-00000000", "/nowhere/goose-00000000"):
        result = run(missing, models[1], "--from", "simulation")
        assert result.exit_code == 1 and result.stderr.count("\n") == 1, result.output
        assert "goose-00000000" in result.stderr


class _Page(HTMLParser):
    """Collects what a page asks for from elsewhere, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.asked: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.asked += [
            value or "" for name, value in attrs if name in ("src", "href") and not (value or "").startswith("#")
        ]


@pytest.mark.usefixtures("traffic")
def test_the_page_is_one_file_with_plots_and_every_name_in_it_once(models: tuple[str, str], tmp_path: Path) -> None:
    out = tmp_path / "compare.html"
    assert run(*models, "--from", "simulation", "--html", str(out)).exit_code == 0
    text = out.read_text()
    page = _Page()
    page.feed(text)
    assert (page.seen.count("svg"), page.asked, page.seen.count("script")) == (4, [], 0)
    names = re.findall(r'\bid="([^"]+)"', text)
    assert len(names) == len(set(names)) > 50
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', text))
    assert used <= set(names)
    for said in ("Decisions", "Factors that changed most", "Labelled events", *(Path(one).name for one in models)):
        assert said in text, said
    refused = run(*models, "--from", "simulation", "--html", str(tmp_path / "no" / "x.html"))
    assert refused.exit_code == 2 and "cannot be written" in refused.stderr


def test_times_are_so_long_ago_or_a_moment_in_utc() -> None:
    now = 1_780_272_000_000
    assert moment_of("7d", now) == now - 7 * 86_400_000
    assert moment_of("90m", now) == now - 5_400_000
    assert moment_of("2026-06-01", now) == now == moment_of("2026-06-01T02:00+02:00", now)
    assert range_of("1h", None, now) == (now - 3_600_000, now)
    for wrong in ("", "0d", "7", "7w", "d7", "2026-13-01", "9999999999d"):
        with pytest.raises(ValueError, match="is no time"):
            moment_of(wrong, now)
