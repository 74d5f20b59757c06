"""One question to each part that only a part in working order answers; each takes bounded time and never raises.

A client is imported by who asks it: every command imports this module, and few ask.
"""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

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
    from confluent_kafka import KafkaException  # noqa: PLC0415 - as the module says
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415

    if not any(_listens(address.strip(), 9092) for address in bootstrap.split(",")):
        return False
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, "socket.timeout.ms": 3000})
    try:
        return admin.list_topics(timeout=SECONDS) is not None
    except KafkaException:
        return False


def clickhouse_answers(url: str) -> bool:
    """Run ``SELECT 1``."""
    from clickhouse_driver import Client  # noqa: PLC0415 - as the module says
    from clickhouse_driver.errors import Error as ClickHouseError  # noqa: PLC0415

    if not _listens(url, 9440 if url.startswith("clickhouses:") else 9000):
        return False
    try:
        client = Client.from_url(url)
        client.connection.connect_timeout = SECONDS
        client.connection.send_receive_timeout = SECONDS
        try:
            return bool(client.execute("SELECT 1") == [(1,)])
        finally:
            client.disconnect()
    except (ClickHouseError, OSError, EOFError, ValueError):
        return False


def redis_answers(url: str) -> bool:
    """Send PING."""
    import redis  # noqa: PLC0415 - as the module says

    try:
        with redis.Redis.from_url(url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS) as client:
            return bool(client.ping())
    except (redis.RedisError, OSError, ValueError):
        return False


PROBES = {"kafka": kafka_answers, "clickhouse": clickhouse_answers, "redis": redis_answers}
