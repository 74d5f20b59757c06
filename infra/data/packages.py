"""Packages of data, got with the ordinary clients of npm and PyPI, or given as archives that are there already."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path
from typing import NamedTuple

_SECONDS = 600.0
_FOLDER = "package"  # of an npm archive


class DataRefused(ValueError):
    """Data cannot be got or has another form than it used to have; says which and why."""


class Wanted(NamedTuple):
    """A package that files are made from."""

    name: str
    registry: str  # npm or pypi


class Package(NamedTuple):
    """An archive as the client wrote it: npm's .tgz, or a wheel of PyPI."""

    name: str
    version: str
    licence: str
    archive: Path

    def content(self, name: str) -> bytes:
        """Return a file of the package; DataRefused where there is none."""
        try:
            if self.archive.suffix == ".whl":
                with zipfile.ZipFile(self.archive) as wheel:
                    return wheel.read(name)
            with tarfile.open(self.archive) as opened:
                file = opened.extractfile(f"{_FOLDER}/{name}")
                if file is not None:
                    return file.read()
        except (KeyError, OSError, tarfile.TarError, zipfile.BadZipFile):
            pass
        raise DataRefused(f"{self.name} {self.version} has no {name} any more.")

    def rows(self, name: str) -> Iterator[list[str]]:
        """Yield the rows of a CSV file of the package; DataRefused where there is none."""
        yield from csv.reader(io.TextIOWrapper(io.BytesIO(self.content(name)), "utf-8", newline=""))


def fetch(wanted: Wanted, into: Path) -> Package:
    """Get a package's newest version with its registry's client; DataRefused where that fails."""
    return _fetch_npm(wanted.name, into) if wanted.registry == "npm" else _fetch_wheel(wanted.name, into)


def find_package(wanted: Wanted, directory: Path) -> Package:
    """Return the newest archive of a package in a directory; DataRefused where there is none."""
    if wanted.registry == "npm":
        stem = wanted.name.replace("@", "").replace("/", "-")
        found, form = [*directory.glob(f"{stem}-[0-9]*.tgz")], f"{stem}-VERSION.tgz"
    else:
        stem = wanted.name.replace("-", "_")
        found, form = [*directory.glob(f"{stem}-[0-9]*.whl")], f"{stem}-VERSION-py3-none-any.whl"
    if not found:
        raise DataRefused(f"{directory} has no archive {form} of {wanted.name}.")
    packages = [read_package(wanted.name, archive) for archive in found]
    return max(packages, key=lambda package: _ordered(package.version))


def read_package(name: str, archive: Path) -> Package:
    """Return a package that is there already; DataRefused where the archive is another's or cannot be read."""
    try:
        said = _wheel_says(archive) if archive.suffix == ".whl" else _npm_says(archive)
    except (OSError, tarfile.TarError, zipfile.BadZipFile, LookupError, ValueError):
        kind = "a wheel" if archive.suffix == ".whl" else "an npm package"
        raise DataRefused(f"{archive} is no archive of {kind}.") from None
    if said["name"] != name:
        raise DataRefused(f"{archive} is the package {said['name']}, not {name}.")
    return Package(name, said["version"], said["licence"], archive)


def _npm_says(archive: Path) -> dict[str, str]:
    with tarfile.open(archive) as opened:
        file = opened.extractfile(f"{_FOLDER}/package.json")
        said = json.load(file) if file is not None else {}
    return {"name": str(said.get("name")), "version": str(said["version"]), "licence": str(said.get("license", ""))}


def _wheel_says(archive: Path) -> dict[str, str]:
    with zipfile.ZipFile(archive) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        said = HeaderParser().parsestr(wheel.read(name).decode("utf-8"))
    licence = said["License-Expression"] or said["License"] or ""
    return {"name": said["Name"], "version": said["Version"], "licence": licence}


def _fetch_npm(name: str, into: Path) -> Package:
    npm = shutil.which("npm")
    if npm is None:
        raise DataRefused("There is no npm here: install Node.js, or give the archives with --archives.")
    command = [npm, "pack", name, "--json", "--silent", "--ignore-scripts"]
    try:
        found = json.loads(_said(command, into))[0]["filename"]
    except (subprocess.SubprocessError, ValueError, LookupError) as error:
        raise DataRefused(f"npm could not get {name}: {_last_line(error)}") from None
    return read_package(name, into / str(found).replace("@", "").replace("/", "-"))


def _fetch_wheel(name: str, into: Path) -> Package:
    """Without what it depends on, and only as a wheel: nothing of the package runs."""
    command = [sys.executable, "-m", "pip", "download", name, "--no-deps", "--only-binary", ":all:", "--quiet"]
    try:
        _said([*command, "--disable-pip-version-check", "--dest", str(into)], into)
    except subprocess.SubprocessError as error:
        raise DataRefused(f"pip could not get {name}: {_last_line(error)}") from None
    return find_package(Wanted(name, "pypi"), into)


def _said(command: list[str], directory: Path) -> str:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=True, timeout=_SECONDS)
    return done.stdout


def _ordered(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))


def _last_line(error: Exception) -> str:
    said = getattr(error, "stderr", None) or str(error)
    lines = [line for line in str(said).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
