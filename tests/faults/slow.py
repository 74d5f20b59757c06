"""A TCP relay that holds answers back: what stands behind it is slow, or silent, as long as a test wants."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Self


class Relay:
    """Relays connections to ``port`` on loopback; every answer waits for ``hold_seconds``."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.hold_seconds = 0.0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)

    def __enter__(self) -> Self:
        """Listen on a free port."""
        self._thread.start()
        assert self._ready.wait(60), "the relay did not listen"
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._relay(client, to_client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relay(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Copy both ways until one side is done."""
        with contextlib.closing(to_client), contextlib.suppress(OSError):
            server, to_server = await asyncio.open_connection("127.0.0.1", self._target)
            with contextlib.closing(to_server):
                ways = [
                    asyncio.ensure_future(self._copy(client, to_server, answers=False)),
                    asyncio.ensure_future(self._copy(server, to_client, answers=True)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, answers: bool) -> None:
        while data := await source.read(65_536):
            if answers and self.hold_seconds:
                await asyncio.sleep(self.hold_seconds)
            target.write(data)
            await target.drain()
