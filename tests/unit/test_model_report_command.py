"""``clickgoose model report``, ``train`` and ``export-data``: what they print, and how they end."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from infra.cli import model
from infra.cli.model_report import bar, sparkline
from infra.training_files import write_files
from infra.training_source import Source
from scoring.drift import Last
from scoring.release import name_current, release
from scoring.report import Report, make_report
from scoring.report_file import PAGE_FILE, REPORT_FILE, compared_with
from tests.tiny_model import TINY, tiny_model, tiny_set


@cache
def report() -> Report:
    first = make_report(tiny_set(), tiny_model(), TINY)
    return make_report(tiny_set(), tiny_model(), TINY, Last("goose-0f0f0f0f", tiny_model().metrics, first.reference))


def run(*arguments: str) -> Result:
    app = typer.Typer()
    model.register(app)
    return CliRunner().invoke(app, ["model", *arguments], terminal_width=160)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A directory with one live model and its report."""
    directory, _ = release(tiny_model(), TINY, tmp_path, report=lambda _: report())
    name_current(tmp_path, directory.name)
    return tmp_path


def version(models: Path) -> str:
    return next(path.name for path in models.glob("goose-*"))


def test_the_report_is_shown_with_its_goals_and_ends_by_them(models: Path) -> None:
    result = run("report", "--models", str(models))
    missed = [goal for goal in report().told["goals"] if not goal["met"]]
    assert result.exit_code == (1 if missed else 0), result.output
    assert result.stdout.count("missed") == len(missed)
    for said in (version(models), "roc auc", "Recall", "False positives by browser", "exact TreeSHAP's on 100.0%"):
        assert said in result.stdout
    assert "Drift since goose-0f0f0f0f" in result.stdout and "left out, of campaigns" in result.stdout


def test_the_report_as_json_is_the_file_with_the_version(models: Path) -> None:
    found = json.loads(run("report", version(models), "--models", str(models), "--json").stdout)
    stored = json.loads((models / version(models) / REPORT_FILE).read_bytes())
    assert found == {"version": version(models), **stored}
    assert compared_with(models / version(models)) == "goose-0f0f0f0f"


def test_the_page_is_written_as_it_lies_with_the_model(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    run("report", "--models", str(models), "--html", str(out))
    assert out.read_bytes() == (models / version(models) / PAGE_FILE).read_bytes()
    nowhere = run("report", "--models", str(models), "--html", str(tmp_path / "no" / "x.html"))
    assert (nowhere.exit_code, "cannot be written" in nowhere.stderr) == (2, True)


def test_a_changed_report_and_a_model_without_one_are_refused(models: Path, tmp_path: Path) -> None:
    (models / version(models) / REPORT_FILE).write_text("{}")
    changed = run("report", "--models", str(models))
    assert (changed.exit_code, "is not the file that the manifest names" in changed.stderr) == (1, True)
    plain, _ = release(tiny_model(), TINY, tmp_path / "plain")
    without = run("report", plain.name, "--models", str(tmp_path / "plain"))
    assert (without.exit_code, "has no report" in without.stderr, without.stderr.count("\n")) == (1, True, 1)


def test_bars_and_sparklines_show_what_is_not_0() -> None:
    assert (bar(1, 1), bar(0.5, 1), bar(0, 1), bar(1, 0)) == ("█" * 24, "█" * 12, "", "")
    assert sparkline([0, 0.001, 4, 8]) == " ▁▄█"
    assert sparkline([]) == ""


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("train", "--from", "files"), 2, "--from files needs --files DIRECTORY"),
        (("train", "--from", "clickhouse", "--since", "soon", "--url", "clickhouse://x"), 2, "'soon' is no time"),
        (
            ("train", "--from", "clickhouse", "--since", "1d", "--until", "2d", "--url", "clickhouse://x"),
            2,
            "is not before",
        ),
        (("train", "--from", "files", "--files", "/nowhere"), 1, "no model was written: /nowhere holds no part-"),
        (("train", "--from", "clickhouse", "--url", "clickhouse://127.0.0.1:9/x"), 1, "cannot read events from Click"),
        (("export-data", "--out", "data", "--url", "clickhouse://127.0.0.1:9/x"), 1, "cannot read events from Click"),
    ],
)
def test_wrong_use_and_missing_data_are_one_sentence(arguments: tuple[str, ...], code: int, sentence: str) -> None:
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert sentence in result.stderr and result.stderr.strip().count("\n") == 0


def test_training_again_gives_the_same_version_and_the_same_report(tmp_path: Path) -> None:
    data, models = tmp_path / "data", tmp_path / "models"
    rows = tiny_set()
    write_files(Source("Made for a test.", rows.names, len(rows), iter([rows])), data)

    def trained(seed: int) -> tuple[str, bytes]:
        where = ("--from", "files", "--files", str(data), "--out", str(models), "--json")
        result = run("train", *where, "--trees", "6", "--depth", "3", "--seed", str(seed))
        assert result.exit_code == 0, result.output
        name = json.loads(result.stdout)["version"]
        return name, (models / name / REPORT_FILE).read_bytes()

    first, other = trained(1), trained(2)
    assert trained(2) == other
    assert first[0] != other[0]
    assert compared_with(models / first[0]) is None
    assert compared_with(models / other[0]) == first[0]


def test_help_has_examples() -> None:
    for command in ("train", "report", "export-data"):
        assert f"clickgoose model {command}" in run(command, "--help").stdout
