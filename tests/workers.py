"""How tests are shared out where pytest-xdist runs them in several workers: a file is one worker's, long ones first.

Most of the suite waits for processes, so two workers on two cores take little more than half of the time. Tests of a
file share fixtures, and the fault tests share one running system: each of these is one worker's as a whole.
"""

from __future__ import annotations

import os
from pathlib import PurePosixPath

import pytest

FIRST = (
    "tests/faults",
    "tests/e2e/checkout",
    "tests/e2e",
    "tests/integration",
    "tests/golden",
    "tests/unit/test_agent_project.py",
)
"""What takes longest, longest first: what begins last should be short."""
TOGETHER = ("tests/faults",)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name the group of every test, and put the long ones first."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    for item in items:
        path = item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(next((name for name in TOGETHER if _under(path, name)), path)))
    items.sort(key=lambda item: _turn(item.nodeid.partition("::")[0]))


def _turn(path: str) -> int:
    return next((turn for turn, name in enumerate(FIRST) if _under(path, name)), len(FIRST))


def _under(path: str, name: str) -> bool:
    return PurePosixPath(path).is_relative_to(name)
