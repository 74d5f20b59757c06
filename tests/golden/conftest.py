"""Golden files: what the code gave once, byte for byte. ``--update-golden`` writes them anew."""

from __future__ import annotations

from pathlib import Path

import pytest

HOME = Path(__file__).parent


class Golden:
    """The files below tests/golden/."""

    def __init__(self, update: bool) -> None:
        self.update = update

    def read(self, name: str) -> bytes:
        """Return a file that other tests start from."""
        return (HOME / name).read_bytes()

    def exists(self, name: str) -> bool:
        """Return whether there is such a file."""
        return (HOME / name).exists()

    def check(self, name: str, data: bytes) -> None:
        """Compare with the file, line by line so that a difference is readable, or write it."""
        path = HOME / name
        if self.update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        assert path.exists(), f"{name} is missing: run pytest --update-golden and look at what it writes"
        expected = path.read_bytes()
        for number, (old, new) in enumerate(zip(expected.splitlines(), data.splitlines(), strict=False), 1):
            assert new == old, f"{name}, line {number}; run pytest --update-golden if this is meant"
        assert data == expected, f"{name} has other lines; run pytest --update-golden if this is meant"


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> Golden:
    """Return the golden files."""
    return Golden(bool(request.config.getoption("--update-golden")))
