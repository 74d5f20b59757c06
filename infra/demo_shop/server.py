"""Serving the shop on loopback."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from infra.demo_shop.app import ShopConfig, create_shop

HOST = "127.0.0.1"
_GRACE_SECONDS = 3


class _Server(uvicorn.Server):
    """A server that tells when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        if self.started:
            self._ready()


def serve_shop(config: ShopConfig, bound: socket.socket, ready: Callable[[], None]) -> bool:
    """Serve until SIGTERM or SIGINT; tell whether the start succeeded. Requests are not logged."""
    server = _Server(
        uvicorn.Config(
            create_shop(config),
            loop="uvloop",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        ),
        ready,
    )
    server.run(sockets=[bound])
    return server.started
