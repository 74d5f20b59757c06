"""Columns of the ClickHouse tables as bytes, a row each, for the backup, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from flows.sinks.tables import Column, Table, objects

_PACK = msgspec.msgpack.Encoder()
_UNPACK = msgspec.msgpack.Decoder(dict[str, dict[str, tuple[str, Any]]])


def pack_rows(tables: Mapping[str, Table]) -> list[bytes]:
    """Return row i of every table as one value: what a letter carries. All tables have the same number of rows."""
    kinds = {name: {column: values.dtype.str for column, values in table.items()} for name, table in tables.items()}
    plain = {name: {column: _plain(values) for column, values in table.items()} for name, table in tables.items()}
    rows = max((len(next(iter(table.values()))) for table in tables.values()), default=0)
    return [
        _PACK.encode(
            {name: {c: (kinds[name][c], values[row]) for c, values in table.items()} for name, table in plain.items()}
        )
        for row in range(rows)
    ]


def unpack_rows(packed: Sequence[bytes]) -> list[dict[str, Table]]:
    """Return the tables of many packed rows; msgspec.ValidationError where one is none.

    Rows of one table that do not have the same columns, because another build packed them, are in different dicts.
    """
    parts: dict[str, dict[tuple[tuple[str, str], ...], list[dict[str, tuple[str, Any]]]]] = {}
    for value in packed:
        for name, row in _UNPACK.decode(value).items():
            kinds = tuple((column, kind) for column, (kind, _) in row.items())
            parts.setdefault(name, {}).setdefault(kinds, []).append(row)
    found: list[dict[str, Table]] = []
    for name, of_table in parts.items():
        for place, (kinds, rows) in enumerate(of_table.items()):
            if place == len(found):
                found.append({})
            found[place][name] = {column: _column(kind, [row[column][1] for row in rows]) for column, kind in kinds}
    return found


def _plain(values: Column) -> list[Any]:
    return values.view(np.int64).tolist() if values.dtype.kind == "M" else values.tolist()


def _column(kind: str, values: list[Any]) -> Column:
    if kind == "|O":
        return objects(values)
    return np.array(values, np.int64).view(kind) if kind[1] == "M" else np.array(values, kind)
