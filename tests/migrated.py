"""Databases with all tables for tests: the first one of a server is migrated, the others are made as that one is.

Migrations apply one after the other what releases added, so they take five times as long as the tables that come of
them. ``tests/integration/test_migrated_copies.py`` shows that nothing is otherwise.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from clickhouse_driver import Client

from infra.clickhouse.migrate import load_migrations
from infra.clickhouse.migrate import migrate as migrate_really

_TABLES = "SELECT create_table_query FROM system.tables WHERE database = %(name)s ORDER BY engine LIKE '%%View', name"


class Made(NamedTuple):
    """A database that was migrated, and the statements that make its tables, views last."""

    name: str
    tables: tuple[str, ...]


_made: dict[str, Made] = {}  # by server


def migrate(url: str) -> None:
    """Create the database of the URL with all tables, where it has none; else migrate it."""
    parts = urlsplit(url)
    name = parts.path.lstrip("/")
    client = Client.from_url(urlunsplit(parts._replace(path="/default")))
    try:
        if client.execute(_TABLES, {"name": name}):  # it may have been altered since: it is no model for others
            migrate_really(url)
            return
        if parts.netloc not in _made:
            migrate_really(url)
            _made[parts.netloc] = Made(name, tuple(row[0] for row in client.execute(_TABLES, {"name": name})))
            return
        client.execute(f"CREATE DATABASE IF NOT EXISTS {name}")
        made = _made[parts.netloc]
        for table in made.tables:
            client.execute(table.replace(f"{made.name}.", f"{name}."))
        applied = [{"name": one.name, "checksum": one.checksum} for one in load_migrations()]
        client.execute(f"INSERT INTO {name}.schema_migrations (name, checksum) VALUES", applied)
    finally:
        client.disconnect()
