"""Watchlists and snoozes for the settings: who follows them in a process, and who changes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from prometheus_client import CollectorRegistry, Gauge
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from flows.stages.relate import NO_KEY
from infra.settings import Settings
from infra.watchlists_clickhouse import ListChanges
from scoring.rules.lists import Lists
from scoring.rules.watchlist_copy import Command, CopyKeys, StoreAway
from scoring.rules.watchlist_desk import ListDesk
from scoring.rules.watchlist_follower import FollowerState, ListFollower
from scoring.rules.watchlist_store import ListStore, TruthAway
from scoring.rules.watchlists import ListKeys

_SECONDS: Final = 2.0


class RedisPort:
    """One round trip to Redis or Valkey; StoreAway where it does not answer in time."""

    def __init__(self, url: str, seconds: float = _SECONDS) -> None:
        self._client = Redis.from_url(
            url, socket_timeout=seconds, socket_connect_timeout=seconds, retry=Retry(NoBackoff(), 1), protocol=2
        )
        self._client.response_callbacks.clear()  # replies as they come

    def __call__(self, *commands: Command) -> list[Any]:
        """Send commands and return their replies, in order; a refusal is an exception among them."""
        pipe = self._client.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)  # type: ignore[no-untyped-call] # as redis-py is
        try:
            replies: list[Any] = pipe.execute(raise_on_error=False)
        except (RedisError, OSError) as error:  # its text may name the address with its password
            raise StoreAway(f"Redis does not answer ({type(error).__name__})") from None
        return replies

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()


class FollowedLists:
    """The lists of a process: ``lists()`` gives them as they are known at that moment, without waiting.

    ``start`` begins to follow their changes; until they are read, the answer is that nobody knows.
    """

    def __init__(self, settings: Settings, *, prefix: str = "l") -> None:
        if settings.redis.url is None:
            raise ValueError("no Redis is known: run `clickgoose up`, or set CLICKGOOSE_REDIS__URL")
        self.keys = list_keys(settings)
        self._following, self.port = RedisPort(settings.redis.url), RedisPort(settings.redis.url)
        self.copy = CopyKeys(prefix)
        self.truth = ListChanges(settings.clickhouse.url) if settings.clickhouse.url else None
        self.store = ListStore(self.port, self.copy, self.truth) if self.truth else None
        restore = self._restore if self.store else None
        self.follower = ListFollower(self._following, self.copy, self.keys, restore)
        self.desk = ListDesk(self.keys, self.store, self.follower, self.truth) if self.store and self.truth else None

    def __call__(self) -> Lists:
        """Return the lists at this moment."""
        return self.follower()

    def start(self) -> None:
        """Begin to follow, in a thread."""
        self.follower.start()

    def close(self) -> None:
        """Stop following, and let go of the connections."""
        self.follower.close()
        for port in (self._following, self.port):
            port.close()
        if self.truth is not None:
            self.truth.close()

    def state(self) -> FollowerState:
        """Return what metrics show."""
        return self.follower.state()

    def _restore(self) -> None:
        assert self.store is not None  # noqa: S101 -- only then it is called
        try:
            self.store.restore()
        except TruthAway as away:
            raise StoreAway(f"the store has lost the lists, and {away}") from None


def followed_lists(settings: Settings, registry: CollectorRegistry | None = None) -> FollowedLists:
    """Return the lists of the settings; ValueError where no Redis is known. Call ``start`` and ``close``.

    ``registry``: where to publish how they are.
    """
    lists = FollowedLists(settings)
    if registry is not None:
        publish(lists.state, registry)
    return lists


def publish(state: Callable[[], FollowerState], registry: CollectorRegistry) -> None:
    """Publish the state of a process's lists."""
    shown: dict[str, tuple[str, Callable[[FollowerState], float]]] = {
        "loaded": ("1 when the lists have been read", lambda now: float(now.loaded)),
        "entries": ("Entries of all lists", lambda now: float(now.entries)),
        "bytes": ("Memory of all lists", lambda now: float(now.memory)),
        "behind_seconds": (
            "Since the store of the lists was last asked with success; NaN: never",
            lambda now: math.nan if now.behind_seconds is None else now.behind_seconds,
        ),
        "reloads": ("How often all lists were read anew", lambda now: float(now.reloads)),
    }
    for name, (what, read) in shown.items():
        Gauge(f"clickgoose_lists_{name}", what, registry=registry).set_function(partial(_read, state, read))


def _read(state: Callable[[], FollowerState], read: Callable[[FollowerState], float]) -> float:
    return read(state())


def list_keys(settings: Settings) -> ListKeys:
    """Return what makes digests of values."""
    key = settings.redis.entity_key
    return ListKeys(NO_KEY if key is None else key.get_secret_value().encode())


__all__: Sequence[str] = ("FollowedLists", "RedisPort", "followed_lists", "list_keys", "publish")
