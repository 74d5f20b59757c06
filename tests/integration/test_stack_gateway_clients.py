"""Clients that stop, vanish or never speak: the gateway lets go of what they held, and the others go on."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from clickhouse_driver import Client

from infra.stack.gateway.engine import Engine
from infra.stack.gateway.server import Access, Server
from infra.stack.gateway.watch import readable
from infra.stack.ports import free_port
from tests.stack_fixture import Namespace
from tests.waiting import PATIENCE as SECONDS

PATIENCE = 3.0
SILENT = "SELECT count() FROM numbers(100000000000) WHERE sipHash64(number) = 1 SETTINGS max_threads = 1"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A gateway of its own that has little patience."""
    port = free_port(set())
    data: Path = tmp_path_factory.mktemp("gateway")
    argv = [sys.executable, "-m", "infra.stack.gateway", "--path", str(data), "--port", str(port)]
    with subprocess.Popen([*argv, "--patience", str(PATIENCE)], stderr=subprocess.DEVNULL) as gateway:
        try:
            until(lambda: socket.create_connection(("127.0.0.1", port), 1).close() is None)
            yield port
        finally:
            gateway.terminate()


def until(true: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait until a check holds."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if true():
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def client_of(port: int) -> Client:
    return Client("127.0.0.1", port=port, send_receive_timeout=SECONDS)


def hang_up(client: Client) -> None:
    """Leave as a killed process does whose bytes were not all read."""
    sock = client.connection.socket
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.shutdown(socket.SHUT_RDWR)


def test_a_client_that_stops_reading_in_mid_result_holds_nobody_up_for_long(port: int) -> None:
    stopped, other = client_of(port), client_of(port)
    other.execute("CREATE TABLE big (n UInt64, s String) ENGINE = MergeTree ORDER BY n")
    other.execute("INSERT INTO big SELECT number, repeat('x', 400) FROM numbers(200000)")
    rows = stopped.execute_iter("SELECT * FROM big", settings={"max_threads": 1})
    assert len(next(rows)) == 2
    for start in range(3):
        other.execute("INSERT INTO big VALUES", [(start, "y")])
    assert other.execute("SELECT count() FROM big") == [(200_003,)]
    began = time.monotonic()
    other.execute("DROP TABLE big SYNC")  # waits until nobody reads the table any more
    assert time.monotonic() - began < PATIENCE + 20
    with pytest.raises((EOFError, OSError)):
        list(rows)
    for client in (stopped, other):
        client.disconnect()


def test_clients_that_vanish_in_mid_insert_leave_nothing_and_the_others_go_on(port: int) -> None:
    owner = client_of(port)
    owner.execute("CREATE TABLE t (w UInt8, n UInt32) ENGINE = MergeTree ORDER BY (w, n)")
    failures: list[BaseException] = []

    def vanish(writer: int) -> None:
        client = client_of(port)

        def rows() -> Iterator[tuple[int, int]]:
            for n in range(1_000):
                if n == 550:
                    hang_up(client)
                yield writer, n

        try:
            client.execute("INSERT INTO t VALUES", rows(), settings={"insert_block_size": 100})
            failures.append(AssertionError("an insert that was cut off was confirmed"))
        except (OSError, EOFError):
            client.disconnect()

    def write(writer: int) -> None:
        try:
            client = client_of(port)
            for start in range(0, 1_000, 100):
                client.execute("INSERT INTO t VALUES", [(writer, n) for n in range(start, start + 100)])
            client.disconnect()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=vanish, args=(at,)) for at in range(4)]
    threads += [threading.Thread(target=write, args=(at,)) for at in range(10, 13)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert not failures and not any(thread.is_alive() for thread in threads)
    assert owner.execute("SELECT w, count() FROM t GROUP BY w ORDER BY w") == [(10, 1_000), (11, 1_000), (12, 1_000)]
    owner.execute("DROP TABLE t SYNC")
    owner.disconnect()


def test_a_client_that_falls_silent_in_mid_insert_is_dropped(port: int) -> None:
    client, other = client_of(port), client_of(port)

    def rows() -> Iterator[tuple[int]]:
        yield from ((n,) for n in range(150))
        time.sleep(PATIENCE + 1)
        yield from ((n,) for n in range(150, 10_000))

    other.execute("CREATE TABLE s (n UInt32) ENGINE = MergeTree ORDER BY n")
    with pytest.raises((OSError, EOFError)):
        client.execute("INSERT INTO s VALUES", rows(), settings={"insert_block_size": 100})
    assert other.execute("SELECT count() FROM s") == [(0,)]
    client.disconnect()
    other.disconnect()


def test_a_client_that_never_says_hello_keeps_nobody_waiting(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)):
        other = client_of(port)
        assert other.execute("SELECT 1") == [(1,)]
        other.disconnect()


def running(client: Client) -> int:
    return int(
        client.execute("SELECT count() FROM system.processes WHERE query LIKE '%sipHash64(number) = 1 SET%'")[0][0]
    )


def test_a_query_whose_client_vanished_is_ended(port: int) -> None:
    client, other = client_of(port), client_of(port)
    client.execute_iter(SILENT)
    until(lambda: running(other) == 2)
    hang_up(client)
    until(lambda: running(other) == 1)
    other.disconnect()


def test_a_query_that_yields_nothing_can_be_cancelled(port: int) -> None:
    client = client_of(port)
    client.execute_iter(SILENT)
    began = time.monotonic()
    client.cancel()
    assert time.monotonic() - began < 10
    assert client.execute("SELECT 1") == [(1,)]
    client.disconnect()


@pytest.mark.stack
def test_a_log_comment_of_the_client_holds_for_its_query(namespace: Namespace) -> None:
    client = namespace.clickhouse()
    ask = "SELECT getSetting('log_comment')"
    before = client.execute(ask)
    assert client.execute(ask, settings={"log_comment": "mine"}) == [("mine",)]
    assert client.execute(ask) == before


def test_clients_are_accepted_again_after_a_lack_of_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(cast(Engine, SimpleNamespace(end=lambda mark: None)), "127.0.0.1", 0, Access())
    listener, failed = server._listener, threading.Event()

    def accept() -> tuple[socket.socket, object]:
        if failed.is_set():
            return listener.accept()
        failed.set()
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    stand_in = SimpleNamespace(
        accept=accept, shutdown=listener.shutdown, close=listener.close, getsockname=listener.getsockname
    )
    monkeypatch.setattr(server, "_listener", stand_in)
    thread = threading.Thread(target=server.serve)
    thread.start()
    with socket.create_connection(("127.0.0.1", server.port), SECONDS) as client:
        client.sendall(b"GET /")
        assert client.recv(100) == b""
    server.close()
    thread.join(SECONDS)
    assert failed.is_set() and not thread.is_alive()


def test_a_descriptor_above_what_select_takes_can_be_looked_at() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(2_048, hard)), hard))
    near, far = socket.socketpair()
    with near, far, socket.socket(fileno=fcntl.fcntl(near.fileno(), fcntl.F_DUPFD, 1_100)) as high:
        assert not readable(high)
        far.sendall(b"x")
        assert readable(high)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
