"""What tests of one thing in a real Valkey share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.valkey_part import Valkey


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """Run a Valkey for a module's tests, without its file."""
    with Valkey(tmp_path_factory.mktemp("valkey"), appendonly="no") as running:
        yield running
