"""Makes what a replay writes into, and removes it: topics, a database, keys and a directory of its own."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from clickhouse_driver import Client
from clickhouse_driver.errors import Error
from confluent_kafka import KafkaError, KafkaException
from redis.exceptions import RedisError

from flows.sinks.kafka import OutputTopics
from infra.clickhouse.migrate import MigrationError, migrate, one_line
from infra.settings import KafkaSettings
from infra.topics import create_topics, delete_topics, present_topics, replay_topics
from replay.guards import own_redis
from replay.namespace import Namespace, Part, database_of
from replay.run_record import FILE

_SECONDS = 10.0
_KEYS_AT_ONCE = 5_000
OWNER = "run"
"""The Redis key, after the prefix, that says which run the prefix belongs to."""


class NamespaceRefused(Exception):
    """The names cannot be had, or cannot be removed; the message is one sentence. Nothing was left behind."""


@dataclass(frozen=True, slots=True)
class Stores:
    """Where the namespace lies: what is empty is not used."""

    kafka: str = ""
    redis: str = field(default="", repr=False)
    clickhouse: str = field(default="", repr=False)  # the live address
    kafka_settings: KafkaSettings = field(default_factory=KafkaSettings)

    def of(self, parts: frozenset[Part]) -> Stores:
        """Return those of some parts alone."""
        return Stores(
            self.kafka if Part.KAFKA in parts else "",
            self.redis if Part.REDIS in parts else "",
            self.clickhouse if Part.CLICKHOUSE in parts else "",
            self.kafka_settings,
        )


class ReplayNamespace:
    """The names of one run in the stores that it uses."""

    def __init__(self, names: Namespace, stores: Stores) -> None:
        self.names, self._stores = names, stores
        check_not_live(names, stores)

    def found(self) -> list[str]:
        """Return which of the names are taken, for people; NamespaceRefused where a store does not say."""
        with _said_plainly():
            found = [f"topic {name}" for name in self._topics()]
            if self._has_database():
                found.append(f"database {self.names.database}")
            if (owner := self.owner()) is not None:
                found.append(f"keys {self.names.prefix}* of a run on {owner.get('host', 'another host')}")
            return found

    def owner(self) -> dict[str, str] | None:
        """Return what the run that has the prefix said of itself."""
        if not self._stores.redis:
            return None
        with self._redis() as client:
            said = client.get(self.names.prefix + OWNER)
        return None if said is None else _read(said)

    def create(self, run: str, partitions: int) -> None:
        """Make all names for a run; what could be made of them is removed where others cannot be."""
        undo: list[Callable[[], None]] = []
        try:
            with _said_plainly():
                if self._stores.redis:
                    self._claim_prefix(run)
                    undo.append(self._give_back_prefix)
                if self._stores.kafka:
                    undo.append(self._create_topics(partitions))
                if self._stores.clickhouse:
                    self._create_database()
                    undo.append(self._drop_database)
                    migrate(self.names.clickhouse_url(self._stores.clickhouse))
        except BaseException:
            for step in reversed(undo):
                step()
            raise

    def drop(self, on_keys: Callable[[int], None] = lambda _: None) -> list[str]:
        """Remove topics, database and keys; return what was there."""
        with _said_plainly():
            topics = self._topics()
            if topics:
                delete_topics(self._stores.kafka, topics)
            said = [f"topic {name}" for name in topics]
            if self._has_database():
                self._drop_database()
                said.append(f"database {self.names.database}")
            if deleted := self._delete_keys(on_keys):
                said.append(f"{deleted} keys {self.names.prefix}*")
            return said

    # Kafka.

    def _topics(self) -> list[str]:
        return present_topics(self._stores.kafka, self.names.topics) if self._stores.kafka else []

    def _create_topics(self, partitions: int) -> Callable[[], None]:
        """Create the topics; return what removes them. None may be there: they would be another run's."""
        stores, wanted = self._stores, replay_topics(self.names.topics)
        refused = create_topics(stores.kafka, wanted, partitions, stores.kafka_settings)
        made = [topic.name for topic in wanted if topic.name not in refused]
        if refused:
            if made:
                delete_topics(stores.kafka, made)
            name, error = next(iter(refused.items()))
            if error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
                raise NamespaceRefused(in_use(self.names.name, [f"topic {name}"]))
            raise NamespaceRefused(f"Kafka does not create the topic {name}: {error.str()}")
        return lambda: delete_topics(stores.kafka, made)

    # ClickHouse.

    def _has_database(self) -> bool:
        if not self._stores.clickhouse:
            return False
        with self._server() as client:
            found = client.execute(
                "SELECT count() FROM system.databases WHERE name = %(name)s", {"name": self.names.database}
            )
        return bool(found[0][0])

    def _create_database(self) -> None:
        with self._server() as client:
            try:
                client.execute(f"CREATE DATABASE `{self.names.database}`")
            except Error as error:
                if getattr(error, "code", None) == 82:  # DATABASE_ALREADY_EXISTS
                    raise NamespaceRefused(in_use(self.names.name, [f"database {self.names.database}"])) from error
                raise

    def _drop_database(self) -> None:
        with self._server() as client:
            client.execute(f"DROP DATABASE IF EXISTS `{self.names.database}` SYNC")

    @contextmanager
    def _server(self) -> Iterator[Client]:
        url = urlunsplit(urlsplit(self._stores.clickhouse)._replace(path="/default"))
        client = Client.from_url(url)
        try:
            yield client
        finally:
            client.disconnect()

    # Redis.

    def _claim_prefix(self, run: str) -> None:
        said = json.dumps({"run": run, "host": socket.gethostname()})
        with self._redis() as client:
            if not client.set(self.names.prefix + OWNER, said, nx=True):
                raise NamespaceRefused(in_use(self.names.name, [f"keys {self.names.prefix}*"]))

    def _give_back_prefix(self) -> None:
        self._delete_keys()

    def _delete_keys(self, on_keys: Callable[[int], None] = lambda _: None) -> int:
        if not self._stores.redis:
            return 0
        deleted, some = 0, []
        owner = (self.names.prefix + OWNER).encode()
        with self._redis() as client:
            for key in client.scan_iter(f"{self.names.prefix}*", count=_KEYS_AT_ONCE):
                if key == owner:
                    continue  # the last: until then the prefix is somebody's
                some.append(key)
                if len(some) >= _KEYS_AT_ONCE:
                    deleted += int(client.unlink(*some))
                    some = []
                    on_keys(deleted)
            deleted += int(client.unlink(*some, owner))
        return deleted

    def _redis(self) -> closing[Any]:
        return closing(own_redis(self._stores.redis, self.names, _SECONDS))


