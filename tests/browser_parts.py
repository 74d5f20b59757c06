"""What the browser tests need beyond the lock file: Chromium, Firefox, Node and the driver's own packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

DRIVER = Path(__file__).parent / "browsers"
# program -> (names it goes by, Debian package)
PROGRAMS = {
    "chromium": (("chromium", "chromium-browser", "google-chrome"), "chromium"),
    "firefox": (("firefox-esr", "firefox"), "firefox-esr"),
    "node": (("node",), "nodejs"),
    "npm": (("npm",), "npm"),
}
_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the programs are."""

    chromium: str
    firefox: str
    node: str


def need_browsers() -> Programs:
    """Return the programs; install what is missing where that can be done, as root on Debian, saying so.

    Elsewhere the tests end with one line that says what to install: a browser test that is skipped proves nothing.
    """
    if missing := _missing():
        packages = [PROGRAMS[name][1] for name in missing]
        if os.geteuid() == 0 and shutil.which("apt-get"):
            sys.stderr.write(f"no {', '.join(missing)} here: installing {' '.join(packages)} with apt-get\n")
            for words in (("update",), ("install", "--yes", "--no-install-recommends", *packages)):
                subprocess.run(
                    ["apt-get", "--quiet=2", *words], check=False, timeout=_SECONDS, stdin=subprocess.DEVNULL
                )
        if still := _missing():
            packages = [PROGRAMS[name][1] for name in still]
            pytest.exit(f"The browser tests need {', '.join(still)}: install {' '.join(packages)}.", returncode=1)
    _need_driver()
    return Programs(*(str(_found(name)) for name in ("chromium", "firefox", "node")))


def _missing() -> list[str]:
    return [name for name in PROGRAMS if _found(name) is None]


def _found(program: str) -> str | None:
    return next((path for name in PROGRAMS[program][0] if (path := shutil.which(name))), None)


def _need_driver() -> None:
    """Install the driver's packages as its lock file says, unless they are there."""
    lock, installed = DRIVER / "package-lock.json", DRIVER / "node_modules" / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    sys.stderr.write("installing the browser driver's packages with npm\n")
    ended = subprocess.run(
        ["npm", "ci", "--no-progress"], cwd=DRIVER, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["no word from npm"])[-1]
        pytest.exit(f"The browser tests need the packages of {DRIVER / 'package-lock.json'}: {last}", returncode=1)
