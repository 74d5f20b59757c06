"""clickhouse-driver, unmodified, against the gateway."""

from __future__ import annotations

import socket
import struct
import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import psutil
import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import ErrorCodes, ServerException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.stack.local import LocalStack
from tests.stack_fixture import Namespace

pytestmark = pytest.mark.stack
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200)
U64 = st.integers(0, 2**64 - 1)
COLUMNS: dict[str, st.SearchStrategy[Any]] = {
    "UInt64": U64,
    "Int128": st.integers(-(2**127), 2**127 - 1),
    "Float64": st.floats(allow_nan=False),
    "Bool": st.booleans(),
    "String": WORDS,
    "FixedString(4)": st.sampled_from(["abcd", "x\u00e9z"]),
    "Nullable(Int32)": st.none() | st.integers(-(2**31), 2**31 - 1),
    "LowCardinality(String)": st.sampled_from(["", "a", "bb"]),
    "LowCardinality(Nullable(String))": st.none() | st.sampled_from(["a", "bb"]),
    "Array(String)": st.lists(WORDS, max_size=5),
    "Array(Array(Nullable(UInt8)))": st.lists(st.lists(st.none() | st.integers(0, 255), max_size=3), max_size=3),
    "Array(LowCardinality(String))": st.lists(st.sampled_from(["a", "b"]), max_size=4),
    "Map(String, UInt64)": st.dictionaries(WORDS, U64, max_size=4),
    "Map(LowCardinality(String), Array(Float32))": st.dictionaries(
        st.sampled_from(["k", "l"]), st.lists(st.floats(width=32, allow_nan=False), max_size=3)
    ),
    "Tuple(a UInt8, b Array(String))": st.tuples(st.integers(0, 255), st.lists(WORDS, max_size=3)),
    "DateTime64(3, 'UTC')": st.integers(0, 4 * 10**12).map(
        lambda ms: datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)
    ),
    "DateTime64(0, 'UTC')": st.integers(0, 2**32 - 1).map(lambda s: datetime.fromtimestamp(s, UTC)),
    "Date": st.dates(date(1970, 1, 1), date(2148, 12, 31)),
    "Date32": st.dates(date(1925, 1, 1), date(2283, 11, 11)),
    "Enum8('a' = 1, 'b, (c)' = 2)": st.sampled_from(["a", "b, (c)"]),
    "Enum16('x' = -300, 'y' = 300)": st.sampled_from(["x", "y"]),
    "UUID": st.uuids().map(lambda u: UUID(int=u.int)),
    "IPv4": st.integers(0, 2**32 - 1).map(IPv4Address),
    "IPv6": st.integers(0, 2**128 - 1).map(IPv6Address),
    "Decimal(18, 4)": st.integers(-(10**17), 10**17).map(lambda n: Decimal(n) / 10**4),
}


@pytest.fixture(scope="module")
def table(stack: LocalStack) -> Client:
    """A table with a column of every type."""
    client = Client.from_url(stack.clickhouse_url)
    columns = ", ".join(f"`c{at}` {kind}" for at, kind in enumerate(COLUMNS))
    client.execute(f"CREATE TABLE every_type (n UInt32, {columns}) ENGINE = MergeTree ORDER BY n")
    yield client
    client.execute("DROP TABLE every_type SYNC")
    client.disconnect()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(rows=st.lists(st.tuples(*COLUMNS.values()), min_size=1, max_size=20))
def test_every_type_round_trips(table: Client, rows: list[tuple[Any, ...]]) -> None:
    table.execute("TRUNCATE TABLE every_type")
    assert table.execute("INSERT INTO every_type VALUES", [(n, *row) for n, row in enumerate(rows)]) == len(rows)
    found = table.execute("SELECT * EXCEPT (n) FROM every_type ORDER BY n")
    assert found == rows


def test_plain_times_are_the_same_instant(namespace: Namespace) -> None:
    client = namespace.clickhouse()
    client.execute("CREATE TABLE t (a DateTime('UTC')) ENGINE = MergeTree ORDER BY a")
    client.execute("INSERT INTO t VALUES", [(datetime.fromtimestamp(1_790_000_000, UTC),)])
    assert client.execute("SELECT toUnixTimestamp(a) FROM t") == [(1_790_000_000,)]


