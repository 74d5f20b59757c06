"""Commands and replies of one connection to Redis, packed by hiredis; replies stay as they came until one is looked at.

The client makes the connection, with TLS, credentials and database as its URL says; its own pipelines spend some 25 µs
of Python on each command, which is more than all the rest of a decision's round trips.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError

from ingest_api.redis_replies import Gathering, Replies
from scoring.rules.reply_loops import warm

Command = tuple[Any, ...] | bytes
"""A command's parts, or what packing them would give."""


class RedisWire:
    """Sends commands and returns their replies, one batch after another; refusals are replies."""

    def __init__(self, client: Redis) -> None:
        """A batch may take as long as the client may wait for a socket."""
        warm()
        self._pool = client.connection_pool
        self._seconds: float | None = self._pool.connection_kwargs.get("socket_timeout")
        self._connection: AbstractConnection | None = None
        self._stream: _Stream | None = None

    async def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Return one reply for each command, as objects."""
        return (await self.replies(commands)).parsed(0, len(commands))

    async def replies(self, commands: Sequence[Command]) -> Replies:
        """Return one reply for each command. RedisError, OSError or TimeoutError where there are none.

        Where a connection was kept that has gone stale meanwhile, all is sent once more by a new one.
        """
        sent = b"".join([one if isinstance(one, bytes) else hiredis.pack_command(one) for one in commands])
        kept = self._stream is not None
        try:
            return await self._round_trip(sent, len(commands))
        except (RedisConnectionError, OSError) as error:
            if not kept or isinstance(error, TimeoutError):
                raise
            return await self._round_trip(sent, len(commands))

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            connection, self._connection, self._stream = self._connection, None, None
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)

    async def _round_trip(self, sent: bytes, count: int) -> Replies:
        try:
            async with asyncio.timeout(self._seconds):
                if self._stream is None:
                    self._connection = await self._pool.get_connection()  # type: ignore[no-untyped-call] # as redis-py is
                    self._stream = _Stream(self._connection)
                return await self._stream.exchange(sent, count)
        except BaseException:
            await self.close()  # replies that are still to come would be taken for those of later commands
            raise


class _Stream(asyncio.Protocol):
    """Takes a connection's transport over from the client, whose stream would wake a task for every piece."""

    def __init__(self, connection: AbstractConnection) -> None:
        # redis-py has no public way to its streams.
        writer = connection._writer
        if writer is None:
            raise RedisConnectionError("the connection is closed")
        self._transport: Any = writer.transport
        self._before = self._transport.get_protocol()
        self._gathering: Gathering | None = None
        self._answered: asyncio.Future[Replies] | None = None
        self._transport.set_protocol(self)

    def exchange(self, sent: bytes, count: int) -> asyncio.Future[Replies]:
        """Send, and return a future of the replies; one at a time."""
        self._answered = asyncio.get_running_loop().create_future()
        self._gathering = Gathering(count)
        if self._transport.is_closing():
            self._fail("the connection is closed")
        else:
            self._transport.write(sent)
        return self._answered

    def data_received(self, data: bytes) -> None:
        """Take in a piece of the replies."""
        if self._gathering is None:
            self._transport.abort()  # nobody asked: what comes next would be taken for an answer
            return
        try:
            found = self._gathering.feed(data)
        except ValueError as error:
            self._fail(str(error))
            self._transport.abort()
            return
        if found is not None:
            self._gathering = None
            if self._answered is not None and not self._answered.done():
                self._answered.set_result(found)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what waits, and tell the client's stream, which may wait for the end."""
        self._fail("the connection was closed by the server")
        self._before.connection_lost(exc)

    def _fail(self, said: str) -> None:
        self._gathering = None
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(RedisConnectionError(said))
