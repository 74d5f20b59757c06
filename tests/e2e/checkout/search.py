"""Where a secret could have ended, and every form in which it could lie there."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import redis

from infra.keys import key_ring
from infra.topics import TOPICS
from schemas.keys import KeyRing
from schemas.stored_results import unpacked
from tests.e2e.checkout.kit import Checkout, Visit
from tests.e2e.opened import body_of, split_record
from tests.e2e.system import System


def forms(text: str) -> set[bytes]:
    """Return the bytes to look for, in lower case where the case does not matter (all but base64)."""
    found: set[bytes] = set()
    for plain in {text, re.sub(r"[\s.-]", "", text)} if re.search(r"\d{4}", text) else {text}:
        as_scripts_do = quote(plain, safe="!~*'()")  # encodeURIComponent
        for words in (plain, quote(plain, safe=""), as_scripts_do, quote_plus(plain), json.dumps(plain)[1:-1]):
            found |= {words.lower().encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-16-be")}
        found.add(plain.encode().hex().encode())
    return found


def base64_forms(text: str) -> set[bytes]:
    """Return the part of the text's base64 that does not depend on what stands around it, for all three alignments."""
    raw, found = text.encode(), set()
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + raw)
        sure = coded[-(-8 * before // 6) : 8 * (before + len(raw)) // 6]
        found |= {sure, sure.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def hits(secrets: Iterable[str], places: Iterable[tuple[str, bytes]]) -> list[str]:
    """Return what was found where: the number of the secret, never its text, and the place."""
    looked_for = [(number, forms(text), base64_forms(text)) for number, text in enumerate(secrets)]
    found = []
    for place, content in places:
        lower = content.lower()
        for number, plain, coded in looked_for:
            if any(form in lower for form in plain) or any(form in content for form in coded):
                found.append(f"secret {number} in {place}")
    return found


def places(checkout: Checkout, visits: Iterable[Visit]) -> Iterator[tuple[str, bytes]]:
    """Yield everything that is kept anywhere, by the name of its place."""
    ring = key_ring(checkout.stack.settings)
    for topic in TOPICS:
        yield from _topic(checkout.system, topic.name, ring)
    yield from _tables(checkout.system)
    yield from _redis(checkout.stack.redis_url)
    for folder in (checkout.stack.home / "logs", checkout.stack.home / "spool", checkout.system.work):
        yield from _files(folder)
    for visit in visits:
        yield f"storage of {visit.kind}", visit.databases


def _topic(system: System, topic: str, ring: KeyRing) -> Iterator[tuple[str, bytes]]:
    """Yield keys, values and headers, and what the sealed payloads say once they are opened."""
    for message in system.records(topic):
        value = message.value() or b""
        headers = b"\n".join(b"%s=%s" % (name.encode(), content or b"") for name, content in message.headers() or [])
        yield topic, b"\n".join((message.key() or b"", value, headers))
        if topic == "events.raw":
            yield f"{topic}, opened", body_of(split_record(value)[1], ring)


def _tables(system: System) -> Iterator[tuple[str, bytes]]:
    """Yield every row of every table; what aggregates are made of is read as the bytes that it is."""
    columns = system.clickhouse(
        "SELECT table, name, type FROM system.columns "
        "WHERE database = currentDatabase() AND default_kind != 'EPHEMERAL'"  # such a column is never kept
    )
    for table in sorted({table for table, _, _ in columns}):
        wanted = (
            f"CAST({name} AS String)" if kind.startswith("AggregateFunction") else name
            for owner, name, kind in columns
            if owner == table
        )
        for row in system.clickhouse(f'SELECT {", ".join(wanted)} FROM "{table}"'):  # noqa: S608 - the server's own names
            yield f"table {table}", _bytes(row)


def _bytes(cell: Any) -> bytes:
    if isinstance(cell, bytes):
        return cell
    if isinstance(cell, list | tuple):
        return b"\n".join(_bytes(inner) for inner in cell)
    if isinstance(cell, dict):
        return _bytes([*cell, *cell.values()])
    return str(cell).encode("utf-8", "surrogateescape")


_READ: dict[str, Callable[[Any, bytes], Any]] = {
    "string": lambda client, key: _string(key, client.get(key)),
    "hash": lambda client, key: client.hgetall(key),
    "list": lambda client, key: client.lrange(key, 0, -1),
    "set": lambda client, key: list(client.smembers(key)),
    "zset": lambda client, key: [member for member, _ in client.zrange(key, 0, -1, withscores=True)],
    "stream": lambda client, key: [fields for _, fields in client.xrange(key)],
}


def _string(key: bytes, value: bytes) -> bytes:
    """Return a text of Redis as who asks for it reads it: a secret in a packed result would be seen by luck only."""
    return unpacked(value) if re.search(rb"\bscore:", key) else value


def _redis(url: str) -> Iterator[tuple[str, bytes]]:
    """Yield every key with its value; KeyError where a kind of value is not known here."""
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter():
            kind = client.type(key).decode()
            value = _READ[kind](client, key)
            yield "redis", key + b"\n" + _bytes(value)


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path.name), path.read_bytes()
