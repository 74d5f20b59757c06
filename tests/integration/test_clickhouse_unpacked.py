"""What the sink sends unpacked is what the tables would have unpacked; a migration that changes no row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from clickhouse_driver import Client

from enrichers.present import present
from flows.parcel import Parcel, Span
from flows.sinks.clickhouse import ClickHouse, client_url
from flows.sinks.encoded import EncodedParcel, encoder
from flows.sinks.tables import Table, objects, tables_of
from infra.clickhouse import migrate as runner
from infra.clickhouse.migrate import load_migrations, migrate
from schemas.batches import Decided
from schemas.result import Factor
from tests.scored_parcels import BUILD, encoded_parcel, scored_batch
from tests.stack_fixture import Namespace

pytestmark = pytest.mark.stack


def _kept(client: Client) -> list[tuple[Any, ...]]:
    """Return every column of the events but for when they were written."""
    found: list[tuple[Any, ...]] = client.execute("SELECT * EXCEPT written_at FROM events ORDER BY offset")
    return found


def _explain(batch: Decided) -> list[list[Factor]]:
    """Return a factor of every second event, wherever in a batch it is."""
    return [[Factor("velocity", f"{at} events", 0.5)] * (at % 2) for at in batch.origin.offset.tolist()]


def _parcels_of(batch: Decided, rows: int) -> list[EncodedParcel]:
    """Return parcels of so many rows each."""
    encode, found = encoder(_explain, present, BUILD), list[EncodedParcel]()
    for first in range(0, len(batch), rows):
        part = batch.take(np.arange(first, first + rows))
        found.append(encode(Parcel((Span(0, first, first + rows),), part, rows)))
    return found


def _packed(url: str, table: Table | None = None) -> None:
    """Write the events as clickhouse-driver does, with everything packed."""
    client = Client.from_url(client_url(url, 10, 60))
    table = table or tables_of([encoded_parcel(40)])["events"]
    columns = ", ".join(f"`{name}`" for name in table)
    client.execute(f"INSERT INTO events ({columns}) VALUES", list(table.values()), columnar=True)
    client.disconnect()


@pytest.mark.parametrize("options", ["", "?compression=lz4"])
def test_events_are_the_same_whether_the_sink_unpacks_them_or_the_table(namespace: Namespace, options: str) -> None:
    migrate(namespace.clickhouse_url)
    client = namespace.clickhouse(settings={"strings_as_bytes": True})
    _packed(namespace.clickhouse_url)
    by_the_table = _kept(client)
    client.execute("TRUNCATE TABLE events")
    sink = ClickHouse(namespace.clickhouse_url + options, answer_seconds=60)
    sink.write([encoded_parcel(40)])
    sink.close()
    assert len(by_the_table) == 40
    assert repr(_kept(client)) == repr(by_the_table)  # NaN equals nothing


def test_rows_of_small_parcels_which_go_out_in_pieces_are_those_of_one_large_parcel(namespace: Namespace) -> None:
    migrate(namespace.clickhouse_url)
    client = namespace.clickhouse(settings={"strings_as_bytes": True})
    sink = ClickHouse(namespace.clickhouse_url, answer_seconds=60)
    stored = []
    for rows in (600, 2):
        sink.write(_parcels_of(scored_batch(600), rows))
        features = client.execute("SELECT * FROM features ORDER BY event_id")
        archive = client.execute("SELECT * FROM raw_archive ORDER BY event_id")
        stored.append([_kept(client), features, archive])
        for name in ("events", "features", "raw_archive"):
            client.execute(f"TRUNCATE TABLE {name}")
    sink.close()
    whole, pieces = stored
    assert list(map(len, pieces)) == [600, 600, 600]
    assert repr(pieces) == repr(whole)  # NaN equals nothing


def test_events_without_any_joined_text_are_the_same_whether_it_is_sent_empty_or_left_out(namespace: Namespace) -> None:
    migrate(namespace.clickhouse_url)
    client = namespace.clickhouse(settings={"strings_as_bytes": True})
    table = tables_of([encoded_parcel(40)])["events"]
    texts = [name for name in table if name.endswith("_text")]
    table |= {name: objects([b""] * 40) for name in texts}
    _packed(namespace.clickhouse_url, table)
    sent_empty = _kept(client)
    client.execute("TRUNCATE TABLE events")
    sink = ClickHouse(namespace.clickhouse_url, answer_seconds=60)
    sink.insert({"events": table})
    sink.close()
    assert (len(texts), len(sent_empty)) == (10, 40)
    assert repr(_kept(client)) == repr(sent_empty)


def _upgraded(namespace: Namespace, monkeypatch: pytest.MonkeyPatch, name: str) -> tuple[Client, list[tuple[Any, ...]]]:
    """Migrate up to one migration, write rows, do that one and the rest; return what reads them, and what they were."""
    whole = load_migrations()
    before = [one.name for one in whole].index(name)
    monkeypatch.setattr(runner, "load_migrations", lambda: whole[:before])
    migrate(namespace.clickhouse_url)
    client = namespace.clickhouse(settings={"strings_as_bytes": True})
    _packed(namespace.clickhouse_url)
    told = _kept(client)
    monkeypatch.setattr(runner, "load_migrations", lambda: whole)
    assert migrate(namespace.clickhouse_url)[0] == name
    assert repr(_kept(client)) == repr(told)
    return client, told


def test_rows_of_before_a_table_is_seldom_rewritten_are_the_same_after_it_and_once_merged(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, told = _upgraded(namespace, monkeypatch, "seldom_rewritten")
    client.execute("OPTIMIZE TABLE events FINAL")
    assert repr(_kept(client)) == repr(told)
    ask = "SELECT name, compression_codec FROM system.columns WHERE database = currentDatabase() AND table = 'events'"
    codecs = dict(namespace.clickhouse().execute(ask))
    assert (codecs["activity_time"], codecs["activity_value"]) == ("CODEC(Delta(4), LZ4)", "CODEC(LZ4)")


def test_rows_of_before_merges_wait_longer_are_the_same_after_it(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    _upgraded(namespace, monkeypatch, "merged_later")
    ask = (
        "SELECT name, extract(engine_full, 'merge_selector_base = ([0-9]+)') "
        "FROM system.tables WHERE database = currentDatabase()"
    )
    bases = dict(namespace.clickhouse().execute(ask))
    assert (bases["events"], bases["features"], bases["raw_archive"]) == ("20", "20", "30")
