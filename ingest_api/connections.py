"""HTTP connections that send an answer's head and body in one piece."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class _OnePiece:
    """A transport that gathers what is written within one turn of the event loop.

    uvicorn writes head and body apart; over TLS that is two records, two system calls and two packets an answer.
    """

    __slots__ = ("_inner", "_loop", "_waiting")

    def __init__(self, inner: asyncio.Transport) -> None:
        self._inner = inner
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send this with what follows in this turn."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(data)

    def close(self) -> None:
        """Close after what was written."""
        self._flush()
        self._inner.close()

    def _flush(self) -> None:
        if self._waiting:
            data = b"".join(self._waiting)
            self._waiting.clear()
            if not self._inner.is_closing():
                self._inner.write(data)

    def __getattr__(self, name: str) -> Any:
        """Leave everything else to the transport."""
        return getattr(self._inner, name)


class Connection(HttpToolsProtocol):
    """uvicorn's connection over such a transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin."""
        super().connection_made(_OnePiece(transport))  # type: ignore[arg-type] # it does what uvicorn asks of it
