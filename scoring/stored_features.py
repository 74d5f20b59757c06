"""The feature row of an event as bytes: what scoring it again, and explaining it, needs months later.

Columns are packed by what they can hold: yes and no in two bits, categories in 17, the rest as float32. 1,701 features
take 2.8 KB instead of 6.8. The bytes of one row, little-endian, are those of the fields of ``row_type``; names and
their order are not in them: whoever stores rows stores the digest of the feature schema beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from schemas.batches import F32, U8, U16, U32, Bool, Enriched
from schemas.pointers import NOT_PLAIN, plain_ones
from scoring.features import FeatureSchema, feature_schema
from scoring.packed_loops import COLUMNS, pack_rows

FORMAT: Final = 1  # of the bytes; another one has other fields
_ZERO, _ONE, _NAN = (np.float32(value).view(np.uint32) for value in (0, 1, np.nan))
_FLOAT_BYTES: Final = 4
_EXACT = np.float32(1 << 23)  # a float32 from here on is a whole number, and its low bits are that number's


class FeaturesError(ValueError):
    """Features cannot be packed or unpacked; the text is one sentence that says why."""


def _flags(schema: FeatureSchema) -> tuple[slice, ...]:
    return schema.booleans, schema.checks, schema.smart_result


def _others(schema: FeatureSchema) -> tuple[slice, ...]:
    """Return the columns that are neither flags nor categories, as ranges."""
    taken = sorted((*_flags(schema), schema.categories), key=lambda block: cast(int, block.start))
    edges = [0, *(edge for block in taken for edge in (block.start, block.stop)), len(schema)]
    return tuple(slice(first, last) for first, last in list(pairwise(edges))[::2] if first < last)


def _width(blocks: Sequence[slice]) -> int:
    return sum(block.stop - block.start for block in blocks)


@cache
def row_type() -> np.dtype[np.void]:
    """Return the fields of a packed row of this build's features."""
    schema = feature_schema()
    flags, categories = _width(_flags(schema)), _width([schema.categories])
    return np.dtype(
        [
            ("numbers", "<f4", (_width(_others(schema)),)),
            ("categories", "<u2", (categories,)),
            ("format", "<u2"),
            ("is_category", "u1", (-(-categories // 8),)),
            ("is_one", "u1", (-(-flags // 8),)),
            ("is_absent", "u1", (-(-flags // 8),)),
        ]
    )


@cache
def schema_digest() -> str:
    """Return what is stored beside the rows: the digest of this build's feature schema."""
    return feature_schema().digest()


def row_bytes() -> int:
    """Return the bytes of a packed row."""
    return row_type().itemsize


def pack(features: F32) -> U8:
    """Return float32[n, F] as uint8[n, W], from which ``unpack`` gives the same bits again.

    FeaturesError where a flag is not 0, 1 or NaN, or a category not a whole number below 65,536 or NaN.
    """
    schema = feature_schema()
    if features.ndim != 2 or features.shape[1] != len(schema):
        raise FeaturesError(f"a row has {len(schema)} features in this build, not {features.shape[-1]}")
    table = np.zeros(len(features), row_type())
    table["format"] = FORMAT
    _pack_flags(features, schema, table)
    _pack_categories(features[:, schema.categories], table)
    for here, there in _side_by_side(_others(schema)):
        table["numbers"][:, here] = features[:, there]
    return table.view(np.uint8).reshape(len(table), row_bytes())


def packed(batch: Enriched, features: F32) -> U8:
    """Return what ``pack`` gives for the features of a batch: flags and categories are read where they came from."""
    tables, signals = _layout(), batch.signals
    rows = np.empty((len(features), row_bytes()), np.uint8)
    columns = (
        features, signals.booleans, signals.known, signals.categories, batch.environment.checks, batch.smart.result,
        rows,
    )  # fmt: skip
    if pack_rows(id(columns), id(tables)) == NOT_PLAIN:
        columns = (*plain_ones(columns[:-1], COLUMNS), rows)  # type: ignore[assignment] # as many
        pack_rows(id(columns), id(tables))
    return rows


@cache
def _layout() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the tables of ``pack_rows``."""
    schema, fields = feature_schema(), cast(Mapping[str, tuple[Any, int]], row_type().fields)
    ranges = np.array([(block.start, block.stop) for block in _others(schema)], np.int64) * _FLOAT_BYTES
    places = (fields[name][1] for name in ("categories", "is_category", "is_one", "is_absent", "format"))
    return ranges, np.array([*places, FORMAT, _width([schema.checks])], np.int64)


def unpack(rows: Sequence[bytes] | U8) -> F32:
    """Return packed rows as float32[n, F]. FeaturesError where they are not of this build's width and format."""
    table, schema = _rows(rows), feature_schema()
    features = np.empty((len(table), len(schema)), np.float32)
    flags = np.where(_bits(table["is_one"], _width(_flags(schema))), np.float32(1), np.float32(0))
    flags[_bits(table["is_absent"], flags.shape[1])] = np.nan
    for here, there in _side_by_side(_flags(schema)):
        features[:, there] = flags[:, here]
    categories = features[:, schema.categories]
    categories[...] = table["categories"]
    categories[~_bits(table["is_category"], categories.shape[1])] = np.nan
    for here, there in _side_by_side(_others(schema)):
        features[:, there] = table["numbers"][:, here]
    return features


def _pack_flags(features: F32, schema: FeatureSchema, table: NDArray[np.void]) -> None:
    blocks = _flags(schema)
    flags = np.empty((len(features), _width(blocks)), np.float32)
    for here, there in _side_by_side(blocks):
        flags[:, here] = features[:, there]
    bits: U32 = flags.view(np.uint32)
    is_one, is_absent, is_zero = bits == _ONE, bits == _NAN, bits == _ZERO
    if sum(map(np.count_nonzero, (is_one, is_absent, is_zero))) != bits.size:
        raise FeaturesError("a feature that can only be 0, 1 or absent is something else: the row cannot be packed")
    table["is_one"] = np.packbits(is_one, axis=1)
    table["is_absent"] = np.packbits(is_absent, axis=1)


def _pack_categories(categories: F32, table: NDArray[np.void]) -> None:
    absent = categories.view(np.uint32) == _NAN
    with np.errstate(invalid="ignore"):  # a NaN of another kind is refused below
        codes: U16 = (categories + _EXACT).view(np.uint32).astype(np.uint16)
    same = codes.astype(np.float32).view(np.uint32) == categories.view(np.uint32)
    if np.count_nonzero(same) + np.count_nonzero(absent) != categories.size:
        raise FeaturesError("a category is neither absent nor a whole number below 65,536: the row cannot be packed")
    table["categories"] = codes
    table["is_category"] = np.packbits(same, axis=1)


def _side_by_side(blocks: Sequence[slice]) -> Iterator[tuple[slice, slice]]:
    """Yield where each range of the features' columns lies when they are put one beside the other, and the range."""
    at = 0
    for block in blocks:
        width = block.stop - block.start
        yield slice(at, at + width), block
        at += width


def _bits(packed: U8, width: int) -> Bool:
    return np.unpackbits(packed, axis=1, count=width).view(np.bool_)


def _rows(rows: Sequence[bytes] | U8) -> NDArray[np.void]:
    width = row_bytes()
    if isinstance(rows, np.ndarray):
        if rows.ndim != 2 or rows.shape[1] != width:
            raise FeaturesError(f"a packed row of this build has {width} bytes, not {rows.shape[-1]}")
        table = np.ascontiguousarray(rows, np.uint8).view(row_type())[:, 0]
    else:
        other = next((len(row) for row in rows if len(row) != width), None)
        if other is not None:
            raise FeaturesError(f"a packed row of this build has {width} bytes, not {other}")
        table = np.frombuffer(b"".join(rows), row_type())
    if (table["format"] != FORMAT).any():
        raise FeaturesError(f"a packed row is not of format {FORMAT}, which this build reads")
    return table
