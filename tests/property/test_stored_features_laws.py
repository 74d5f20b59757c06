"""A packed row gives the same features again, bit for bit, or is not made at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from schemas.batches import F32
from scoring.features import feature_schema
from scoring.stored_features import FeaturesError, pack, row_bytes, unpack

SCHEMA = feature_schema()
FLAGS = (SCHEMA.booleans, SCHEMA.checks, SCHEMA.smart_result)
bits = st.integers(0, 2**32 - 1) | st.sampled_from([0x7F800000, 0xFF800000, 0x80000000, 0x7FA00001, 0xFFC00000])


def bits_of(features: F32) -> NDArray[np.uint32]:
    return np.ascontiguousarray(features).view(np.uint32)


def table(seed: int, rows: int, numbers: list[int]) -> F32:
    """Return features of which each is anything that its kind can hold; ``numbers`` are bits of some of the others."""
    rng = np.random.default_rng(seed)
    found = rng.integers(0, 2**32, (rows, len(SCHEMA)), dtype=np.uint32).view(np.float32)
    columns = np.setdiff1d(np.arange(len(SCHEMA)), np.r_[SCHEMA.categories, *FLAGS])
    for value in numbers:
        found.view(np.uint32)[rng.integers(rows), rng.choice(columns)] = value
    for block in FLAGS:
        found[:, block] = rng.choice(np.array([0, 1, np.nan], np.float32), found[:, block].shape)
    categories = found[:, SCHEMA.categories]
    categories[...] = rng.choice(np.array([0, 1, 255, 256, 65_535, np.nan], np.float32), categories.shape)
    np.copyto(categories, rng.integers(65_536, size=categories.shape), where=rng.random(categories.shape) < 0.5)
    return found


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.lists(bits, max_size=20))
def test_every_value_comes_back_bit_for_bit(seed: int, rows: int, numbers: list[int]) -> None:
    features = table(seed, rows, numbers)
    packed = pack(features)
    assert packed.shape == (rows, row_bytes()) and packed.dtype == np.uint8
    assert (bits_of(unpack(packed)) == bits_of(features)).all()
    assert (bits_of(unpack([row.tobytes() for row in packed])) == bits_of(features)).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.permutations(range(6)), st.integers(0, 6))
def test_a_row_is_packed_alike_in_any_batch(seed: int, order: list[int], cut: int) -> None:
    features, rows = table(seed, 6, []), np.array(order)
    parts = [pack(features[part]) for part in (rows[:cut], rows[cut:])]
    assert np.concatenate(parts).tobytes() == pack(features)[rows].tobytes()
    strided = np.full((6, 2 * len(SCHEMA)), np.nan, np.float32)
    strided[:, : len(SCHEMA)] = features
    assert pack(strided[:, : len(SCHEMA)]).tobytes() == pack(features).tobytes()


@settings(max_examples=80, deadline=None)
@given(st.sampled_from([*FLAGS, SCHEMA.categories]), st.integers(0, 2**32 - 1), bits)
def test_what_does_not_fit_its_kind_comes_back_or_is_refused(block: slice, place: int, value: int) -> None:
    features = table(7, 2, [])
    features.view(np.uint32)[1, block.start + place % (block.stop - block.start)] = value
    try:
        packed = pack(features)
    except FeaturesError:
        return
    assert (bits_of(unpack(packed)) == bits_of(features)).all()


@pytest.mark.parametrize(("block", "value"), [(FLAGS[0], 2.0), (FLAGS[1], -0.0), (FLAGS[2], -1.0)])
def test_a_flag_that_is_no_flag_is_refused(block: slice, value: float) -> None:
    features = table(7, 2, [])
    features[0, block.stop - 1] = value
    with pytest.raises(FeaturesError, match="only be 0, 1 or absent"):
        pack(features)


@pytest.mark.parametrize("value", [-1.0, -0.0, 0.5, 65_536.0, 2.0**23 + 1, np.inf])
def test_a_category_that_is_none_is_refused(value: float) -> None:
    features = table(7, 2, [])
    features[1, SCHEMA.categories.start] = value
    with pytest.raises(FeaturesError, match="a category is neither"):
        pack(features)


def test_rows_of_another_width_are_refused() -> None:
    row = pack(table(7, 1, []))
    sentence = f"has {row_bytes()} bytes, not {row_bytes() - 1}"
    with pytest.raises(FeaturesError, match=sentence):
        unpack(row[:, 1:])
    with pytest.raises(FeaturesError, match=sentence):
        unpack([row.tobytes(), row.tobytes()[:-1]])
    with pytest.raises(FeaturesError, match=f"a row has {len(SCHEMA)} features in this build, not 3"):
        pack(np.zeros((2, 3), np.float32))


def test_rows_of_another_format_are_refused() -> None:
    assert not unpack([]).size
    rows = [bytes(row_bytes())]
    with pytest.raises(FeaturesError, match="not of format 1, which this build reads"):
        unpack(rows)
