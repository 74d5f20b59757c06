"""How tests are shared out where pytest-xdist runs them in several workers: a file is one worker's, long ones first.

Tests of whole systems wait half of their time for processes, so there are two workers a core (`make test`): while one
waits another one works. Tests of a file share fixtures, and those of some folders one running system: each of these is
one worker's as a whole.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
from collections.abc import Generator
from pathlib import PurePosixPath
from typing import Any, NoReturn

import pytest

from infra.stack.child import StackError
from infra.stack.java import ensure_jars, missing_java
from tests.browser_parts import need_browsers
from tests.kafka_parts import need_apache_kafka

FIRST = (
    "tests/faults",
    "tests/e2e/checkout",
    "tests/e2e",
    "tests/integration",
    "tests/golden",
    "tests/unit/test_agent_project.py",
)
"""What takes longest, longest first: what begins last should be short."""
TOGETHER = ("tests/faults", "tests/e2e/checkout")
COVERING = ("tests/unit", "tests/contract", "tests/golden")
"""What coverage is measured in. Laws are shown by many examples, each of which runs the same lines; systems run in
processes of their own, which nobody traces."""
_WORKER = "PYTEST_XDIST_WORKER"


def pytest_sessionstart(session: pytest.Session) -> None:
    """Before the workers of a whole run start: install, once, what more than one of them would."""
    config = session.config
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if _WORKER in os.environ or not whole or not config.getoption("numprocesses", None):
        return
    need_apache_kafka()
    need_browsers()
    if missing_java() is None:
        with contextlib.suppress(StackError):  # the stack's start says why
            ensure_jars(lambda sentence: print(sentence, file=sys.stderr), threading.Event())  # noqa: T201 - progress


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long ones first; measure coverage by tests of units alone, for a traced line takes twice its time."""
    for item in items:
        if not any(_under(_file(item.nodeid), name) for name in COVERING):
            item.add_marker("no_cover")
    if _WORKER in os.environ:
        items.sort(key=lambda item: _turn(_file(item.nodeid)))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage meanwhile: what every worker imports and collects stays, and there is much of it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out whole files, or folders, in the order in which they were collected."""
    from xdist.scheduler import LoadScopeScheduling

    class WholeFiles(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False
    return WholeFiles(config, log)


def group_of(nodeid: str) -> str:
    """Return what a test shares a worker with: its file, or its folder where that has one running system."""
    path = _file(nodeid)
    return next((name for name in TOGETHER if _under(path, name)), path)


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def give_up(sentence: str) -> NoReturn:
    """End the run with one sentence; in a worker, which cannot end it, the test."""
    if _WORKER in os.environ:
        pytest.fail(sentence, pytrace=False)
    pytest.exit(sentence, returncode=1)


def _turn(path: str) -> int:
    return next((turn for turn, name in enumerate(FIRST) if _under(path, name)), len(FIRST))


def _under(path: str, name: str) -> bool:
    return PurePosixPath(path).is_relative_to(name)