def test_compressed_blocks_both_ways(namespace: Namespace) -> None:
    client = namespace.clickhouse(compression="lz4")
    client.execute("CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
    rows = [(n, "x" * (n % 300)) for n in range(50_000)]
    assert client.execute("INSERT INTO t VALUES", rows) == 50_000
    assert client.execute("SELECT * FROM t ORDER BY a") == rows


def test_numpy_columns(namespace: Namespace) -> None:
    client = namespace.clickhouse(settings={"use_numpy": True})
    client.execute("CREATE TABLE t (a UInt64, f Float32, s String) ENGINE = MergeTree ORDER BY a")
    names = np.array([f"name-{n}" for n in range(70_000)], dtype=object)
    data = [np.arange(70_000, dtype=np.uint64), np.linspace(0, 1, 70_000, dtype=np.float32), names]
    assert client.execute("INSERT INTO t (a, f, s) VALUES", data, columnar=True) == 70_000
    a, f, s = client.execute("SELECT a, f, s FROM t ORDER BY a", columnar=True)
    assert (a == data[0]).all() and (f == data[1]).all() and (s == names).all()


def test_results_without_rows_have_columns(namespace: Namespace) -> None:
    found = namespace.clickhouse().execute("SELECT 1 AS a, 'x' AS b WHERE 0 -- none", with_column_types=True)
    assert found == ([], [("a", "UInt8"), ("b", "String")])


@pytest.mark.parametrize("compression", [False, "lz4"])
def test_rows_come_behind_a_header(namespace: Namespace, compression: bool | str) -> None:
    client = namespace.clickhouse(compression=compression)
    columns = [("n", "UInt64"), ("s", "String")]
    ask = "SELECT number AS n, toString(n) AS s FROM numbers(150000) -- all"
    rows = [(n, str(n)) for n in range(150_000)]
    assert client.execute("SELECT 1 AS a, 'x' AS b", with_column_types=True) == (
        [(1, "x")],
        [("a", "UInt8"), ("b", "String")],
    )
    assert client.execute(ask, with_column_types=True) == (rows, columns)
    first, *rest = client.execute_iter(ask, with_column_types=True)
    assert (first, rest) == (columns, rows)
    progress = client.execute_with_progress(ask, with_column_types=True)
    assert progress.get_result() == (rows, columns)
    assert client.execute("SHOW TABLES LIKE 'none'") == []
    named = client.execute("SELECT 2 AS a UNION ALL SELECT 2 SETTINGS max_threads = 1;", with_column_types=True)
    assert named == ([(2,), (2,)], [("a", "UInt8")])
    assert client.execute("EXISTS TABLE nothing", with_column_types=True) == ([(0,)], [("result", "UInt8")])


def test_times_keep_their_zone(namespace: Namespace) -> None:
    client = namespace.clickhouse()
    kinds = {
        "a": "DateTime('UTC')",
        "b": "DateTime('Asia/Tokyo')",
        "c": "Nullable(DateTime('UTC'))",
        "d": "Array(DateTime('UTC'))",
        "e": "Tuple(DateTime('UTC'), String)",
        "f": "LowCardinality(DateTime('UTC'))",
        "g": "Map(String, DateTime('UTC'))",
        "h": "SimpleAggregateFunction(max, DateTime('UTC'))",
        "i": "DateTime",
    }
    columns = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
    client.execute("SET allow_suspicious_low_cardinality_types = 1")
    client.execute(f"CREATE TABLE t ({columns}) ENGINE = MergeTree ORDER BY a")
    instant = datetime.fromtimestamp(1_790_000_000, UTC)
    tokyo = instant.astimezone(ZoneInfo("Asia/Tokyo"))
    naive = instant.replace(tzinfo=None)
    # What a client sends in a zone is stored as that instant, wherever the zone stands.
    row = (instant, tokyo, instant, [instant], (instant, "x"), instant, {"k": instant}, instant, naive)
    client.execute("INSERT INTO t VALUES", [row] * 3)
    found, types = client.execute("SELECT * FROM t", with_column_types=True)
    assert found == [row] * 3 and types == list(kinds.items())
    assert found[0][0].tzinfo is not None and found[0][1].utcoffset() == timedelta(hours=9)
    many = "SELECT a + n.number AS a, toString(n.number) AS s FROM t CROSS JOIN numbers(100000) AS n"
    assert {row[0].utcoffset() for row in client.execute_iter(many)} == {timedelta(0)}


def test_a_changed_table_shows_its_new_types_at_once(namespace: Namespace) -> None:
    client, other = namespace.clickhouse(), namespace.clickhouse()
    client.execute("CREATE TABLE t (a DateTime('UTC')) ENGINE = MergeTree ORDER BY tuple()")
    ask = "SELECT * FROM t"
    for change, types in (
        ("SELECT 1", [("a", "DateTime('UTC')")]),
        ("ALTER TABLE t MODIFY COLUMN a DateTime('Asia/Tokyo')", [("a", "DateTime('Asia/Tokyo')")]),
        ("ALTER TABLE t ADD COLUMN b UInt8", [("a", "DateTime('Asia/Tokyo')"), ("b", "UInt8")]),
        ("DROP TABLE t SYNC", None),
        ("CREATE TABLE t (c String) ENGINE = Memory", [("c", "String")]),
    ):
        other.execute(change)
        if types is None:
            with pytest.raises(ServerException, match="UNKNOWN_TABLE"):
                client.execute(ask)
        else:
            assert client.execute(ask, with_column_types=True) == ([], types)


def test_an_insert_that_was_made_before_takes_the_types_of_a_table_that_was_changed_since(namespace: Namespace) -> None:
    client, other = namespace.clickhouse(), namespace.clickhouse()
    client.execute("CREATE TABLE t (a UInt8, e String EPHEMERAL '') ENGINE = MergeTree ORDER BY tuple()")
    for columns in ("", " (a)", " (a, e)"):
        client.execute(f"INSERT INTO t{columns} VALUES", [(1, "") if "e" in columns else (1,)])
    other.execute("ALTER TABLE t MODIFY COLUMN a String")
    for columns in ("", " (a)", " (a, e)"):
        client.execute(f"INSERT INTO t{columns} VALUES", [("two", "") if "e" in columns else ("two",)])
    assert sorted(client.execute("SELECT a FROM t")) == [("1",)] * 3 + [("two",)] * 3
    other.execute("DROP TABLE t SYNC")
    with pytest.raises(ServerException, match="UNKNOWN_TABLE"):
        client.execute("INSERT INTO t (a) VALUES", [("three",)])


def test_long_results_stream(namespace: Namespace) -> None:
    client = namespace.clickhouse()
    blocks = client.execute_iter("SELECT number, toString(number) FROM numbers(300000)")
    assert sum(row[0] for row in blocks) == 300_000 * 299_999 // 2


def test_a_result_can_be_cancelled(namespace: Namespace) -> None:
    client = namespace.clickhouse()
    rows = client.execute_iter("SELECT number FROM numbers(1000000000)")
    next(rows)
    client.cancel()
    assert client.execute("SELECT 1") == [(1,)]


def test_server_errors_have_their_codes(namespace: Namespace) -> None:
    client = namespace.clickhouse()
    with pytest.raises(ServerException) as unknown:
        client.execute("SELECT * FROM nowhere")
    assert unknown.value.code == ErrorCodes.UNKNOWN_TABLE
    with pytest.raises(ServerException) as syntax:
        client.execute("SELEC 1")
    assert syntax.value.code == ErrorCodes.SYNTAX_ERROR
    with pytest.raises(ServerException) as late:
        client.execute("SELECT throwIf(number = 200000) FROM numbers(300000)")
    assert late.value.code == 395
    assert client.execute("SELECT 1") == [(1,)]


def test_a_bad_insert_is_an_error_and_nothing_is_kept(namespace: Namespace) -> None:
    client = namespace.clickhouse()
    client.execute("CREATE TABLE t (a UInt8, CONSTRAINT small CHECK a < 5) ENGINE = MergeTree ORDER BY a")
    with pytest.raises(ServerException):
        client.execute("INSERT INTO t VALUES", [(1,), (9,)])
    assert client.execute("SELECT count() FROM t") == [(0,)]
    with pytest.raises(ServerException) as missing:
        client.execute("INSERT INTO t (nope) VALUES", [(1,)])
    assert missing.value.code == 16


def test_an_insert_holds_its_own_rows_after_a_longer_one_and_after_one_that_was_refused(namespace: Namespace) -> None:
    client = namespace.clickhouse()
    client.execute(
        "CREATE TABLE t (a UInt32, s String, CONSTRAINT small CHECK a < 100000) ENGINE = MergeTree ORDER BY a"
    )
    client.execute("INSERT INTO t VALUES", [(n, "x" * 1_000) for n in range(3_000)])
    client.execute("INSERT INTO t VALUES", [(3_000, "y")])
    with pytest.raises(ServerException):
        client.execute("INSERT INTO t VALUES", [(n, "z" * 100) for n in range(99_000, 101_000)])
    client.execute("INSERT INTO t VALUES", [(3_001, "y")])
    assert client.execute("SELECT count(), max(a), sum(length(s)) FROM t") == [(3_002, 3_001, 3_000_002)]


def test_inserts_into_more_tables_than_a_session_keeps_files_for_hold_their_own_rows(namespace: Namespace) -> None:
    client = namespace.clickhouse()
    names = [f"t{number}" for number in range(6)]
    for name in names:
        client.execute(f"CREATE TABLE {name} (a UInt32, s String) ENGINE = MergeTree ORDER BY a")
    for turn in (400, 3):
        for number, name in enumerate(names):
            client.execute(f"INSERT INTO {name} VALUES", [(number, "x" * turn)] * (turn + number))
    ask = "SELECT count(), min(a), max(a), sum(length(s)) FROM "
    told = [client.execute(ask + name)[0] for name in names]
    assert told == [(403 + 2 * n, n, n, 400 * (400 + n) + 3 * (3 + n)) for n in range(6)]


def test_settings_hold_for_one_query(namespace: Namespace) -> None:
    client = namespace.clickhouse()
    ask = "SELECT getSetting('max_block_size')"
    before = client.execute(ask)
    assert client.execute(ask, settings={"max_block_size": 77}) == [(77,)]
    assert client.execute(ask) == before
    with pytest.raises(ServerException) as slow:
        client.execute(
            "SELECT count() FROM numbers(100000000000) WHERE sipHash64(number) = 1", settings={"max_execution_time": 1}
        )
    assert slow.value.code == ErrorCodes.TIMEOUT_EXCEEDED


def test_tables_that_come_with_a_query(namespace: Namespace) -> None:
    client = namespace.clickhouse()
    table = {"name": "ext", "structure": [("a", "UInt8")], "data": [{"a": 1}, {"a": 2}]}
    for _ in range(2):
        assert client.execute("SELECT sum(a) FROM ext", external_tables=[table]) == [(3,)]


def test_sessions_do_not_share_their_database(namespace: Namespace) -> None:
    ours, other = namespace.clickhouse(), Client.from_url(namespace.stack.clickhouse_url)
    assert ours.execute("SELECT currentDatabase()") == [(namespace.database,)]
    assert other.execute("SELECT currentDatabase()") == [("default",)]
    other.disconnect()


def test_writers_and_a_reader_at_once(namespace: Namespace) -> None:
    namespace.clickhouse().execute("CREATE TABLE t (w UInt8, n UInt32) ENGINE = MergeTree ORDER BY (w, n)")
    failures: list[BaseException] = []

    def write(writer: int) -> None:
        try:
            client = namespace.clickhouse()
            for start in range(0, 2_000, 100):
                client.execute("INSERT INTO t VALUES", [(writer, n) for n in range(start, start + 100)])
        except BaseException as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in writers:
        thread.start()
    reader = namespace.clickhouse()
    while any(thread.is_alive() for thread in writers):
        assert reader.execute("SELECT count() % 100 FROM t") == [(0,)]
    assert not failures
    assert reader.execute("SELECT uniqExact(w, n), count() FROM t") == [(8_000, 8_000)]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00" + b"\xff" * 100,
        b"\xff" * 1000,
        struct.pack("<Q", 2**63) * 10,
        b"\x00\x01x\x01\x01\xb8\xa9\x03\x00\x07default\x00\x63",
        b"",
    ],
)
def test_bad_bytes_end_only_their_connection(stack: LocalStack, namespace: Namespace, sent: bytes) -> None:
    port = urlsplit(stack.clickhouse_url).port
    with socket.create_connection(("127.0.0.1", port), 10) as bad:
        bad.sendall(sent)
        bad.shutdown(socket.SHUT_WR)
        while bad.recv(65_536):
            pass
    assert namespace.clickhouse().execute("SELECT 1") == [(1,)]


def test_the_engine_steps_back_behind_other_processes_as_the_setting_says(stack: LocalStack) -> None:
    engine = psutil.Process(stack.child("clickhouse").pid)
    assert engine.nice() == min(19, psutil.Process().nice() + stack.settings.stack.clickhouse_nice)


def test_a_wrong_password_or_database_is_refused(stack: LocalStack) -> None:
    port = urlsplit(stack.clickhouse_url).port
    for options, code in (({"password": "guess"}, 516), ({"user": "root"}, 516), ({}, 516)):
        with pytest.raises(ServerException) as refused:
            Client("127.0.0.1", port=port, **options).execute("SELECT 1")
        assert refused.value.code == code
    with pytest.raises(ServerException) as unknown:
        Client.from_url(stack.clickhouse_url.rpartition("/")[0] + "/nowhere").execute("SELECT 1")
    assert unknown.value.code == ErrorCodes.UNKNOWN_DATABASE
