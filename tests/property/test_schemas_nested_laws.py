"""Laws of the nested form: it reads back, agrees with the vector form, and refuses any other JSON with NestedError."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.catalogue import load_catalogue
from schemas.log_codes import load_log_codes
from schemas.nested import NestedError, columns_of, nested_of, parse_nested
from schemas.payload import decode_payloads, encode_payloads
from tests.strategies import finite_float32, same_activity, same_signals

CATALOGUE = load_catalogue()
_VALUES = {
    "number": finite_float32(),
    "boolean": st.booleans(),
    "category": st.integers(1, 2**32 - 1),
    "text": st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
}
SIGNALS = st.lists(st.sampled_from(list(CATALOGUE.by_name.values())), max_size=12, unique=True).flatmap(
    lambda chosen: st.fixed_dictionaries({signal.name: _VALUES[signal.kind] for signal in chosen})
)
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {
            "t": st.integers(0, 2**32 - 1),
            "code": st.integers(0, 65535),
            "value": _VALUES["number"],
            "target": st.sampled_from(sorted(load_log_codes().targets)),
        }
    ),
    max_size=5,
)
NAMES = st.sampled_from([*CATALOGUE.by_name, "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(SIGNALS, ENTRIES)
def test_what_is_sent_reads_back_and_agrees_with_the_vector_form(signals: dict[str, Any], entries: list[Any]) -> None:
    sent = {"catalogue": 1, "signals": signals, "activity": entries}
    columns = columns_of([parse_nested(json.dumps(sent).encode())], CATALOGUE)
    assert nested_of(*columns, 0, CATALOGUE) == sent
    vector, log, good = decode_payloads(encode_payloads(*columns), CATALOGUE)
    assert good.all()
    assert same_signals(vector, columns[0])
    assert same_activity(log, columns[1])


@settings(max_examples=150, deadline=None)
@given(JSON, JSON, st.sampled_from(["both", "signals", "whole"]))
def test_any_other_json_is_refused_with_a_nested_error_or_read(first: Any, second: Any, how: str) -> None:
    whole = {"both": {"signals": first, "activity": second}, "signals": {"signals": first}, "whole": first}[how]
    try:
        signals, activity = columns_of([parse_nested(json.dumps(whole).encode())], CATALOGUE)
    except NestedError as error:
        assert str(error).startswith("nested event: ")
    else:
        assert len(signals) == len(activity) == 1
        assert decode_payloads(encode_payloads(signals, activity), CATALOGUE)[2] == np.array([True])


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_no_bytes_make_it_raise_anything_else(data: bytes) -> None:
    with contextlib.suppress(NestedError):
        columns_of([parse_nested(data)], CATALOGUE)
