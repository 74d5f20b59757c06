"""One round trip to Redis: commands sent at once, replies read in their order, and scripts taught where it lacks them.

On the connection itself: redis-py's pipeline takes twice the time for the same bytes. And in few writes: redis-py makes
one every 6 kB, after each of which a thread waits for its turn where others compute.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import hiredis
from redis import Redis
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.retry import Retry

Command = tuple[Any, ...]  # str, bytes, int and float
_WRITE_BYTES: Final = 1 << 16  # Redis begins while the rest is sent


class _Packer:
    """Packs a command as redis-py does, without a look at every argument: that took twice the time of the packing."""

    @staticmethod
    def pack(*words: Any) -> list[bytes]:
        name = words[0]
        if isinstance(name, str) and " " in name:  # redis-py sends "SCRIPT LOAD" as one argument
            words = (*name.split(), *words[1:])
        return [hiredis.pack_command(words)]


class _Pool(ConnectionPool):
    """Keeps one connection at hand, which counts as in use: giving out and taking back is half of a small trip."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._at_hand: list[Any] = []

    def get_connection(self, *words: Any, **options: Any) -> Any:
        """Return a connection that is open and has nothing to be read, or raise."""
        try:
            connection = self._at_hand.pop()
        except IndexError:
            return super().get_connection(*words, **options)
        if _is_quiet(connection):
            return connection
        connection.disconnect()  # the pool itself would give out one with a reply in it that nobody read
        super().release(connection)
        return super().get_connection(*words, **options)

    def release(self, connection: Any) -> None:
        """Take a connection back."""
        if self._at_hand or not _is_open(connection):
            super().release(connection)
        else:
            self._at_hand.append(connection)


def _is_open(connection: Any) -> bool:
    return connection._sock is not None and connection.pid == os.getpid() and not connection.should_reconnect()


def _is_quiet(connection: Any) -> bool:
    try:
        return _is_open(connection) and not connection.can_read()
    except (RedisError, OSError):
        return False


def connect(url: str, seconds: float = 2.0) -> Redis:
    """Return a client that waits for at most ``seconds`` wherever it waits, and does not try again by itself."""
    pool = _Pool.from_url(
        url,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
        decode_responses=False,
        command_packer=_Packer(),
    )
    return Redis.from_pool(pool)


def round_trip(client: Redis, commands: Sequence[Command]) -> list[Any]:
    """Return the reply to each command; what Redis refuses is a ResponseError in its place, not raised.

    RedisError or OSError where it is away, or slower than the client's time limits.
    """
    pool = client.connection_pool
    connection: Any = pool.get_connection()
    try:
        # The connection packs them, because there a replay checks what it may send.
        connection.send_packed_command(list(_writes(connection.pack_commands(commands))))
        return [_reply(connection) for _ in commands]
    except BaseException:  # what was not read would be taken for the reply to another command
        connection.disconnect()
        raise
    finally:
        pool.release(connection)


def scripted_trip(client: Redis, commands: Sequence[Command], script: bytes) -> list[Any]:
    """Return the reply to each command, as :func:`round_trip`; those that call a script are of this one.

    Where Redis does not know it, being new or restarted, it is told, and those commands alone are sent again.
    """
    replies = round_trip(client, commands)
    unknown = [at for at, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
    if unknown:
        taught = [("SCRIPT LOAD", script), *(commands[at] for at in unknown)]
        _, *again = round_trip(client, taught)
        for at, reply in zip(unknown, again, strict=True):
            replies[at] = reply
    return replies


def _writes(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join packed commands to writes of about ``_WRITE_BYTES``."""
    joined, held = list[bytes](), 0
    for piece in pieces:
        joined.append(piece)
        held += len(piece)
        if held >= _WRITE_BYTES:
            yield b"".join(joined)
            joined, held = [], 0
    if joined:
        yield b"".join(joined)


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as refused:
        return refused
