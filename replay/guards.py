"""Clients of a replay that refuse, before anything is sent, whatever lies outside its namespace.

They sit where nothing goes past them: at the producer itself, at the Redis connection that packs every command, of
pipelines too, and at the ClickHouse client's own ``execute``. The sinks above them are the flow's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from clickhouse_driver import Client
from confluent_kafka import Producer
from redis import Redis
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.retry import Retry

from replay.namespace import Namespace


class OutsideNamespace(Exception):
    """A replay was about to touch what is not its own: a bug of ours. Nothing was sent."""


class GuardedProducer(Producer):
    """Produces to the topics of one namespace."""

    def __init__(self, config: dict[str, Any], topics: Iterable[str]) -> None:
        self._own = frozenset(topics)
        super().__init__(config)

    def produce(self, topic: str, *args: Any, **options: Any) -> None:
        """Produce a record; OutsideNamespace where the topic is not the run's own."""
        self._check(topic)
        super().produce(topic, *args, **options)

    def produce_batch(self, topic: str, *args: Any, **options: Any) -> Any:
        """Produce records; the same."""
        self._check(topic)
        return super().produce_batch(topic, *args, **options)

    def _check(self, topic: str) -> None:
        if topic not in self._own:
            raise OutsideNamespace(f"a replay does not write to topic {topic}")


def producer_maker(namespace: Namespace) -> Callable[[dict[str, Any]], Producer]:
    """Return what makes the producers of a run."""
    return lambda config: GuardedProducer(config, namespace.topics)


# Commands by where their keys are. What is not here is not sent: a replay needs nothing else.
_NO_KEYS: Final = frozenset({b"PING", b"HELLO", b"AUTH", b"SELECT", b"CLIENT", b"QUIT", b"MULTI", b"EXEC"})
_ONE_KEY: Final = frozenset({
    b"GET", b"SET", b"TTL", b"PTTL", b"TYPE", b"EXPIRE", b"STRLEN", b"HGETALL", b"HGET", b"HMGET", b"HLEN",
    b"ZCOUNT", b"ZRANGEBYSCORE", b"ZREVRANGEBYSCORE", b"ZRANGE", b"ZREVRANGE", b"ZRANK", b"ZCARD", b"ZMSCORE",
    b"ZSCORE", b"XRANGE",
})  # fmt: skip
_ALL_KEYS: Final = frozenset({b"MGET", b"EXISTS", b"DEL", b"UNLINK"})
_SCRIPTS: Final = frozenset({b"EVALSHA", b"EVAL"})
_READS: Final = frozenset(
    {b"GET", b"MGET", b"TTL", b"PTTL", b"EXISTS", b"HGETALL", b"HSCAN", b"SCAN", b"TYPE", b"STRLEN"}
)


def connect_redis(url: str, check: Callable[[Sequence[Any]], None], seconds: float = 2.0, **options: Any) -> Redis:
    """Return a client every command of which is checked where it is packed; its waits are bounded."""
    usual = {
        "socket_timeout": seconds, "socket_connect_timeout": seconds, "retry": Retry(NoBackoff(), 0),
        "decode_responses": False,
    }  # fmt: skip
    pool = ConnectionPool.from_url(url, **(usual | options))
    pool.connection_class = _guarded(pool.connection_class, check)
    return Redis(connection_pool=pool)


def own_redis(url: str, namespace: Namespace, seconds: float = 2.0, **options: Any) -> Redis:
    """Return a client that touches keys of the namespace alone."""
    prefix = namespace.prefix.encode()

    def check(command: Sequence[Any]) -> None:
        for key in keys_of(command):
            if not key.startswith(prefix):
                raise OutsideNamespace(f"a replay does not touch keys without its prefix {namespace.prefix}")

    return connect_redis(url, check, seconds, **options)


def reading_redis(url: str, seconds: float = 2.0, **options: Any) -> Redis:
    """Return a client that only reads: for the digest of what is live."""

    def check(command: Sequence[Any]) -> None:
        name = _name_of(command)
        if name not in _READS and name not in _NO_KEYS:
            raise OutsideNamespace(f"a replay only reads what is live, and does not send {name.decode()}")

    return connect_redis(url, check, seconds, **options)


def keys_of(command: Sequence[Any]) -> list[bytes]:
    """Return the keys of a command, a pattern of SCAN too; OutsideNamespace for a command that is not known here."""
    name, arguments = _name_of(command), command[1:]
    if name in _NO_KEYS:
        return []
    if name in _ONE_KEY:
        return [_bytes(arguments[0])]
    if name in _ALL_KEYS:
        return list(map(_bytes, arguments))
    if name in _SCRIPTS:
        count = int(_bytes(arguments[1]))
        if count < 1:
            raise OutsideNamespace("a replay runs no script without keys")
        return list(map(_bytes, arguments[2 : 2 + count]))
    if name == b"SCRIPT" and _second(command) == b"LOAD":
        return []
    if name == b"SCAN":
        words = [_bytes(word) for word in arguments]
        place = [word.upper() for word in words].index(b"MATCH") if b"MATCH" in {w.upper() for w in words} else -1
        return [words[place + 1] if place >= 0 else b""]
    raise OutsideNamespace(f"a replay does not send {name.decode('ascii', 'replace')}")


def _guarded(connection: Any, check: Callable[[Sequence[Any]], None]) -> type[Any]:
    """Return a class of connections that checks before it packs."""

    class Guarded(connection):  # type: ignore[misc] # whichever the address needs: TCP, TLS or a socket
        def send_command(self, *args: Any, **options: Any) -> Any:
            check(args)
            return super().send_command(*args, **options)

        def pack_command(self, *args: Any) -> Any:
            check(args)
            return super().pack_command(*args)

        def pack_commands(self, commands: Iterable[Sequence[Any]]) -> Any:
            listed = list(commands)
            for command in listed:
                check(command)
            return super().pack_commands(listed)

    return Guarded


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    return str(value).encode()


def _name_of(command: Sequence[Any]) -> bytes:
    return _bytes(command[0]).split()[0].upper()


def _second(command: Sequence[Any]) -> bytes:
    """Return the second word: redis-py sends "SCRIPT LOAD" as one argument."""
    words = _bytes(command[0]).split()
    return (words[1] if len(words) > 1 else _bytes(command[1])).upper()


_INSERT: Final = re.compile(r"INSERT INTO [a-z][a-z0-9_]* \(")
_PROBE: Final = "SELECT 1"


class GuardedClickHouse(Client):  # type: ignore[misc] # the driver has no types
    """Inserts into tables of the namespace's database, by their own names, and does nothing else."""

    _database = ""  # set by ``clickhouse_maker``: none is refused

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        found = self.connection.database
        if not self._database or found != self._database:
            raise OutsideNamespace(f"a replay does not open the database {found}")

    def execute(self, query: str, *args: Any, **options: Any) -> Any:
        """Insert or probe; OutsideNamespace where it is anything else, or names another database."""
        if query != _PROBE and not _INSERT.match(query):
            raise OutsideNamespace("a replay inserts into tables of its own database, and nothing else")
        return super().execute(query, *args, **options)

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise OutsideNamespace("a replay inserts into tables of its own database, and nothing else")

    execute_iter = execute_with_progress = insert_dataframe = query_dataframe = _refuse


def clickhouse_maker(namespace: Namespace) -> Callable[[str], Client]:
    """Return what opens the ClickHouse clients of a run."""

    class Own(GuardedClickHouse):
        _database = namespace.database

    return Own.from_url
