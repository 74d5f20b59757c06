"""One question to each part that only a part in working order answers; each takes bounded time and never raises."""

from __future__ import annotations

import contextlib
import socket
from urllib.parse import urlsplit

import redis
from clickhouse_driver import Client
from clickhouse_driver.errors import Error as ClickHouseError
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

SECONDS = 3.0


def _listens(address: str, default_port: int) -> bool:
    """Tell whether anything accepts connections, so that no client library complains in the log."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        with socket.create_connection((parts.hostname or "", parts.port or default_port), SECONDS):
            return True
    except (OSError, ValueError):
        return False


def kafka_answers(bootstrap: str) -> bool:
    """List the topics."""
    if not any(_listens(address.strip(), 9092) for address in bootstrap.split(",")):
        return False
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, "socket.timeout.ms": 3000})
    try:
        return admin.list_topics(timeout=SECONDS) is not None
    except KafkaException:
        return False


def clickhouse_answers(url: str) -> bool:
    """Run ``SELECT 1``."""
    if not _listens(url, 9440 if url.startswith("clickhouses:") else 9000):
        return False
    try:
        client = Client.from_url(url)
        client.connection.connect_timeout = SECONDS
        client.connection.send_receive_timeout = SECONDS
        with contextlib.closing(_Disconnecting(client)):
            return bool(client.execute("SELECT 1") == [(1,)])
    except (ClickHouseError, OSError, EOFError, ValueError):
        return False


class _Disconnecting:
    """Gives the client the method that ``closing`` calls."""

    def __init__(self, client: Client) -> None:
        self.close = client.disconnect


def redis_answers(url: str) -> bool:
    """Send PING."""
    try:
        with redis.Redis.from_url(url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS) as client:
            return bool(client.ping())
    except (redis.RedisError, OSError, ValueError):
        return False


PROBES = {"kafka": kafka_answers, "clickhouse": clickhouse_answers, "redis": redis_answers}
