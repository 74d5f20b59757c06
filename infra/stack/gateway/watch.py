"""Ending what nobody waits for: queries whose client hung up, or asked for no more, while the engine was at work."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator

from infra.stack.gateway.engine import EngineError
from infra.stack.gateway.protocol import FromClient

log = logging.getLogger(__name__)

EVERY_SECONDS = 0.5


def readable(sock: socket.socket) -> bool:
    """Tell whether a read would return at once. Not by ``select``, which fails for descriptors above 1023."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def send(sock: socket.socket, data: bytes) -> None:
    """Send everything; the socket's timeout bounds the time without progress, not the whole."""
    rest = memoryview(data)
    while rest:
        rest = rest[sock.send(rest) :]


def _unwanted(sock: socket.socket) -> bool:
    """Tell whether the client left or sent a cancel, without taking anything from the socket."""
    try:
        return readable(sock) and sock.recv(1, socket.MSG_PEEK) in (b"", bytes([FromClient.CANCEL]))
    except OSError:
        return True


class Watch:
    """Looks after the queries that run longer than a moment; ``end`` kills a session's query by the session's mark."""

    def __init__(self, end: Callable[[str], None]) -> None:
        self._end = end
        self._running: dict[str, tuple[socket.socket, float]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def over(self, sock: socket.socket, mark: str) -> Iterator[None]:
        """Look after the query that runs in this block."""
        with self._lock:
            self._running[mark] = (sock, time.monotonic())
        try:
            yield
        finally:
            with self._lock:
                del self._running[mark]

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        """Look again and again; one failure is not the end of it."""
        while not self._stop.wait(EVERY_SECONDS):
            # Under the lock, so that a kill cannot meet the session's next query.
            with self._lock:
                oldest = time.monotonic() - EVERY_SECONDS
                for mark, (sock, since) in self._running.items():
                    if since < oldest and _unwanted(sock):
                        self._kill(mark)

    def _kill(self, mark: str) -> None:
        """End one query."""
        try:
            self._end(mark)
        except EngineError as error:
            log.warning("could not end a query that nobody waits for: %s", error)
