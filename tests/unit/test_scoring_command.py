"""``clickgoose model``: what it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from infra.cli import model
from scoring.model import MANIFEST_FILE, current_version, read_manifest
from scoring.release import name_current, release
from tests.tiny_model import TINY, tiny_model


def run(*arguments: str) -> Result:
    """Run the group alone."""
    app = typer.Typer()
    model.register(app)
    return CliRunner().invoke(app, ["model", *arguments])


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A directory with one default model."""
    directory, _ = release(tiny_model(), TINY, tmp_path)
    name_current(tmp_path, directory.name)
    return tmp_path


def test_verify_prints_the_largest_differences(models: Path) -> None:
    result = run("verify", "--models", str(models), "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["margin"] < 1e-5
    assert found["rows"] == 512


def test_verify_finds_a_damaged_model(models: Path) -> None:
    next(models.glob(f"*/{MANIFEST_FILE}")).write_text("{")
    result = run("verify", "--models", str(models))
    assert result.exit_code == 1
    assert "damaged" in result.stderr


def test_show_prints_the_manifest(models: Path) -> None:
    found = json.loads(run("show", "--models", str(models), "--json").stdout)
    assert found["versions"] == [found["version"]]
    assert found["data"].startswith("Semi-synthetic")
    assert "roc auc" in run("show", "--models", str(models)).stdout


def test_show_of_an_unknown_version_is_one_sentence(models: Path) -> None:
    result = run("show", "goose-nope", "--models", str(models))
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)


def test_training_on_simulated_traffic_writes_a_model_that_verifies(tmp_path: Path) -> None:
    result = run("train", "--events", "1000", "--trees", "5", "--depth", "3", "--out", str(tmp_path), "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["trees"] <= 5
    assert current_version(tmp_path) == found["version"]
    assert {"report.json", "report.html", "reference.json"} <= set(read_manifest(tmp_path / found["version"]).files)
    assert run("verify", found["version"], "--models", str(tmp_path)).exit_code == 0


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    result = run("verify")
    assert result.exit_code == 2
    assert "pip install 'clickgoose[train]'" in result.stderr
