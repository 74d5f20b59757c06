"""Finding where a native block ends.

A block on the wire carries no length, so its columns must be walked. Nothing is decoded: the walker only knows how
many bytes each type takes, and the bytes then pass through to the engine as they came.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np

from infra.stack.gateway.wire import ProtocolError, Wire

MAX_COLUMNS = 10_000
MAX_ROWS = 100_000_000
_ENOUGH_ALIKE = 16  # strings of one length; for fewer NumPy is no help

_FIXED = {
    **{f"{sign}Int{bits}": bits // 8 for sign in ("", "U") for bits in (8, 16, 32, 64, 128, 256)},
    **{"Float32": 4, "Float64": 8, "BFloat16": 2, "Bool": 1, "Nothing": 1},
    **{"Date": 2, "Date32": 4, "DateTime": 4, "DateTime32": 4, "DateTime64": 8, "Time": 4, "Time64": 8},
    **{"UUID": 16, "IPv4": 4, "IPv6": 16, "Enum8": 1, "Enum16": 2},
    **{"Decimal32": 4, "Decimal64": 8, "Decimal128": 16, "Decimal256": 32},
}
_ALIASES = {
    "Point": "Tuple(Float64, Float64)",
    "Ring": "Array(Point)",
    "LineString": "Array(Point)",
    "Polygon": "Array(Ring)",
    "MultiLineString": "Array(LineString)",
    "MultiPolygon": "Array(Polygon)",
}
_KEY_BYTES = {0: 1, 1: 2, 2: 4, 3: 8}
_NAMED = re.compile(r"^(?:`(?:[^`\\]|\\.)*`|\w+)\s+(.+)$", re.S)


class Walker(Protocol):
    """Passes over one column of a type: first its prefix, then its rows."""

    def prefix(self, wire: Wire) -> None:
        """Pass over what precedes the column's data."""

    def rows(self, wire: Wire, count: int) -> None:
        """Pass over ``count`` rows."""


class Fixed:
    """A type whose rows all take the same number of bytes."""

    def __init__(self, size: int) -> None:
        self.size = size

    def prefix(self, wire: Wire) -> None:
        """Nothing precedes it."""

    def rows(self, wire: Wire, count: int) -> None:
        """Pass over the rows in one step."""
        wire.skip(self.size * count)


