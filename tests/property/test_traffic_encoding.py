from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.traffic.craft import Craft
from infra.traffic.rows import columns
from infra.traffic.sealing import bodies, nested_body
from infra.traffic.visits import Planned
from schemas.catalogue import load_catalogue
from schemas.nested import columns_of, parse_nested
from schemas.payload import decode_payloads

AT = 1_780_272_000_000
CATALOGUE = load_catalogue()


def _events(seed: int) -> list[Planned]:
    craft = Craft(seed, small=True)
    return [event for _ in range(4) for event in craft.honest(craft.visitor(AT)).events]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_fast_columns_equal_those_of_the_nested_form(seed: int) -> None:
    events = _events(seed)
    signals, activity = columns(events)
    wanted, log = columns_of([parse_nested(nested_body(event)) for event in events], CATALOGUE)
    for name in ("catalogue", "numbers", "known", "booleans", "categories"):
        assert np.array_equal(getattr(signals, name), getattr(wanted, name), equal_nan=name == "numbers"), name
    assert signals.texts.blob == wanted.texts.blob
    for name in ("offsets", "time", "value", "code", "target"):
        assert np.array_equal(getattr(activity, name), getattr(log, name)), name


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_every_event_survives_encoding_and_decoding(seed: int) -> None:
    events = _events(seed)
    signals, activity = columns(events)
    back, log, good = decode_payloads(bodies(events), CATALOGUE)
    assert good.all()
    assert np.array_equal(back.numbers, signals.numbers, equal_nan=True)
    assert np.array_equal(back.booleans, signals.booleans & signals.known)
    assert np.array_equal(back.categories, signals.categories)
    assert back.texts.column(0) == signals.texts.column(0)
    assert np.array_equal(log.value, activity.value)


def test_the_nested_form_is_json_with_whole_numbers_for_times() -> None:
    found = msgspec.json.decode(nested_body(_events(1)[0]))
    assert all(isinstance(entry["t"], int) for entry in found["activity"])
