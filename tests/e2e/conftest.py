"""Fixtures of the end-to-end tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.stack.child import StackError
from tests.e2e.system import System
from tests.kafka_parts import need_apache_kafka
from tests.workers import give_up


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    """A stack of the module's own, since topics have fixed names."""
    need_apache_kafka()
    folder = Path(tempfile.mkdtemp(prefix="clickgoose-e2e-"))
    try:
        with System(folder) as running:
            yield running
    except StackError as error:
        give_up(f"The end-to-end tests need the local stack: {error} Run `clickgoose doctor`.")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
