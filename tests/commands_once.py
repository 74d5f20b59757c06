"""The commands of an application are built once in a process, not at each invocation by a test: ours take a while."""

from __future__ import annotations

import functools

import typer.testing
from typer.main import get_command


def build_once() -> None:
    """Let ``CliRunner`` keep what it builds; nothing is registered with an application once it was invoked."""
    typer.testing._get_command = functools.cache(get_command)  # type: ignore[attr-defined] # it imports it so
