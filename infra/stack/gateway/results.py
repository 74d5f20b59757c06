"""What a query's result looks like, and the two things ``FORMAT Native`` lacks: a header, and the zone of a time."""

from __future__ import annotations

from collections.abc import Iterator

from infra.stack.gateway.native import block_size, read_block, walker_of
from infra.stack.gateway.protocol import header_block
from infra.stack.gateway.wire import ProtocolError, Wire, text, varint

Columns = tuple[tuple[str, str], ...]


def _over(data: bytes) -> Wire:
    """Return a wire that holds just these bytes."""
    wire = Wire(lambda: b"")
    wire.buf = bytearray(data)
    return wire


def with_header(data: bytes) -> Iterator[bytes]:
    """Split native bytes into their blocks, with names and types alone before the first, as a server has it."""
    wire = _over(data)
    first = True
    while wire.pos < len(wire.buf):
        block = read_block(wire)
        if first:
            yield header_block(block.columns)
        first = False
        yield block.data


def needs_zones(columns: Columns) -> bool:
    """Tell whether the engine would leave out a zone: it does for ``DateTime('zone')`` outside any other type.

    A result that has, besides, a type that cannot be walked stays as the engine writes it.
    """
    if not any(kind.startswith("DateTime(") for _, kind in columns):
        return False
    try:
        for _, kind in columns:
            walker_of(kind)
    except ProtocolError:
        return False
    return True


def add_zones(data: bytes, columns: Columns) -> bytes:
    """Return native blocks with the full type names in place of the bare ``DateTime``."""
    wire = _over(data)
    out: list[bytes | memoryview] = []
    with memoryview(data) as raw:
        while wire.pos < len(raw):
            width, rows = block_size(wire)
            if width != len(columns):
                raise ProtocolError(f"a block of {width} columns in a result of {len(columns)}")
            out.append(varint(width) + varint(rows))
            for _, described in columns:
                name, kind = wire.text(), wire.text()
                out.append(text(name) + text(described if kind == "DateTime" else kind))
                start = wire.pos
                if rows:
                    walker = walker_of(kind)
                    walker.prefix(wire)
                    walker.rows(wire, rows)
                out.append(raw[start : wire.pos])
        return b"".join(out)
