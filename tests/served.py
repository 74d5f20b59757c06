"""An ASGI application on a real socket of loopback, in a thread of the test's own process."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from ingest_api.server import bind, url_of

_SECONDS = 120.0  # only where a machine is very busy


@contextlib.contextmanager
def served(app: Any, bound: socket.socket | None = None) -> Iterator[str]:
    """Serve an application, on a free port or on ``bound``, and yield its URL."""
    taken = bound or bind("127.0.0.1", 0)
    config = uvicorn.Config(app, ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=_run(server, taken), daemon=True)
    thread.start()
    try:
        _wait_started(server, thread)
        yield url_of(taken, None)
    finally:
        server.should_exit = True
        thread.join(_SECONDS)
        taken.close()


def _run(server: uvicorn.Server, taken: socket.socket) -> Callable[[], None]:
    return lambda: server.run(sockets=[taken])


def _wait_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    pause = threading.Event()
    for _ in range(int(_SECONDS / 0.01)):
        if server.started:
            return
        assert thread.is_alive(), "the server ended at its start"
        pause.wait(0.01)
    raise AssertionError(f"the server did not start within {_SECONDS:.0f} s")
