"""A row's verdict of a network, velocity, rarity or copy signal depends on that row alone, signal by signal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enrichers.view import View
from schemas.batches import Related
from schemas.environment import BROWSERS, CHECKS, DEVICES
from schemas.networks import NETWORK_CLASSES
from schemas.recognition import COMBINATIONS, REPUTED
from schemas.velocity import ENTITIES, KINDS, MEASURES, WINDOWS
from tests.builders import NOW, related
from tests.judged import BY_NAME, HOUR, middle, network

NAMES = (
    "vpn", "proxy", "tor", "datacenter_ip", "ip_blocklist", "geo_timezone_mismatch", "impossible_travel",
    "high_activity", "velocity_anomaly", "rare_device", "replayed",
)  # fmt: skip
COUNTRIES = st.sampled_from(["DE", "US", "JP", "GB", "AU", "IN", "RU", "XK", "HM"])
DAYS = 24 * HOUR
shown = st.fixed_dictionaries(
    {},
    optional={
        "navigator.language": st.sampled_from(["en-US", "de", "vi-VN", "ja", "xx"]),
        "api.brave": st.booleans(),
        "timing.resolution": st.sampled_from([0.1, 16.7, 100.0]),
    },
)
places = st.lists(
    st.tuples(COUNTRIES, st.integers(0, 30 * 60)).map(lambda drawn: (*middle(drawn[0]), NOW - drawn[1] * 60_000)),
    max_size=3,
)
counts = st.dictionaries(
    st.sampled_from([f"{kind}_{window}" for kind in KINDS for window in WINDOWS]), st.integers(0, 3000), max_size=4
)
velocity = st.builds(
    lambda several, visited, first, previous: {
        **several, "places": visited, "first_seen_at": NOW - first, "previous_at": previous
    },
    counts, places, st.sampled_from([0, HOUR, 9 * DAYS]), st.sampled_from([-1, NOW, NOW - 300, NOW + 200, NOW - HOUR]),
)  # fmt: skip
environment = st.fixed_dictionaries(
    {
        "browser": st.sampled_from(BROWSERS),
        "device": st.sampled_from(DEVICES),
        "timezone_offset": st.sampled_from([float("nan"), -900.0, -345.0, -120.0, -60.0, 0.0, 0.25, 420.0, 840.0]),
        "checks": st.lists(st.sampled_from(CHECKS), max_size=3, unique=True),
    }
)
shared = st.dictionaries(
    st.sampled_from(
        [f"{entity}_{measure}_{window}" for entity in ENTITIES for measure in MEASURES for window in WINDOWS]
    ),
    st.sampled_from([1.0, 5.0, 2e5]),
    max_size=4,
)
where = st.one_of(
    st.just({}),
    st.builds(
        lambda country, asn, classes: network(country, asn, *classes),
        COUNTRIES,
        st.sampled_from([0, 3320, 14593]),
        st.lists(st.sampled_from(NETWORK_CLASSES), max_size=3, unique=True),
    ),
)
recognition = st.dictionaries(
    st.sampled_from(
        [f"{what}_{name}" for what in ("tail", "seen") for name in COMBINATIONS]
        + [f"{what}_{name}" for what in ("denied", "weight") for name in REPUTED]
    ),
    st.sampled_from([0.0, 0.00005, 0.001, 0.3, 0.9, 50.0, 900.0]),
    max_size=12,
).flatmap(lambda said: st.integers(0, 7).map(lambda bits: {**said, "replayed": bits}))
times = st.sampled_from([NOW, NOW - 200 * DAYS, 0, NOW - HOUR])
rows = st.lists(st.tuples(shown, velocity, environment, shared, where, recognition, times), min_size=1, max_size=9)


def batch_of(drawn: list[Any]) -> Related:
    """Return one batch of the drawn rows."""
    columns = [list(column) for column in zip(*drawn, strict=True)]
    names = ("events", "velocity", "environment", "shared", "network", "recognition", "times")
    return related(**dict(zip(names, columns, strict=True)))


def judged(name: str, batch: Related) -> list[bytes]:
    """Return the bytes of each row's verdict of one signal."""
    found = BY_NAME[name].evaluate(View(batch))
    return [b"".join(column[row].tobytes() for column in found) for row in range(len(batch))]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(rows, st.randoms(use_true_random=False))
def test_order_and_batch_size_do_not_change_a_verdict(name: str, drawn: list[Any], random: Any) -> None:
    batch = batch_of(drawn)
    whole = judged(name, batch)
    order = list(range(len(batch)))
    random.shuffle(order)
    assert judged(name, batch.take(np.array(order, np.intp))) == [whole[row] for row in order]
    assert [judged(name, batch.take(np.array([row], np.intp)))[0] for row in range(len(batch))] == whole
    twice = np.array(order * 40, np.intp)  # long enough that kernels for many numbers at once are used
    assert judged(name, batch.take(twice)) == [whole[row] for row in twice.tolist()]


@settings(max_examples=25, deadline=None)
@given(rows)
def test_the_input_is_left_as_it_was(drawn: list[Any]) -> None:
    batch = batch_of(drawn)
    columns = (
        batch.velocity.counts, batch.shared.counts, batch.recognition.tail, batch.recognition.seen,
        batch.network.classes, batch.network.country, batch.history.latitude, batch.environment.timezone_offset,
    )  # fmt: skip
    for column in columns:
        column.setflags(write=False)
    before = [column.tobytes() for column in columns]
    for name in NAMES:
        BY_NAME[name].evaluate(View(batch))
    assert [column.tobytes() for column in columns] == before
