"""The names of everything that a replay writes, in one place.

A replay of the name ``june`` writes into topics ``events.scored.june``, ``events.alerts.june`` and
``events.dead_letter.june``, Redis keys that begin with ``replay:june:``, the ClickHouse database
``<live database>_replay_june`` and the directory ``<home>/replays/june``. No other run has these names, and nothing
that is live has: ``replay.guards`` refuses all other names before anything is sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from flows.sinks.kafka import OutputTopics

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
RESERVED: Final = frozenset({"history", "live"})
"""What `clickgoose replay diff` means the live tables by."""
REPLAYS: Final = "replays"
_LONGEST_DATABASE: Final = 206  # ClickHouse makes directories of names, and file systems end at 255 bytes
_DEFAULT_DATABASE: Final = "default"


class BadName(ValueError):
    """No run can have the name; the message is one sentence."""


class Part(StrEnum):
    """Where a replay can write."""

    KAFKA = "kafka"
    CLICKHOUSE = "clickhouse"
    REDIS = "redis"
    FILES = "files"  # of the run's own directory


STORES: Final = (Part.KAFKA, Part.CLICKHOUSE, Part.REDIS)
"""Where one writes that is not told otherwise: where live outcomes go."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """All names of a run."""

    name: str
    topics: OutputTopics
    prefix: str  # of every Redis key
    database: str
    directory: Path

    @classmethod
    def of(cls, name: str, *, live_database: str, home: Path) -> Namespace:
        """Return the names; BadName where a run cannot be called so."""
        check_name(name)
        database = f"{live_database or _DEFAULT_DATABASE}_replay_{name}"
        if len(database) > _LONGEST_DATABASE:
            raise BadName(f"the database {database} would have more than {_LONGEST_DATABASE} letters: shorten the name")
        live = OutputTopics()
        return cls(
            name,
            OutputTopics(*(f"{topic}.{name}" for topic in (live.scored, live.alerts, live.dead_letter))),
            f"replay:{name}:",
            database,
            directory_of(home, name),
        )

    def clickhouse_url(self, live: str) -> str:
        """Return the address of the run's database on the server of the live one."""
        return urlunsplit(urlsplit(live)._replace(path=f"/{self.database}"))


def check_name(name: str) -> None:
    """BadName where a run cannot be called so."""
    if not NAME.fullmatch(name):
        raise BadName(
            f"{name!r} is no name of a replay: give a small letter, then at most 39 of small letters, digits and '_'"
        )
    if name in RESERVED:
        raise BadName(f"{name!r} means the live tables: give the replay another name")


def database_of(url: str) -> str:
    """Return the database that an address of ClickHouse names."""
    return urlsplit(url).path.lstrip("/") or _DEFAULT_DATABASE


def directory_of(home: Path, name: str) -> Path:
    """Return the directory of a run."""
    return home / REPLAYS / name


__all__ = ["STORES", "BadName", "Namespace", "OutputTopics", "Part", "check_name", "database_of", "directory_of"]
