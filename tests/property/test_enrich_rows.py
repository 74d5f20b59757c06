"""A row's smart signals depend on that row alone: neither order nor batch size changes a bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from enrichers.stage import Enrich
from schemas.batches import Related
from schemas.catalogue import load_catalogue
from schemas.environment import BROWSERS, CHECKS, DEVICES, SYSTEMS
from tests.builders import entry, related

CATALOGUE = load_catalogue()
BOOLEANS = st.sampled_from([signal.name for signal in CATALOGUE.booleans if signal.family in ("automation", "api")])
NUMBERS = st.sampled_from([signal.name for signal in CATALOGUE.numbers if signal.family in ("screen", "navigator")])
CATEGORIES = st.sampled_from([signal.name for signal in CATALOGUE.categories if signal.family != "maths"])
RENDERERS = st.sampled_from(["SwiftShader", "NVIDIA GeForce", "Microsoft Basic Render", "VMware SVGA", "Intel", ""])
shown = st.builds(
    lambda flags, numbers, categories, renderer: {
        **flags, **numbers, **categories, "webgl.unmasked_renderer": renderer, "webgl.supported": True
    },
    st.dictionaries(BOOLEANS, st.booleans(), max_size=8),
    st.dictionaries(NUMBERS, st.sampled_from([0, 1, 2, 600, 800, 1920]), max_size=8),
    st.dictionaries(CATEGORIES, st.sampled_from(["Win32", "MacIntel", "20100101", "x"]), max_size=5),
    RENDERERS,
)  # fmt: skip
environment = st.fixed_dictionaries(
    {
        "browser": st.sampled_from(BROWSERS),
        "system": st.sampled_from(SYSTEMS),
        "device": st.sampled_from(DEVICES),
        "checks": st.lists(st.sampled_from(CHECKS), max_size=4, unique=True),
    }
)
log = st.lists(
    st.builds(
        entry,
        st.sampled_from(["key_interval", "clicked", "pasted", "untrusted_event", "submitted", "pointer_summary"]),
        st.integers(0, 100_000),
        st.sampled_from([0.0, 1.0, 37.0, 1e30, float("nan"), float("inf"), -5.0]),
        st.sampled_from(["none", "card_number", "button"]),
    ),
    max_size=24,
)
velocity = st.fixed_dictionaries(
    {"events_5m": st.integers(0, 200), "events_1h": st.integers(0, 900), "events_24h": st.integers(0, 5000)}
)
rows = st.lists(st.tuples(shown, log, velocity, environment), min_size=1, max_size=9)


def batch_of(drawn: list[Any]) -> Related:
    """Return one batch of the drawn rows."""
    return related(*(list(column) for column in zip(*drawn, strict=True)))


def judged(batch: Related) -> list[bytes]:
    """Return the bytes of each row's verdicts."""
    smart = Enrich()(batch).oks.smart
    return [
        smart.result[row].tobytes() + smart.confidence[row].tobytes() + smart.reasons[row].tobytes()
        for row in range(len(batch))
    ]


@settings(max_examples=40, deadline=None)
@given(rows, st.randoms(use_true_random=False))
def test_order_and_batch_size_do_not_change_a_verdict(drawn: list[Any], random: Any) -> None:
    batch = batch_of(drawn)
    whole = judged(batch)
    order = list(range(len(batch)))
    random.shuffle(order)
    assert judged(batch.take(np.array(order, np.intp))) == [whole[row] for row in order]
    alone = [judged(batch.take(np.array([row], np.intp)))[0] for row in range(len(batch))]
    assert alone == whole


@settings(max_examples=30, deadline=None)
@given(rows)
def test_a_verdict_is_always_well_formed(drawn: list[Any]) -> None:
    smart = Enrich()(batch_of(drawn)).oks.smart
    absent = smart.result < 0
    assert (np.isnan(smart.confidence) == absent).all()
    assert (smart.reasons[absent] == 0).all()
    assert ((smart.confidence[~absent] >= 0) & (smart.confidence[~absent] < 1.0001)).all()
    assert ((smart.confidence[~absent] > 0) == (smart.reasons[~absent] != 0)).all()
