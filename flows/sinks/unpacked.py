"""Packed columns as the numbers that a table keeps, in the bytes of ClickHouse's native protocol.

The tables can unpack by their defaults, and do for rows that a build before this one left in the backup; but that costs
the server an expression a column, a fifth of what an insert takes. clickhouse-driver would walk arrays element by
element: here their bytes go out as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
from clickhouse_driver import Client
from clickhouse_driver.block import ColumnOrientedBlock
from clickhouse_driver.columns.service import write_column
from clickhouse_driver.defines import DBMS_MIN_REVISION_WITH_CUSTOM_SERIALIZATION
from clickhouse_driver.errors import TypeMismatchError
from clickhouse_driver.protocol import ClientPacketTypes
from clickhouse_driver.varint import write_varint
from clickhouse_driver.writer import write_binary_str, write_binary_uint8
from numpy.typing import NDArray

from flows.sinks.tables import Column, Table
from schemas.velocity import WINDOWS

_BYTES: Final = {"UInt8": 1, "Int8": 1, "UInt16": 2, "UInt32": 4, "Float32": 4, "Int64": 8}
# Column of packed rows: the array that they are, and the type of its elements.
_ARRAYS: Final = {
    "activity_time_bytes": ("activity_time", "UInt32"),
    "activity_code_bytes": ("activity_code", "UInt16"),
    "activity_target_bytes": ("activity_target", "UInt8"),
    "activity_value_bytes": ("activity_value", "Float32"),
    "contributions_bytes": ("contributions", "Float32"),
    "scores_bytes": ("earlier_scores", "Float32"),
    "smart_results_bytes": ("smart_results", "Int8"),
    "smart_confidences_bytes": ("smart_confidences", "Float32"),
    "smart_reasons_bytes": ("smart_reasons", "UInt32"),
    "shadow_scores_bytes": ("shadow_scores", "Float32"),
    "ledger_micros_bytes": ("ledger_micros", "Int64"),
}
# The columns that a packed row of UInt32 is; None: not kept from here.
_COUNTS: Final = (
    *(None,) * len(WINDOWS),
    *(
        f"{of}_{window}"
        for of, window in product(("addresses", "accounts", "countries", "merchants", "sessions"), WINDOWS)
    ),
)
_SHARED: Final = tuple(
    f"{of}_{what}_{window}"
    for of, what, window in product(
        ("address", "network", "asn", "account", "fingerprint", "card"), ("events", "devices"), WINDOWS
    )
)
_JOINED: Final = "_text"  # how columns are called that a table splits
_TEXT: Final = "String"
_WORDS: Final = "LowCardinality(String)"
_WORDS_VERSION, _OWN_WORDS = 1, 1 << 9  # the words come with the block
_FEW_BYTES: Final = 512  # of a row: joining rows below costs less than a write for each


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column as it goes over the wire, behind its name and type ``kind``."""

    kind: str
    rows: int
    pieces: Sequence[bytes]

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.rows


Piece = dict[str, Column | Numbers]
"""Columns of some rows as they are sent."""


def pieces_of(table: Table, rows: int | None = None) -> Iterator[Piece]:
    """Yield the columns that a table keeps, of so many rows at a time; None: of all, as one.

    A packed column that is not of its form stays for the table to unpack; only whole can such a table be sent. Joined
    texts that are empty in all rows are left out: the table takes them for empty, and need not split them.
    """
    kept = {name: column for name, column in table.items() if not name.endswith(_JOINED) or any(column.tolist())}
    if rows is None:
        yield _unpacked(kept)
        return
    for first in range(0, max(map(len, kept.values()), default=0), rows):
        yield _unpacked({name: column[first : first + rows] for name, column in kept.items()})


def _unpacked(table: Table) -> Piece:
    found: Piece = {}
    for name, column in table.items():
        numbers = _numbers(name, column)
        if numbers is None:
            found[name] = column
        else:
            found |= numbers
    return found


def _numbers(name: str, column: Column) -> Mapping[str, Numbers] | None:
    if name in _ARRAYS:
        return _array(*_ARRAYS[name], column.tolist())
    if name == "velocity_bytes":
        return _matrix(_COUNTS, column.tolist(), unknown=False)
    if name == "shared_bytes":
        return _matrix(_SHARED, column.tolist(), unknown=True)
    return None


