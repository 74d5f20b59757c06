"""Batches whose columns lie as no loop was compiled for: every other row of longer ones, or not to be written to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from schemas.columns import Columns

Column = NDArray[Any]
T = TypeVar("T", bound=Columns)


def spread(column: Column) -> Column:
    """Return the same rows with others between them."""
    return np.repeat(column, 2, axis=0)[::2]


def read_only(column: Column) -> Column:
    """Return a copy that may not be written to."""
    copy = column.copy()
    copy.flags.writeable = False
    return copy


def swapped(column: Column) -> Column:
    """Return the same numbers with their bytes in the other order."""
    return column.astype(column.dtype.newbyteorder())


def laid(batch: T, how: Callable[[Column], Column], *skip: str) -> T:
    """Return the batch with all its columns laid so, but for some sections or fields."""
    found: dict[str, Any] = {}
    for field in fields(batch):
        value = getattr(batch, field.name)
        if field.name in skip:
            continue
        if isinstance(value, np.ndarray):
            found[field.name] = how(value)
        elif isinstance(value, Columns):
            found[field.name] = laid(value, how, *skip)
    return replace(batch, **found)
