"""A row's smart signals depend on that row alone: neither order nor batch size changes a bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from enrichers.registry import SIGNALS
from enrichers.stage import Enrich
from enrichers.view import View
from schemas.batches import Related
from schemas.catalogue import load_catalogue
from schemas.environment import BROWSERS, CHECKS, DEVICES, SYSTEMS
from schemas.networks import NETWORK_CLASSES
from schemas.recognition import COMBINATIONS, REPUTED
from tests.builders import NOW, entry
from tests.judged import middle
from tests.signal_cases import BY_SIGNAL, EMPTY_ROW, UNCOUNTED_ROW, USUAL_ROW, batch_of

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
        st.sampled_from(
            [
                "key_interval",
                "clicked",
                "pasted",
                "untrusted_event",
                "submitted",
                "pointer_summary",
                "click_without_trail",
                "value_set_by_script",
                "field_focused",
                "tab_left",
                "devtools_opened",
            ]
        ),
        st.integers(0, 100_000),
        st.sampled_from([0.0, 1.0, 37.0, 1e30, float("nan"), float("inf"), -5.0]),
        st.sampled_from(["none", "card_number", "button"]),
    ),
    max_size=24,
)
counts = {"events_5m": (0, 200), "events_1h": (0, 900), "events_24h": (0, 5000), "countries_1h": (0, 5)}
velocity = st.fixed_dictionaries(
    {name: st.integers(*bounds) for name, bounds in counts.items()}
    | {
        "previous_at": st.sampled_from([-1, NOW - 100, NOW - 90_000]),
        "first_seen_at": st.sampled_from([NOW, NOW - 90_000, NOW - 900_000_000]),
        "places": st.lists(
            st.tuples(*(st.sampled_from(middle(name)) for name in ("DE", "AU")), st.just(NOW - 60_000)), max_size=2
        ),
    }
)
network = st.fixed_dictionaries(
    {},
    optional={
        "country": st.sampled_from(["DE", "AU", "US", ""]),
        "asn": st.integers(0, 2**32 - 1),
        "latitude": st.floats(-90, 90, width=32),
        "longitude": st.floats(-180, 180, width=32),
        "classes": st.lists(st.sampled_from(NETWORK_CLASSES), max_size=3, unique=True),
    },
)
SHARES = st.sampled_from([0.0, 1e-5, 1e-4, 0.01, 0.5, 1.0, float("nan")])
WEIGHTS = st.sampled_from([0.0, 0.4, 3.0, 500.0, float("nan")])
recognition = st.fixed_dictionaries(
    {"replayed": st.integers(0, 7)},
    optional={f"tail_{name}": SHARES for name in COMBINATIONS}
    | {f"seen_{name}": WEIGHTS for name in COMBINATIONS}
    | {f"denied_{name}": SHARES for name in REPUTED}
    | {f"weight_{name}": WEIGHTS for name in REPUTED},
)
drawn_row = st.builds(
    lambda events, activity, velocity, environment, network, recognition: {
        "events": events, "activity": activity, "velocity": velocity, "environment": environment,
        "network": network, "recognition": recognition,
    },
    shown, log, velocity, environment, network, recognition,
)  # fmt: skip
KNOWN_ROWS = (USUAL_ROW, EMPTY_ROW, UNCOUNTED_ROW, *(case.true for case in BY_SIGNAL.values()))
rows = st.lists(drawn_row | st.sampled_from(KNOWN_ROWS), min_size=1, max_size=9)


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
    batch = batch_of(*drawn)
    whole = judged(batch)
    order = list(range(len(batch)))
    random.shuffle(order)
    assert judged(batch.take(np.array(order, np.intp))) == [whole[row] for row in order]
    alone = [judged(batch.take(np.array([row], np.intp)))[0] for row in range(len(batch))]
    assert alone == whole


@settings(max_examples=30, deadline=None)
@given(rows)
def test_a_verdict_is_always_well_formed(drawn: list[Any]) -> None:
    smart = Enrich()(batch_of(*drawn)).oks.smart
    absent = smart.result < 0
    assert (np.isnan(smart.confidence) == absent).all()
    assert (smart.reasons[absent] == 0).all()
    assert ((smart.confidence[~absent] >= 0) & (smart.confidence[~absent] < 1.0001)).all()
    assert ((smart.confidence[~absent] > 0) == (smart.reasons[~absent] != 0)).all()


@settings(max_examples=30, deadline=None)
@given(rows)
def test_a_verdict_is_null_exactly_where_it_cannot_be_computed_and_no_clue_is_seen(drawn: list[Any]) -> None:
    view = View(batch_of(*drawn))
    smart = Enrich()(batch_of(*drawn)).oks.smart
    for column, signal in enumerate(SIGNALS):
        silent = ~signal.computable(view) & ~np.any(signal.observe(view), axis=0)
        assert ((smart.result[:, column] == -1) == silent).all(), signal.name


def test_every_signal_is_true_of_a_row_that_is_drawn() -> None:
    smart = Enrich()(batch_of(*KNOWN_ROWS)).oks.smart
    assert (smart.result == 1).any(axis=0).all() and (smart.result == 0).any(axis=0).all()
