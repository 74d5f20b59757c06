"""Makes a ClickHouse database agree with ``migrations/``: each migration once, in the manifest's order."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from urllib.parse import urlsplit, urlunsplit

from clickhouse_driver import Client
from clickhouse_driver.errors import Error

_FOLDER = resources.files(__package__).joinpath("migrations")
_APPLIED = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    name String,
    checksum String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree ORDER BY name
"""
_STATEMENT_END = re.compile(r";[ \t]*(?:\n|$)")
_SECONDS = 10


class MigrationError(Exception):
    """The database cannot be made to agree; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of statements."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """Return the SHA-256 of the file."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def statements(self) -> list[str]:
        """Return the statements; each ends in a semicolon at the end of a line."""
        return [part.strip() for part in _STATEMENT_END.split(self.sql) if part.strip()]


def load_migrations() -> list[Migration]:
    """Return this build's migrations in order; MigrationError where a file is not what the manifest says."""
    manifest = tomllib.loads(_FOLDER.joinpath("migrations.toml").read_text("utf-8"))
    found = []
    for entry in manifest["migration"]:
        migration = Migration(entry["name"], _FOLDER.joinpath(f"{entry['name']}.sql").read_text("utf-8"))
        if migration.checksum != entry["sha256"]:
            raise MigrationError(
                f"{migration.name}.sql is not the file that migrations.toml names: write a new migration instead"
            )
        found.append(migration)
    return found


def migrate(url: str) -> list[str]:
    """Create the database of the URL and apply what is missing; return the names of what was applied.

    A run that was interrupted is finished by the next: every statement says IF NOT EXISTS or is harmless twice.
    """
    migrations = load_migrations()
    with said_plainly(url):
        _create_database(url)
        client = Client.from_url(url)
        try:
            return _apply(client, migrations)
        finally:
            client.disconnect()


def _create_database(url: str) -> None:
    parts = urlsplit(url)
    name = parts.path.lstrip("/")
    if not name or name == "default":
        return
    client = Client.from_url(urlunsplit(parts._replace(path="/default")))
    try:
        client.execute(f"CREATE DATABASE IF NOT EXISTS `{name.replace('`', '')}`")
    finally:
        client.disconnect()


def _apply(client: Client, migrations: list[Migration]) -> list[str]:
    client.execute(_APPLIED)
    applied: Mapping[str, str] = dict(client.execute("SELECT name, checksum FROM schema_migrations FINAL"))
    known = {migration.name: migration for migration in migrations}
    for name, checksum in applied.items():
        if name not in known:
            raise MigrationError(
                f"the database holds migration {name}, which this build does not know: deploy the newer"
            )
        if known[name].checksum != checksum:
            raise MigrationError(f"migration {name} was changed after it was applied: restore it and write a new one")
    done = []
    for migration in migrations:
        if migration.name in applied:
            continue
        for statement in migration.statements():
            client.execute(statement)
        client.execute(
            "INSERT INTO schema_migrations (name, checksum) VALUES",
            [{"name": migration.name, "checksum": migration.checksum}],
        )
        done.append(migration.name)
    return done


@contextmanager
def said_plainly(url: str) -> Iterator[None]:
    """Turn what ClickHouse or the network says into one sentence (MigrationError), without the password."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    try:
        yield
    except (Error, OSError, EOFError) as error:
        raise MigrationError(f"ClickHouse at {host}: {one_line(error)}") from error


def one_line(error: Exception) -> str:
    """Return what ClickHouse or the network said, without the stack trace, on one line."""
    return " ".join(str(error).split("Stack trace:")[0].split())[:300] or type(error).__name__
