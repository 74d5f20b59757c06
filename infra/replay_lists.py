"""All lists at one moment, read from their copy in Redis and never followed: a replay must not restore what is live."""

from __future__ import annotations

from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from infra.settings import Settings
from infra.watchlists_clickhouse import ListChanges
from replay.guards import reading_redis
from scoring.rules.watchlist_copy import Command, CopyKeys, StoreAway, StoreLost
from scoring.rules.watchlist_load import load
from scoring.rules.watchlist_store import TruthAway
from scoring.rules.watchlist_table import Rows, no_columns
from scoring.rules.watchlists import ListName

_SECONDS = 5.0


class _ReadingPort:
    """One round trip at a time to Redis or Valkey, by a client that only reads; StoreAway where it does not answer."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._client.response_callbacks.clear()  # replies as they come

    def __call__(self, *commands: Command) -> list[Any]:
        pipe = self._client.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)  # type: ignore[no-untyped-call] # as redis-py is
        try:
            replies: list[Any] = pipe.execute(raise_on_error=False)
        except (RedisError, OSError) as error:
            raise StoreAway(f"Redis does not answer ({type(error).__name__})") from None
        return replies


def read_lists(settings: Settings) -> tuple[tuple[ListName, ...], Rows]:
    """Return the names of all lists, and their entries sorted; ValueError, in one sentence, where they are not known.

    Without Redis there are no lists.
    """
    if settings.redis.url is None:
        return (), no_columns().rows
    client = reading_redis(settings.redis.url, _SECONDS, protocol=2)
    try:
        found = load(_ReadingPort(client), CopyKeys("l"))
    except StoreLost:
        if _has_changes(settings):
            raise ValueError(
                "Redis has lost its copy of the lists: start a flow or the ingest tier, which restores it"
            ) from None
        return (), no_columns().rows
    except StoreAway as away:
        raise ValueError(f"the lists cannot be read: {away}") from None
    finally:
        client.close()
    return found.names, found.columns.rows


def _has_changes(settings: Settings) -> bool:
    """Return whether ClickHouse, which has the truth, knows of lists."""
    if settings.clickhouse.url is None:
        return False
    truth = ListChanges(settings.clickhouse.url)
    try:
        return next(truth.states(), None) is not None
    except TruthAway:
        return False
    finally:
        truth.close()