def check_not_live(names: Namespace, stores: Stores) -> None:
    """Refuse names that are live, however they came about."""
    live_database = database_of(stores.clickhouse) if stores.clickhouse else ""
    if (
        set(names.topics) & set(OutputTopics())
        or names.database in (live_database, "default", "system")
        or not names.database.endswith(f"_replay_{names.name}")
        or names.prefix != f"replay:{names.name}:"
        or names.directory.name != names.name
    ):
        raise NamespaceRefused(f"{names.name} would be a live name: nothing was touched")


def in_use(name: str, found: list[str]) -> str:
    """Return the sentence for names that somebody else has."""
    return (
        f"the namespace {name} is in use by a run that is not kept here, perhaps another host's ({', '.join(found)}): "
        "choose another name, or drop it where it is kept"
    )


def remove_directory(path: Path) -> None:
    """Remove a run's directory, its record last: until then the run can be dropped again."""
    for child in path.iterdir():
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        elif child.name != FILE:
            child.unlink()
    shutil.rmtree(path)


def _read(said: bytes) -> dict[str, str]:
    try:
        found = json.loads(said)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def _said_plainly() -> Iterator[None]:
    """Turn what a store says into one sentence."""
    try:
        yield
    except KafkaException as error:
        raise NamespaceRefused(f"Kafka does not answer: {error.args[0].str()}") from error
    except RedisError as error:  # its text may name the address with its password
        raise NamespaceRefused(f"Redis does not answer ({type(error).__name__})") from None
    except MigrationError as error:
        raise NamespaceRefused(str(error)) from error
    except (Error, OSError, EOFError) as error:
        raise NamespaceRefused(f"ClickHouse does not answer: {one_line(error)}") from error
