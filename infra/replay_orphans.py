"""Namespaces of replays that stores have and this home does not: of another host, or of a home that was lost."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from typing import Final, NamedTuple

from clickhouse_driver import Client
from clickhouse_driver.errors import Error
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from redis.exceptions import RedisError

from flows.sinks.clickhouse import client_url
from flows.sinks.kafka import OutputTopics
from infra.clickhouse.migrate import one_line
from infra.replay_namespace import OWNER, ReplayNamespace
from infra.replay_run import RunRefused, every_store, namespace_of, said_plainly
from infra.settings import Settings
from replay.guards import reading_redis
from replay.namespace import NAME, Namespace, database_of

_SECONDS: Final = 5.0
_KEYS_AT_ONCE: Final = 10_000


class Orphans(NamedTuple):
    """What was found: by name, where. ``faults``: a sentence for each store that does not answer."""

    found: Mapping[str, tuple[str, ...]]
    faults: tuple[str, ...]


def orphans(settings: Settings, *, keys: bool = False) -> Orphans:
    """Look for namespaces without a directory here. ``keys``: among all keys of Redis too, which takes a while."""
    found: dict[str, list[str]] = {}
    faults: list[str] = []
    looks: list[tuple[str, Callable[[Settings], Iterable[tuple[str, str]]]]] = [
        ("Kafka", _topics), ("ClickHouse", _databases), *([("Redis", _prefixes)] if keys else []),
    ]  # fmt: skip
    for store, look in looks:
        try:
            for name, place in look(settings):
                if NAME.fullmatch(name) and not namespace_of(settings, name).directory.is_dir():
                    found.setdefault(name, []).append(place)
        except RedisError as error:  # its text may name the address with its password
            faults.append(
                f"{store} does not answer ({type(error).__name__}): what it has of other replays is not shown"
            )
        except (KafkaException, Error, OSError, EOFError) as error:
            said = error.args[0].str() if isinstance(error, KafkaException) else one_line(error)
            faults.append(f"{store} does not answer ({said}): what it has of other replays is not shown")
    return Orphans({name: tuple(sorted(places)) for name, places in sorted(found.items())}, tuple(faults))


def _topics(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.kafka.bootstrap is None:
        return
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap, "log_level": 0})
    form = re.compile(f"(?:{'|'.join(map(re.escape, OutputTopics()))})\\.([a-z0-9_]+)")
    for topic in admin.list_topics(timeout=_SECONDS).topics:
        if match := form.fullmatch(topic):
            yield match[1], f"topic {topic}"


def _databases(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.clickhouse.url is None:
        return
    begins = f"{database_of(settings.clickhouse.url)}_replay_"
    client = Client.from_url(client_url(settings.clickhouse.url, _SECONDS, _SECONDS))
    try:
        rows = client.execute(
            "SELECT name FROM system.databases WHERE startsWith(name, %(begins)s)", {"begins": begins}
        )
    finally:
        client.disconnect()
    for (name,) in rows:
        database = name.decode() if isinstance(name, bytes) else str(name)
        yield database.removeprefix(begins), f"database {database}"


def _prefixes(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.redis.url is None:
        return
    with closing(reading_redis(settings.redis.url, _SECONDS)) as client:
        for key in client.scan_iter(f"replay:*:{OWNER}", count=_KEYS_AT_ONCE):
            name = key.decode("utf-8", "replace").split(":")[1]
            yield name, f"keys replay:{name}:*"


def found_of(settings: Settings, name: str) -> list[str]:
    """Return what stores have of a namespace that is not kept here; RunRefused where it is, or nothing is there."""
    with said_plainly():
        found = ReplayNamespace(_not_here(settings, name), every_store(settings)).found()
    if not found:
        raise RunRefused(f"no store has anything of a replay {name}: `clickgoose replay list` names what there is")
    return found


def drop_orphan(settings: Settings, name: str, on_keys: Callable[[int], None] = lambda _: None) -> list[str]:
    """Remove what stores have of such a namespace, and return it; RunRefused as above."""
    found_of(settings, name)
    with said_plainly():
        return ReplayNamespace(_not_here(settings, name), every_store(settings)).drop(on_keys)


def _not_here(settings: Settings, name: str) -> Namespace:
    names = namespace_of(settings, name)
    if names.directory.exists():
        raise RunRefused(f"the replay {name} is kept here: drop it without --orphan")
    return names
