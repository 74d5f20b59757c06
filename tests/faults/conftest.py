"""Fixtures of the fault tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from infra.stack.child import StackError
from tests.kafka_parts import need_apache_kafka
from tests.workers import give_up

pytest.register_assert_rewrite("tests.faults.harness")

from tests.faults.harness import FORMS, Case, Form, World, case  # noqa: E402 - after its asserts are known to pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out of the short form what it has no time for."""
    if config.getoption("--faults") == "whole":
        return
    left = [item for item in items if item.get_closest_marker("whole_form")]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


@pytest.fixture(scope="package")
def form(pytestconfig: pytest.Config) -> Form:
    """How much is done."""
    return FORMS[pytestconfig.getoption("--faults")]


@pytest.fixture(scope="package")
def world(form: Form) -> Iterator[World]:
    """The system that all fault tests share, one after the other."""
    need_apache_kafka()
    try:
        with World(form) as running:
            yield running
    except StackError as error:
        give_up(f"The fault tests need the local stack: {error} Run `clickgoose doctor`.")


@pytest.fixture
def fault(
    world: World, record_property: Callable[[str, object], None]
) -> Callable[[str], AbstractContextManager[Case]]:
    """Begin a fault by its name in the table."""
    return lambda name: case(world, name, record_property)
