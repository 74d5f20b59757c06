"""Columns of a tuple as vectors and matrices that steps of the state's kernels may make: see ``schemas.pointers``."""

from __future__ import annotations

from typing import Any

from flows.stages.device_state.compiled import part, step
from flows.stages.device_state.memory import matrix_at, vector_at, word_at
from schemas.pointers import DATA, ITEMS, NOT_PLAIN, POINTER, SHAPE, are_plain, numbers_of, plain_ones

__all__ = [
    "NOT_PLAIN", "address_of", "are_plain", "length_of", "matrix_in", "numbers_of", "plain_ones", "vector_in",
    "width_of",
]  # fmt: skip


@step
def address_of(columns: Any, place: Any) -> Any:
    """Return where the data of a column begin."""
    return word_at(word_at(columns + ITEMS + POINTER * place) + DATA)


@step
def length_of(columns: Any, place: Any) -> Any:
    """Return how many rows a column has."""
    return word_at(word_at(word_at(columns + ITEMS + POINTER * place) + SHAPE))


@step
def width_of(columns: Any, place: Any) -> Any:
    """Return how wide the rows of a matrix are."""
    return word_at(word_at(word_at(columns + ITEMS + POINTER * place) + SHAPE) + POINTER)


def vector_in(dtype: Any) -> Any:
    """Return a compiled function from columns and a place to the vector there; it owns nothing."""
    vector = vector_at(dtype)

    @part
    def found(columns: Any, place: Any) -> Any:
        return vector(address_of(columns, place), length_of(columns, place), 0)

    return found


def matrix_in(dtype: Any, width: int = 0) -> Any:
    """Return the same for matrices; of a ``width``, in items of the type, where it is not as NumPy has it."""
    matrix = matrix_at(dtype)

    @part
    def found(columns: Any, place: Any) -> Any:
        items = width if width else width_of(columns, place)
        return matrix(address_of(columns, place), length_of(columns, place), items)

    return found
