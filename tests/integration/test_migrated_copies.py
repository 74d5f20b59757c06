"""Tests get databases that were made as a migrated one is: these are the same."""

from __future__ import annotations

from typing import Any

import pytest

from infra.clickhouse.migrate import migrate as migrate_really
from infra.stack.local import LocalStack
from tests.migrated import migrate
from tests.stack_fixture import Namespace

pytestmark = pytest.mark.stack
TABLES = "SELECT name, engine, create_table_query FROM system.tables WHERE database = currentDatabase() ORDER BY name"
APPLIED = "SELECT name, checksum FROM schema_migrations FINAL ORDER BY name"


def told(namespace: Namespace) -> tuple[list[Any], list[Any]]:
    client = namespace.clickhouse()
    tables = [(*row[:2], row[2].replace(namespace.database, "here")) for row in client.execute(TABLES)]
    return tables, client.execute(APPLIED)


def test_a_copy_is_what_migrations_make_and_migrations_find_nothing_to_do(
    stack: LocalStack, namespace: Namespace
) -> None:
    migrate(namespace.clickhouse_url)
    copy, really = Namespace(stack), Namespace(stack)
    try:
        migrate(copy.clickhouse_url)
        migrate_really(really.clickhouse_url)
        assert told(copy) == told(really)
        assert len(told(copy)[0]) > 10
        assert migrate_really(copy.clickhouse_url) == []
    finally:
        copy.close()
        really.close()
