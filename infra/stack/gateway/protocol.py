"""The packets of ClickHouse's native protocol that the gateway understands, at one fixed revision.

The revision is the last one before headers for other servers, tracing and custom serializations appeared: every
client that speaks a newer one steps down to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from infra.stack.gateway.wire import ProtocolError, Wire, text, varint

REVISION = 54440
OLDEST_CLIENT = 54429  # settings travel as text from here on
_BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"
_TCP, _HTTP = 1, 2
MAX_SETTINGS = 1_000
MAX_NAME_BYTES = 4_096


class FromClient(IntEnum):
    """What a client may send."""

    HELLO = 0
    QUERY = 1
    DATA = 2
    CANCEL = 3
    PING = 4


class FromServer(IntEnum):
    """What the gateway answers."""

    HELLO = 0
    DATA = 1
    EXCEPTION = 2
    PROGRESS = 3
    PONG = 4
    END_OF_STREAM = 5


@dataclass(frozen=True, slots=True)
class Hello:
    """Who connects."""

    client: str
    revision: int
    database: str
    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a query; an important one must be known."""

    name: str
    value: str
    important: bool


@dataclass(frozen=True, slots=True)
class Query:
    """A query as the client sent it."""

    query_id: str
    settings: tuple[Setting, ...]
    compressed: bool
    sql: str


def read_hello(wire: Wire) -> Hello:
    """Read the first packet; anything else than a greeting ends the connection."""
    if wire.u8() != FromClient.HELLO:
        raise ProtocolError("the first byte is not a ClickHouse greeting")
    client = wire.text(MAX_NAME_BYTES)
    wire.varint()
    wire.varint()
    revision = wire.varint()
    database, user, password = (wire.text(MAX_NAME_BYTES) for _ in range(3))
    return Hello(client, revision, database, user, password)


def _skip_client_info(wire: Wire) -> None:
    """Pass over what the client says about itself."""
    if wire.u8() == 0:
        return
    for _ in range(3):
        wire.text(MAX_NAME_BYTES)
    interface = wire.u8()
    if interface == _TCP:
        for _ in range(3):
            wire.text(MAX_NAME_BYTES)
        for _ in range(3):
            wire.varint()
    elif interface == _HTTP:
        wire.u8()
        wire.text(MAX_NAME_BYTES)
    else:
        raise ProtocolError(f"unknown client interface {interface}")
    wire.text(MAX_NAME_BYTES)
    if interface == _TCP:
        wire.varint()


def _read_settings(wire: Wire) -> tuple[Setting, ...]:
    """Read settings up to the empty name that ends them."""
    found: list[Setting] = []
    while name := wire.text(MAX_NAME_BYTES):
        flags = wire.varint()
        found.append(Setting(name, wire.text(), bool(flags & 1)))
        if len(found) > MAX_SETTINGS:
            raise ProtocolError(f"more than {MAX_SETTINGS} settings")
    return tuple(found)


def read_query(wire: Wire) -> Query:
    """Read a query packet behind its type."""
    query_id = wire.text(MAX_NAME_BYTES)
    _skip_client_info(wire)
    settings = _read_settings(wire)
    wire.varint()  # the stage: always the complete result
    compressed = bool(wire.varint())
    return Query(query_id, settings, compressed, wire.text())


def hello(name: str, version: tuple[int, int, int], timezone: str) -> bytes:
    """Greet the client."""
    major, minor, patch = version
    head = varint(FromServer.HELLO) + text(name) + varint(major) + varint(minor) + varint(REVISION)
    return head + text(timezone) + text("clickgoose") + varint(patch)


def exception(code: int, message: str) -> bytes:
    """Report a server error with its code."""
    head = varint(FromServer.EXCEPTION) + code.to_bytes(4, "little", signed=True)
    return head + text("DB::Exception") + text(f"DB::Exception: {message}") + text("") + b"\x00"


def progress(rows: int, size: int) -> bytes:
    """Report what was read so far."""
    return b"".join(map(varint, (FromServer.PROGRESS, rows, size, rows, 0, 0)))


def data_head() -> bytes:
    """Open a data packet: its type and the empty name of the result table."""
    return varint(FromServer.DATA) + text("")


def with_info(block: bytes) -> bytes:
    """Put the block info, which ``FORMAT Native`` leaves out, before a block."""
    return _BLOCK_INFO + block


def header_block(columns: tuple[tuple[str, str], ...]) -> bytes:
    """Make a block of no rows, which tells names and types."""
    return varint(len(columns)) + varint(0) + b"".join(text(name) + text(kind) for name, kind in columns)


PONG = varint(FromServer.PONG)
END_OF_STREAM = varint(FromServer.END_OF_STREAM)
