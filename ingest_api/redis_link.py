"""One way to Redis: what many requests ask at the same time travels in one pipeline; an outage is known at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import hiredis
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from ingest_api.redis_replies import Replies
from ingest_api.redis_wire import Command, RedisWire

__all__ = ["Command", "RedisAway", "RedisLink", "connect"]
_TIMEOUT_SECONDS = 0.5
_AWAY_SECONDS = 1.0
_MOST_COMMANDS = 2_000


class RedisAway(Exception):
    """Redis does not answer, or refuses; it is asked again after a second."""


def connect(url: str, seconds: float = _TIMEOUT_SECONDS) -> Redis:
    """Return a client that waits so long at most, and makes one immediate retry for a connection that went stale."""
    return Redis.from_url(
        url,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 1),
        max_connections=8,
        protocol=2,
    )


_Asked = tuple[Sequence[Command], "asyncio.Future[Any]", bool]
"""Commands that were asked together, the future of their answers, and whether these are handed out as they came."""


class RedisLink:
    """Coalesces commands: while one pipeline is under way, the next one fills up."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._wire = RedisWire(client) if isinstance(client, Redis) else None
        self._queue: list[_Asked] = []
        self._flusher: asyncio.Task[None] | None = None
        self._away_until = 0.0
        self._last_away = float("-inf")

    def was_away(self, seconds: float) -> bool:
        """Tell whether Redis was found away within the last ``seconds``."""
        return time.monotonic() - self._last_away < seconds

    def send(self, *commands: Command) -> asyncio.Future[list[Any]]:
        """Return a future of the answers, in order; it fails with RedisAway."""
        return self._queued(commands, raw=False)

    def send_raw(self, commands: Sequence[Command]) -> asyncio.Future[Replies | list[Any]]:
        """Do the same, but leave the answers as they came, where the client can."""
        return self._queued(commands, raw=self._wire is not None)

    def _queued(self, commands: Sequence[Command], raw: bool) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if time.monotonic() < self._away_until:
            future.set_exception(RedisAway())
            return future
        self._queue.append((commands, future, raw))
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush(), name="redis-link")
        return future

    async def _flush(self) -> None:
        while self._queue:
            taken = self._take()
            try:
                commands = [command for some, _, _ in taken for command in some]
                if self._wire is not None:
                    _settle_raw(taken, await self._wire.replies(commands))
                else:
                    _settle(taken, await self._execute([_parts(command) for command in commands]))
            except (RedisError, OSError, TimeoutError):
                self._fail(taken)

    def _take(self) -> list[_Asked]:
        """Take whole requests up to a bound."""
        count = 0
        for index, (commands, _, _) in enumerate(self._queue):
            count += len(commands)
            if count > _MOST_COMMANDS and index:
                taken, self._queue = self._queue[:index], self._queue[index:]
                return taken
        taken, self._queue = self._queue, []
        return taken

    async def _execute(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        if len(commands) == 1:
            try:
                answered: Any = self._client.execute_command(*commands[0])  # type: ignore[no-untyped-call] # as redis-py is
                return [await answered]
            except ResponseError as refused:  # as a pipeline hands it out
                return [refused]
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return await pipeline.execute(raise_on_error=False)

    def _fail(self, taken: Sequence[_Asked]) -> None:
        """Fail what was asked and what waits: the next second needs no attempt."""
        self._last_away = time.monotonic()
        self._away_until = self._last_away + _AWAY_SECONDS
        waiting, self._queue = self._queue, []
        for _, future, _ in (*taken, *waiting):
            if not future.done():
                future.set_exception(RedisAway())

    async def alive(self) -> bool:
        """Tell whether Redis answers."""
        try:
            await self.send(("PING",))
        except RedisAway:
            return False
        return True

    async def close(self) -> None:
        """Close the connections, after what is under way."""
        if self._flusher is not None:
            await self._flusher
        if self._wire is not None:
            await self._wire.close()
        await self._client.aclose()


def _parts(command: Command) -> tuple[Any, ...]:
    """Return a command that was packed as its parts."""
    if not isinstance(command, bytes):
        return command
    reader = hiredis.Reader()  # a packed command looks like a reply
    reader.feed(command)
    return tuple(reader.gets())


def _settle_raw(taken: Sequence[_Asked], answers: Replies) -> None:
    """Hand the answers out; a refused command fails its own request only."""
    at, refusals = 0, answers.has_refusal()
    for commands, future, raw in taken:
        first, at = at, at + len(commands)
        if future.done():
            continue
        if refusals and answers.part(first, at).has_refusal():
            future.set_exception(RedisAway())
        else:
            future.set_result(answers.part(first, at) if raw else answers.parsed(first, at))


def _settle(taken: Sequence[_Asked], answers: list[Any]) -> None:
    """Do the same for answers that are objects."""
    at, refusals = 0, _has_refusal(answers)
    for commands, future, _ in taken:
        mine = answers[at : at + len(commands)]
        at += len(commands)
        if future.done():
            continue
        if refusals and _has_refusal(mine):
            future.set_exception(RedisAway())
        else:
            future.set_result(mine)


def _has_refusal(answers: list[Any]) -> bool:
    """Tell whether Redis refused any command. Types are few, and answers many."""
    return any(issubclass(kind, Exception) for kind in set(map(type, answers)))
