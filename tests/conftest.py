"""Fixtures that all tests share."""

from __future__ import annotations

import pytest

from tests.stack_fixture import namespace, stack

__all__ = ["namespace", "stack"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--update-golden``: write what the code gives now into tests/golden, to be looked at in the diff."""
    parser.addoption("--update-golden", action="store_true", help="write tests/golden/ anew instead of comparing")