class Text:
    """Strings, each with its length before it."""

    def prefix(self, wire: Wire) -> None:
        """Nothing precedes it."""

    def rows(self, wire: Wire, count: int) -> None:
        """Walk the lengths; strings of one length (ids, hashes, empty ones) that are there take a single step."""
        while count:
            if count > _ENOUGH_ALIKE:
                count -= self._alike(wire, count)
            count -= self._there(wire, count)
            if count:
                wire.skip(wire.varint())
                count -= 1

    @staticmethod
    def _there(wire: Wire, count: int) -> int:
        """Pass over the rows that lie wholly in the buffer and are shorter than 16 KB; return how many they are."""
        buf, known = wire.buf, len(wire.buf)
        for row in range(count):
            at = wire.pos
            if at + 2 > known:
                return row
            if (size := buf[at]) < 0x80:
                after = at + 1 + size
            elif (high := buf[at + 1]) < 0x80:
                after = at + 2 + (size & 0x7F | high << 7)
            else:
                return row
            if after > known:
                return row
            wire.pos = after
        return count

    @staticmethod
    def _alike(wire: Wire, count: int) -> int:
        """Pass over the rows in the buffer if every length byte, each found through the one before, is the same."""
        wire.ensure(1)
        size = wire.buf[wire.pos]
        rows = min(count, (len(wire.buf) - wire.pos) // (size + 1))
        if size >= 0x80 or rows <= _ENOUGH_ALIKE:
            return 0
        lengths = np.frombuffer(wire.buf, np.uint8, rows * (size + 1), wire.pos)[:: size + 1]
        same = bool((lengths == size).all())
        del lengths
        if not same:
            return 0
        wire.pos += rows * (size + 1)
        return rows


class Nullable:
    """A byte per row that says null, then the rows."""

    def __init__(self, inner: Walker) -> None:
        self.inner = inner

    def prefix(self, wire: Wire) -> None:
        """Pass over the inner type's prefix."""
        self.inner.prefix(wire)

    def rows(self, wire: Wire, count: int) -> None:
        """Pass over the mask and the rows."""
        wire.skip(count)
        self.inner.rows(wire, count)


class Tuple:
    """Several columns, one after the other."""

    def __init__(self, inner: Sequence[Walker]) -> None:
        self.inner = inner

    def prefix(self, wire: Wire) -> None:
        """Pass over every prefix first."""
        for walker in self.inner:
            walker.prefix(wire)

    def rows(self, wire: Wire, count: int) -> None:
        """Pass over every column."""
        for walker in self.inner:
            walker.rows(wire, count)


class Array:
    """Cumulative ends, then the elements of all rows. A map is an array of pairs."""

    def __init__(self, inner: Walker) -> None:
        self.inner = inner

    def prefix(self, wire: Wire) -> None:
        """Pass over the elements' prefix."""
        self.inner.prefix(wire)

    def rows(self, wire: Wire, count: int) -> None:
        """The last end is the number of elements."""
        if not count:
            self.inner.rows(wire, 0)
            return
        wire.skip(8 * (count - 1))
        total = wire.u64()
        if total > MAX_ROWS:
            raise ProtocolError(f"an array column of {total} elements")
        self.inner.rows(wire, total)


class LowCardinality:
    """A dictionary and, per row, a key into it."""

    def __init__(self, inner: Walker) -> None:
        self.inner = inner

    def prefix(self, wire: Wire) -> None:
        """Pass over the version of the dictionary's format."""
        wire.skip(8)

    def rows(self, wire: Wire, count: int) -> None:
        """Pass over dictionary and keys; a column without rows has neither."""
        if not count:
            return
        width = _KEY_BYTES.get(wire.u64() & 0xFF)
        words = wire.u64()
        if width is None or words > MAX_ROWS:
            raise ProtocolError("a LowCardinality column with an impossible dictionary")
        self.inner.rows(wire, words)
        keys = wire.u64()
        if keys > MAX_ROWS:
            raise ProtocolError("a LowCardinality column with too many keys")
        wire.skip(width * keys)


def _split(arguments: str) -> list[str]:
    """Split a type's arguments at its own commas, not at those inside brackets or quotes."""
    parts, depth, quote, start, at = [], 0, "", 0, 0
    while at < len(arguments):
        char = arguments[at]
        if quote:
            at += char == "\\"
            quote = "" if char == quote else quote
        elif char in "'`":
            quote = char
        elif char in "()":
            depth += 1 if char == "(" else -1
        elif char == "," and depth == 0:
            parts.append(arguments[start:at].strip())
            start = at + 1
        at += 1
    return [*parts, arguments[start:].strip()]


def _element(argument: str) -> Walker:
    """Return the walker of a tuple's element, which may have a name before its type."""
    named = _NAMED.match(argument)
    return walker_of(named.group(1) if named else argument)


def _sized(name: str, arguments: list[str]) -> Walker | None:
    """Return the walker of a type whose width stands in its arguments."""
    if name == "FixedString":
        return Fixed(int(arguments[0]))
    if name == "Decimal":
        digits = int(arguments[0])
        return Fixed(next(size for limit, size in ((9, 4), (18, 8), (38, 16), (76, 32)) if digits <= limit))
    if name.startswith("Interval"):
        return Fixed(8)
    return None


def _tuple(arguments: list[str]) -> Walker:
    """Return the walker of a tuple."""
    return Tuple([_element(argument) for argument in arguments])


def _low_cardinality(arguments: list[str]) -> Walker:
    """Return the walker of a dictionary, which holds no nulls even where the rows do."""
    inner = arguments[0]
    return LowCardinality(walker_of(inner[9:-1] if inner.startswith("Nullable(") else inner))


_NESTED: dict[str, Callable[[list[str]], Walker]] = {
    "Nullable": lambda arguments: Nullable(walker_of(arguments[0])),
    "Array": lambda arguments: Array(walker_of(arguments[0])),
    "Tuple": _tuple,
    "Map": lambda arguments: Array(_tuple(arguments)),
    "Nested": lambda arguments: Array(_tuple(arguments)),
    "LowCardinality": _low_cardinality,
    "SimpleAggregateFunction": lambda arguments: walker_of(arguments[-1]),
}


def _nested(name: str, arguments: list[str]) -> Walker | None:
    """Return the walker of a type that is built from others."""
    make = _NESTED.get(name)
    return make(arguments) if make else None


def walker_of(type_name: str) -> Walker:
    """Return the walker of a type; a type that the gateway cannot walk is a protocol error."""
    return _made(type_name)


@lru_cache(maxsize=4096)
def _made(type_name: str) -> Walker:
    """Make the walker of a type, once."""
    name, _, rest = type_name.partition("(")
    arguments = _split(rest[:-1]) if rest else []
    if name == "String":
        return Text()
    if name in _ALIASES:
        return walker_of(_ALIASES[name])
    try:
        found = Fixed(_FIXED[name]) if name in _FIXED else _sized(name, arguments) or _nested(name, arguments)
    except (ValueError, IndexError, StopIteration, RecursionError):
        found = None
    if found is None:
        raise ProtocolError(f"type {type_name[:100]} cannot be inserted through the gateway")
    return found


class Block(NamedTuple):
    """One block: its columns, its number of rows, and its bytes as ``FORMAT Native`` has them."""

    columns: tuple[tuple[str, str], ...]
    rows: int
    data: bytes
    name: str = ""


def skip_info(wire: Wire) -> None:
    """Pass over the fields that precede a block on the wire and that ``FORMAT Native`` does not have."""
    while field := wire.varint():
        if field not in (1, 2):
            raise ProtocolError(f"unknown field {field} before a block")
        wire.skip(1 if field == 1 else 4)


def block_size(wire: Wire) -> tuple[int, int]:
    """Read how many columns and rows a block has."""
    width, rows = wire.varint(), wire.varint()
    if width > MAX_COLUMNS or rows > MAX_ROWS:
        raise ProtocolError(f"a block of {width} columns and {rows} rows")
    return width, rows


def read_block(wire: Wire, name: str = "") -> Block:
    """Read one block without its info; ``name`` is that of the table it belongs to."""
    start = wire.pos
    width, rows = block_size(wire)
    columns = _walk(wire, width, rows)
    return Block(columns, rows, bytes(memoryview(wire.buf)[start : wire.pos]), name)


def pass_block(wire: Wire, sink: Callable[[memoryview], object]) -> bool:
    """Give ``sink`` the bytes of one block without its info, if it has rows; false where it has no columns either."""
    wire.compact()
    width, rows = block_size(wire)
    if not rows:
        return bool(_walk(wire, width, rows))
    with wire.passing(sink):
        _walk(wire, width, rows)
    return True


def _walk(wire: Wire, width: int, rows: int) -> tuple[tuple[str, str], ...]:
    """Pass over the columns of a block and return their names and types."""
    columns = []
    for _ in range(width):
        column, kind = wire.text(65_536), wire.text(65_536)
        columns.append((column, kind))
        if rows:
            walker = walker_of(kind)
            walker.prefix(wire)
            walker.rows(wire, rows)
    return tuple(columns)
