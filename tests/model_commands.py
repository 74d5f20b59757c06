"""``clickgoose model ...`` in the test's own process."""

from __future__ import annotations

import json
from typing import Any

import typer
from typer.testing import CliRunner, Result

from infra.cli import model


def run(*arguments: str) -> Result:
    """Run the group alone."""
    app = typer.Typer()
    model.register(app)
    return CliRunner().invoke(app, ["model", *arguments])


def good(*arguments: str) -> dict[str, Any]:
    """Run, and return what it printed."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found
