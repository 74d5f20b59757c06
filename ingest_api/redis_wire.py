"""Commands and replies of one connection to Redis, packed and parsed by hiredis.

The client makes the connection, with TLS, credentials and database as its URL says; its own pipelines spend some 25 µs
of Python on each command, which is more than all the rest of a decision's round trips.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError

_READ_BYTES: Final = 1 << 18
_MORE: Final = object()


class RedisWire:
    """Sends commands and returns their replies, one batch after another; refusals are replies."""

    def __init__(self, client: Redis) -> None:
        """A batch may take as long as the client may wait for a socket."""
        self._pool = client.connection_pool
        self._seconds: float | None = self._pool.connection_kwargs.get("socket_timeout")
        self._connection: AbstractConnection | None = None

    async def exchange(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Return one reply for each command. RedisError, OSError or TimeoutError where there are none.

        Where a connection was kept that has gone stale meanwhile, all is sent once more by a new one.
        """
        sent = b"".join([hiredis.pack_command(command) for command in commands])
        kept = self._connection is not None
        try:
            return await self._round_trip(sent, len(commands))
        except (RedisConnectionError, OSError) as error:
            if not kept or isinstance(error, TimeoutError):
                raise
            return await self._round_trip(sent, len(commands))

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)

    async def _round_trip(self, sent: bytes, count: int) -> list[Any]:
        try:
            async with asyncio.timeout(self._seconds):
                if self._connection is None:
                    self._connection = await self._pool.get_connection()  # type: ignore[no-untyped-call] # as redis-py is
                return await _replies(self._connection, sent, count)
        except BaseException:
            await self.close()  # replies that are still to come would be taken for those of later commands
            raise


async def _replies(connection: AbstractConnection, sent: bytes, count: int) -> list[Any]:
    # redis-py has no public way to its streams.
    stream, writer = connection._reader, connection._writer
    if stream is None or writer is None:
        raise RedisConnectionError("the connection is closed")
    writer.write(sent)
    reader = hiredis.Reader(notEnoughData=_MORE)
    found: list[Any] = []
    while len(found) < count:
        data = await stream.read(_READ_BYTES)
        if not data:
            raise RedisConnectionError("the connection was closed by the server")
        reader.feed(data)
        while (reply := reader.gets()) is not _MORE:
            found.append(reply)
    return found
