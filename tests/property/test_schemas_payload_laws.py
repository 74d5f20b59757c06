"""Laws of the vector payload: what is encoded reads back, in any mixture, and no bytes make the decoder raise."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.catalogue import load_catalogue, parse_catalogue
from schemas.payload import decode_payloads, encode_payloads
from tests.strategies import RECIPES, Recipe, activities, same, same_activity, same_signals, signals
from tests.unit.test_schemas_catalogue import NEWER as NEWER_TEXT

CATALOGUE, NEWER = load_catalogue(), parse_catalogue(NEWER_TEXT)


@settings(max_examples=60, deadline=None)
@given(RECIPES, st.integers(0, 6))
def test_encoding_and_decoding_gives_the_columns_back(recipe: Recipe, rows: int) -> None:
    before, log = signals(recipe, rows), activities(recipe, rows)
    after, log_after, good = decode_payloads(encode_payloads(before, log), CATALOGUE)
    assert good.all()
    assert same_signals(before, after)
    assert same_activity(log, log_after)


@settings(max_examples=40, deadline=None)
@given(RECIPES, st.integers(0, 3), st.integers(0, 3), st.lists(st.binary(max_size=64), max_size=3), st.randoms())
def test_each_row_decodes_as_it_would_alone_whatever_its_neighbours(
    recipe: Recipe, old: int, new: int, junk: list[bytes], random: object
) -> None:
    bodies = junk + encode_payloads(signals(recipe, old), activities(recipe, old))
    bodies += encode_payloads(signals(recipe, new, NEWER), activities(recipe, new))
    random.shuffle(bodies)  # type: ignore[attr-defined]
    together, log, good = decode_payloads(bodies, CATALOGUE)
    for row, body in enumerate(bodies):
        alone, log_alone, good_alone = decode_payloads([body], CATALOGUE)
        one = np.array([row])
        assert good[row] == good_alone[0]
        assert same_signals(together.take(one), alone)
        assert same_activity(log.take(one), log_alone)


@settings(max_examples=120, deadline=None)
@given(
    RECIPES,
    st.lists(st.tuples(st.integers(0, 15), st.integers(0, 255)), max_size=4),
    st.integers(0, 2000),
    st.binary(max_size=200),
)
def test_no_bytes_make_the_decoder_raise(recipe: Recipe, changes: list[tuple[int, int]], cut: int, junk: bytes) -> None:
    good = bytearray(encode_payloads(signals(recipe, 1), activities(recipe, 1))[0])
    for at, byte in changes:
        good[at] = byte
    found, log, is_good = decode_payloads([bytes(good), bytes(good[:cut]), junk], CATALOGUE)
    assert len(found) == len(log) == len(is_good) == 3
    assert same(found.booleans, found.booleans & found.known)
    assert all(len(found.texts.column(position)) == 3 for position in range(len(CATALOGUE.texts)))
