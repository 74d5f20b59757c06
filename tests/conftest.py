"""Fixtures that all tests share."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests.commands_once import build_once
from tests.faults.table import pytest_terminal_summary
from tests.stack_fixture import namespace, stack
from tests.workers import (
    pytest_collection,
    pytest_collection_modifyitems,
    pytest_sessionstart,
    pytest_xdist_make_scheduler,
)

__all__ = [
    "namespace",
    "pytest_collection",
    "pytest_collection_modifyitems",
    "pytest_sessionstart",
    "pytest_terminal_summary",
    "pytest_xdist_make_scheduler",
    "stack",
]

# How long an example takes says more of the machine than of the law that it shows.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

build_once()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the suite's own options."""
    parser.addoption("--update-golden", action="store_true", help="write tests/golden/ anew instead of comparing")
    parser.addoption("--faults", choices=("short", "whole"), default="short", help="how much the fault tests do")
    parser.addoption("--json", metavar="FILE", help="write the table of the fault tests as JSON")
