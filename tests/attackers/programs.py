"""Runs what the visits need: programs of Debian, packages of npm, an X server; and ends what it started, by its id."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

FOLDER = Path(__file__).parent
# program -> Debian package
PROGRAMS = {
    "chromium": "chromium",
    "chromium-headless-shell": "chromium-headless-shell",
    "chromedriver": "chromium-driver",
    "firefox-esr": "firefox-esr",
    "node": "nodejs",
    "Xvfb": "xvfb",
    "xdotool": "xdotool",
    "openbox": "openbox",
}
SCREEN = (1920, 1080)
_LEAST_NODE = 20  # Playwright's
_START_SECONDS = 20.0
_END_SECONDS = 8.0


class ProgramError(Exception):
    """A program is missing or failed; the text says which and what to do."""


def need_programs() -> dict[str, str]:
    """Return where each program is. ProgramError names the packages that are missing."""
    found = {name: shutil.which(name) for name in PROGRAMS}
    missing = sorted({PROGRAMS[name] for name, path in found.items() if path is None})
    if missing:
        raise ProgramError(f"The live attackers need Debian packages: apt-get install {' '.join(missing)}")
    if not (FOLDER / "node_modules" / ".package-lock.json").exists():
        raise ProgramError("The live attackers need their npm packages: run make test-attackers, which installs them.")
    programs = {name: path for name, path in found.items() if path is not None}
    said = subprocess.run([programs["node"], "--version"], capture_output=True, text=True, check=True).stdout
    if int(said.strip().lstrip("v").partition(".")[0]) < _LEAST_NODE:
        raise ProgramError(f"The live attackers need Node {_LEAST_NODE} or newer; here is {said.strip()}: install it.")
    return programs


@contextlib.contextmanager
def running(argv: Sequence[str], env: Mapping[str, str], **streams: int) -> Iterator[subprocess.Popen[str]]:
    """Run a program in a session of its own; at the end it and all of its children are gone."""
    given: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        **streams,
    }
    process = subprocess.Popen(argv, env=dict(env), cwd=FOLDER, text=True, start_new_session=True, **given)
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    family = []
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
    if process.poll() is None:
        process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_END_SECONDS)
    # Browsers detach some of their children: what is left of the session goes by its id.
    orphans = [one for one in psutil.process_iter() if _session_of(one.pid) == process.pid]
    for one in {process.pid: process, **{one.pid: one for one in (*family, *orphans)}}.values():
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            one.kill()
    process.wait(_END_SECONDS)
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _session_of(pid: int) -> int:
    with contextlib.suppress(OSError):
        return os.getsid(pid)
    return -1


@contextlib.contextmanager
def display() -> Iterator[str]:
    """Run an X server with a window manager, as a person's desktop has one; yield the display's name."""
    number = next(n for n in range(90, 190) if not Path(f"/tmp/.X{n}-lock").exists())  # noqa: S108 - where X keeps it
    name = f":{number}"
    env = {**os.environ, "DISPLAY": name}
    server = ["Xvfb", name, "-screen", "0", f"{SCREEN[0]}x{SCREEN[1]}x24", "-nolisten", "tcp"]
    with running(server, env):
        until = time.monotonic() + _START_SECONDS
        while subprocess.run(["xdotool", "getmouselocation"], env=env, capture_output=True, check=False).returncode:
            if time.monotonic() > until:
                raise ProgramError("Xvfb did not start: run Xvfb :90 by hand and read what it says.")
            time.sleep(0.1)
        with running(["openbox", "--sm-disable"], env):
            time.sleep(0.5)
            yield name


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """Yield a port of loopback that is taken and at which nobody listens: the way out of every browser here."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        yield port
