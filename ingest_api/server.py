"""Serving the application with uvicorn: bind, tell the address, drain on SIGTERM."""

from __future__ import annotations

import ctypes
import gc
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn

from ingest_api.app import IngestApp
from ingest_api.connections import Connection

GRACE_SECONDS = 10
_BACKLOG = 2_048
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_MAPPED_BYTES = 8 * 1024**2  # what is larger goes back to the system at once
_KEPT_BYTES = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class Tls:
    """Where certificate and key are, both in PEM."""

    certificate: Path
    key: Path


class Server(uvicorn.Server):
    """A server that tells when it is ready, and ends with code 0 after it drained."""

    def __init__(self, config: uvicorn.Config, app: IngestApp, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._app, self._ready = app, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """On a first signal drain; on a second one stop waiting. The signal is not raised again afterwards."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let long polls go first, or they would hold the process up."""
        self._app.parts.drain()
        await super().shutdown(sockets)


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket's address, taken; OSError where it is in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    bound.setblocking(False)
    return bound


def url_of(bound: socket.socket, tls: Tls | None) -> str:
    """Return the URL of a bound socket."""
    host, port = bound.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def _calm_collector() -> None:
    """Spare the collector what lives as long as the process: it took a tenth of the time.

    Requests leave hardly any cycles behind, so that a look at the young objects every 20,000 is often enough.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _keep_memory() -> None:
    """Have the C library keep what is freed, within a bound: bodies come and go by the megabyte.

    What it gives back and takes again is a fault for each page of 4 kB, a third of the time of a batch. Other
    libraries than glibc are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def serve(app: IngestApp, bound: socket.socket, tls: Tls | None, ready: Callable[[], None]) -> bool:
    """Serve until SIGTERM or SIGINT; tell whether the start succeeded. ``ready`` is called once requests are served."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_certfile=str(tls.certificate) if tls else None,
        ssl_keyfile=str(tls.key) if tls else None,
    )
    server = Server(config, app, ready)
    _calm_collector()
    _keep_memory()
    server.run(sockets=[bound])
    return server.started