def _array(name: str, kind: str, packed: list[bytes]) -> Mapping[str, Numbers] | None:
    sizes, size = _lengths(packed), _BYTES[kind]
    if (sizes % size).any():
        return None
    values = packed if sizes.sum() >= _FEW_BYTES * len(packed) else [b"".join(packed)]
    offsets = np.cumsum(sizes // size).astype("<u8").tobytes()
    return {name: Numbers(f"Array({kind})", len(packed), (offsets, *values))}


def _matrix(names: Sequence[str | None], packed: list[bytes], *, unknown: bool) -> Mapping[str, Numbers] | None:
    """Return the columns of rows of UInt32; ``unknown``: 0 stands for NULL."""
    width = 4 * len(names)
    if (_lengths(packed) != width).any():
        return None
    columns = np.ascontiguousarray(np.frombuffer(b"".join(packed), "<u4").reshape(len(packed), -1).T)
    kind = "Nullable(UInt32)" if unknown else "UInt32"
    nulls = (columns == 0).view(np.uint8) if unknown else None
    return {
        name: Numbers(kind, len(packed), (() if nulls is None else (nulls[at].tobytes(),)) + (columns[at].tobytes(),))
        for at, name in enumerate(names)
        if name is not None
    }


def _lengths(packed: list[bytes]) -> NDArray[np.int64]:
    return np.fromiter(map(len, packed), np.int64, len(packed))


def taught(client: Client) -> Client:
    """Make the driver's client take an insert's columns piece by piece, :class:`Numbers` among them, and return it."""

    def send_data(sample: Any, data: Iterable[Sequence[Any]], types_check: bool = False, columnar: bool = True) -> int:
        rows = 0
        for columns in data:
            if found := len(columns[0]) if columns else 0:
                rows += found
                _send(client.connection, ColumnOrientedBlock(sample.columns_with_types, columns))
                client.receive_profile_events()
        client.connection.send_data(ColumnOrientedBlock())
        client.receive_profile_events()
        return rows

    client.send_data = send_data
    return client


def _send(connection: Any, block: Any) -> None:
    """Write one block as clickhouse-driver does, but for the columns that are bytes already."""
    write_varint(ClientPacketTypes.DATA, connection.fout)
    write_binary_str("", connection.fout)  # the name of an external table
    stream = connection.block_out
    out, kinds = stream.fout, block.columns_with_types
    block.info.write(out)
    write_varint(len(kinds), out)
    write_varint(block.num_rows, out)
    marked = connection.server_info.used_revision >= DBMS_MIN_REVISION_WITH_CUSTOM_SERIALIZATION
    for (name, kind), column in zip(kinds, block.get_columns(), strict=True):
        write_binary_str(name, out)
        write_binary_str(kind, out)
        if marked:
            write_binary_uint8(0, out)
        if isinstance(column, Numbers):
            _write(name, kind, column, out)
        elif kind == _WORDS:
            write_words(column.tolist(), out)
        elif kind == _TEXT:
            out.write_strings(column.tolist())  # the driver would ask pandas first whether one is null
        else:
            write_column(stream.context, name, kind, column, out)
    stream.finalize()


def _write(name: str, kind: str, column: Numbers, out: Any) -> None:
    if kind != column.kind:
        raise TypeMismatchError(f"column {name} is {kind} where {column.kind} is written")
    for piece in column.pieces:
        out.write(piece)


def write_words(values: list[bytes], out: Any) -> None:
    """Write a LowCardinality(String): the different texts, and numbers of them, for which the driver asks pandas."""
    place = {word: at for at, word in enumerate(dict.fromkeys(values))}
    width, numbers = next(
        (width, np.dtype(kind))
        for width, kind in enumerate(("u1", "<u2", "<u4"))
        if len(place) <= 1 << 8 * (1 << width)
    )
    out.write(np.array([_WORDS_VERSION, _OWN_WORDS | width, len(place)], "<u8").tobytes())
    for word in place:
        write_varint(len(word), out)
        out.write(word)
    out.write(len(values).to_bytes(8, "little"))
    if len(place) == 1:  # as half of the columns: versions, names of what is counted
        out.write(bytes(len(values)))
    else:
        out.write(np.fromiter(map(place.__getitem__, values), numbers, len(values)).tobytes())
