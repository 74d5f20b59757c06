"""Hypothesis strategies for the columns of the wire: any catalogue shape, any values, any number of rows."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from schemas.batches import Activity, Signals
from schemas.catalogue import Catalogue, load_catalogue
from schemas.nested import pack_texts

CATALOGUE = load_catalogue()


def finite_float32() -> st.SearchStrategy[float]:
    """Return finite float32 values, within bounds: without, hypothesis draws constants that do not fit the width."""
    greatest = float(np.finfo(np.float32).max)
    return st.floats(-greatest, greatest, width=32)


class Recipe(NamedTuple):
    """What a batch is made from: few drawn values, spread by a drawn seed, so that shrinking stays quick."""

    seed: int
    share: float  # of what is absent
    floats: list[float]
    texts: list[bytes | None]


RECIPES = st.builds(
    Recipe,
    st.integers(0, 2**32 - 1),
    st.sampled_from((0.0, 0.3, 1.0)),
    st.lists(finite_float32() | st.sampled_from([math.nan, math.inf, -math.inf]), min_size=1, max_size=6),
    st.lists(
        st.one_of(st.none(), st.binary(max_size=40), st.text(max_size=20).map(str.encode)), min_size=1, max_size=9
    ),
)


def signals(recipe: Recipe, rows: int, catalogue: Catalogue = CATALOGUE) -> Signals:
    """Return signals of a catalogue."""
    numbers, booleans, categories, texts = catalogue.counts()
    rng = np.random.default_rng(recipe.seed)
    floats = rng.normal(0, 1e4, (rows, numbers)).astype(np.float32)
    floats[rng.random(floats.shape) < recipe.share] = np.nan
    for value in recipe.floats if floats.size else ():
        floats.flat[rng.integers(floats.size)] = value
    known = rng.random((rows, booleans)) >= recipe.share
    values = (rng.random((rows, booleans)) < 0.5) & known
    hashes = rng.integers(0, 2**32, (rows, categories), dtype=np.uint32)
    hashes[rng.random(hashes.shape) < recipe.share] = 0
    few = recipe.texts
    tail = [[few[int(rng.integers(len(few)))] for _ in range(texts)] for _ in range(rows)]
    versions = np.full(rows, catalogue.version, np.uint16)
    return Signals(versions, floats, known, values, hashes, pack_texts(tail, texts))


def activities(recipe: Recipe, rows: int, most: int = 12) -> Activity:
    """Return ragged logs, any codes, times and values, NaN among them."""
    rng = np.random.default_rng(recipe.seed + 1)
    lengths = rng.integers(0, most + 1, rows)
    total = int(lengths.sum())
    values = rng.normal(0, 1e3, total).astype(np.float32)
    for value in recipe.floats if total else ():
        values[rng.integers(total)] = value
    return Activity(
        np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths))),
        rng.integers(0, 2**32, total, dtype=np.uint32),
        values,
        rng.integers(0, 2**16, total, dtype=np.uint16),
        rng.integers(0, 2**8, total, dtype=np.uint8),
    )


def same(left: Any, right: Any) -> bool:
    """Return whether two batches, sections or values are equal column by column, NaN equal to NaN."""
    if type(left) is not type(right):
        return False
    if isinstance(left, np.ndarray):
        if left.dtype != right.dtype or left.shape != right.shape:
            return False
        return left.tobytes() == right.tobytes()
    if hasattr(left, "__dataclass_fields__"):
        return all(same(getattr(left, name), getattr(right, name)) for name in left.__dataclass_fields__)
    return bool(left == right)


def texts_of(found: Signals) -> list[list[bytes | None]]:
    """Return the texts by column: what they say, wherever they lie."""
    return [found.texts.column(position) for position in range(found.texts.length.shape[1])]


def same_signals(left: Signals, right: Signals) -> bool:
    """Return whether two sections say the same, wherever their texts lie."""
    names = ("catalogue", "numbers", "known", "booleans", "categories")
    return all(same(getattr(left, n), getattr(right, n)) for n in names) and texts_of(left) == texts_of(right)


def same_activity(left: Activity, right: Activity) -> bool:
    """Return whether two sections hold the same entries, row by row."""
    names = ("offsets", "time", "value", "code", "target")
    return all(same(np.asarray(getattr(left, n)), np.asarray(getattr(right, n))) for n in names)
