"""For tests of the ingest tier over real sockets, in this process: what connections answer, byte for byte."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

import uvicorn
from uvicorn.server import ServerState

from ingest_api.app import IngestApp
from ingest_api.connections import Connection
from tests.waiting import soon

DATE = b"Sun, 22 Nov 2026 21:00:00 GMT"
QUIET = 0.01  # seconds without an answer, and nothing under way: all is said


class Wire:
    """A tier behind real sockets."""

    def __init__(self, app: IngestApp, port: int, state: ServerState) -> None:
        self.app, self.port, self.state = app, port, state

    async def talk(self, pieces: Iterable[bytes], patience: int = 20) -> bytes:
        """Send pieces, each when all before is answered; return what came, and whether the server closed.

        ``patience``: how often nothing may come while something is under way, which may wait for the next piece.
        """
        known = set(self.state.connections)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        await soon(lambda: self.state.connections - known)
        read = b""
        for piece in pieces:
            writer.write(piece)
            read += await self._until_quiet(reader, patience)
        closed = reader.at_eof()
        writer.close()
        return read + (b" and closed" if closed else b"")

    async def _until_quiet(self, reader: asyncio.StreamReader, patience: int) -> bytes:
        read, quiet = b"", 0
        while not reader.at_eof() and quiet < 2:  # what was written before the first may arrive after it
            try:
                read += await asyncio.wait_for(reader.read(1 << 16), QUIET)
            except TimeoutError:
                patience -= 1
                quiet = 0 if self.state.tasks and patience > 0 else quiet + 1
        return read

    async def takes_on(self) -> None:
        """Return once a request is under way."""
        await soon(lambda: bool(self.state.tasks))
        await asyncio.sleep(QUIET)

    def counts(self) -> dict[tuple[str, ...], float]:
        """Return how often each route gave each status, and other counts of requests."""
        return {
            (one.name, *sorted(f"{name}={value}" for name, value in one.labels.items())): one.value
            for family in self.app.parts.metrics.registry.collect()
            for one in family.samples
            if one.name.endswith("_total") and one.value
        }


@contextlib.asynccontextmanager
async def wired(app: IngestApp, by_itself: bool) -> AsyncIterator[Wire]:
    """Serve a tier that runs, by connections that answer some requests themselves, or that leave all to uvicorn."""
    if not by_itself:
        app.whole_posts = {}
    config = uvicorn.Config(
        app, http=Connection, ws="none", log_config=None, access_log=False, proxy_headers=False, lifespan="off"
    )
    config.load()
    state = ServerState()
    state.default_headers = [(b"date", DATE)]

    def connect() -> Connection:
        return Connection(config=config, server_state=state, app_state={})

    server = await asyncio.get_running_loop().create_server(connect, "127.0.0.1", 0)
    try:
        yield Wire(app, server.sockets[0].getsockname()[1], state)
    finally:
        server.close()
        for one in list(state.connections):
            one.transport.close()
