"""The feature schema, the matrix, and the factor groups over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from schemas.batches import Enriched, History, SessionSummary
from schemas.catalogue import category_hash, load_catalogue, parse_catalogue
from schemas.velocity import HOURS, PLACES_KEPT, SCORES_KEPT
from scoring.features import feature_schema, make_schema, matrix
from scoring.groups import GROUP_CODES, GROUPS, assign, feature_groups
from scoring.matrix_loops import put_features, put_log_free_ages
from scoring.packed_loops import pack_rows
from scoring.stored_features import packed
from scoring.warm import warm
from tests.builders import NOW, enriched, entry
from tests.odd_columns import Column, laid, read_only, spread, swapped


def value(name: str, **said: object) -> float:
    """Return one feature of one event."""
    batch = enriched(**{"events": [{}], **said})
    return float(matrix(batch)[0, feature_schema().position[name]])


def test_absent_is_nan_and_present_keeps_its_value() -> None:
    shown = [{"screen.width": 1920, "navigator.webdriver": False, "navigator.platform": "Win32"}]
    assert value("screen.width", events=shown) == 1920
    assert value("navigator.webdriver", events=shown) == 0
    assert value("navigator.webdriver", events=[{"navigator.webdriver": True}]) == 1
    assert value("navigator.platform", events=shown) == category_hash("Win32") & 0xFFFF
    for name in ("screen.width", "navigator.webdriver", "navigator.platform", "environment.browser", "smart.bot"):
        assert np.isnan(value(name)), name


def test_environment_checks_and_smart_signals_are_features() -> None:
    said = {"environment": [{"browser": "edge", "checks": ["canvas_unstable"]}], "smart": [{"bot": 0.9}]}
    assert value("environment.browser", **said) == 2
    assert value("check.canvas_unstable", **said) == 1
    assert value("check.audio_unstable", **said) == 0
    assert value("smart.bot", **said) == 1
    assert value("smart.bot.confidence", **said) == pytest.approx(0.9)


def test_velocity_is_given_as_counted_and_times_as_logarithms() -> None:
    velocity = {"events_5m": 47, "accounts_1h": 12, "countries_24h": 2}
    said = {"velocity": [velocity | {"first_seen_at": NOW - 60_000, "previous_at": NOW - 1000}]}
    assert value("velocity.events_5m", **said) == 47
    assert value("velocity.accounts_1h", **said) == 12
    assert value("velocity.countries_24h", **said) == 2
    assert value("velocity.merchants_5m", **said) == 1
    assert value("velocity.since_first", **said) == pytest.approx(np.log1p(60))
    assert value("velocity.since_previous", **said) == pytest.approx(np.log1p(1))
    assert np.isnan(value("velocity.since_previous"))


def of(batch: Enriched, name: str) -> list[float]:
    """Return a feature of every event."""
    column: list[float] = matrix(batch)[:, feature_schema().position[name]].tolist()
    return column


@pytest.mark.parametrize("earliest", ["occurred_at", "received_at", "appended_at"])
def test_times_count_from_the_event_time_whatever_one_clock_says(earliest: str) -> None:
    batch = enriched([{}], velocity=[{"first_seen_at": NOW - 60_000, "previous_at": NOW - 1000}])
    times = {name: np.array([NOW + 10**9]) for name in ("occurred_at", "received_at", "appended_at")}
    times[earliest] = np.array([NOW])
    event = replace(batch.event, occurred_at=times["occurred_at"], received_at=times["received_at"])
    other = replace(batch, event=event, origin=replace(batch.origin, appended_at=times["appended_at"]))
    for name in ("velocity.since_first", "velocity.since_previous", "session.age"):
        assert of(other, name) == of(batch, name)


def test_the_past_of_a_device_is_known_or_absent() -> None:
    batch = enriched([{}, {}])
    hours = np.zeros((2, HOURS), np.uint8)
    now = NOW // 3_600_000 % HOURS
    hours[1, [now, (now - 1) % HOURS, (now + 1) % HOURS, (now + 2) % HOURS]] = (3, 2, 1, 4)
    scores, places = np.full((2, SCORES_KEPT), np.nan, np.float32), np.full((2, PLACES_KEPT), np.nan, np.float32)
    scores[1, :3] = (90, 30, 15)
    places[1, 0] = 0.0
    batch = replace(
        batch,
        history=History(
            events=np.array([1, 11], np.uint32),
            hours=hours,
            scores=scores,
            latitude=places,
            longitude=places,
            place_at=np.full((2, PLACES_KEPT), NOW - 3_600_000, np.int64),
        ),
        network=replace(batch.network, latitude=np.zeros(2, np.float32), longitude=np.full(2, 90, np.float32)),
    )
    assert of(batch, "history.events") == [1, 11]
    for name, expected in {
        "history.hour_share": 0.6,
        "history.travel_kmh_log": np.log1p(6_371 * np.pi / 2),
    }.items():
        unknown, known = of(batch, name)
        assert np.isnan(unknown)
        assert known == pytest.approx(expected, rel=1e-5)


def test_a_session_is_what_it_holds_so_far() -> None:
    batch = enriched([{}], activity=[[entry("key_interval", 10, 80), entry("pasted", 30, 16, "card_number")]])
    assert (of(batch, "session.events"), of(batch, "session.age")) == ([1], [0])
    assert (of(batch, "session.keys"), of(batch, "session.pasted_card")) == ([1], [1])
    session = SessionSummary(np.array([4], np.uint32), np.array([NOW - 9_000]), batch.session.statistics * 3)
    batch = replace(batch, session=session)
    assert of(batch, "session.events") == [4]
    assert of(batch, "session.age") == [pytest.approx(np.log1p(9))]
    assert (of(batch, "session.keys"), of(batch, "activity.keys")) == ([3], [1])


def test_what_is_shared_is_counted_and_compared_where_it_is_known() -> None:
    said = {"shared": [{"account_events_1h": 24, "account_devices_1h": 12}]}
    assert value("shared.account_events_1h", **said) == 24
    assert value("shared.account_devices_1h", **said) == 12
    assert value("shared.account_devices_per_event_1h", **said) == 0.5
    schema = feature_schema()
    unknown = matrix(enriched([{}]))[0, schema.shared]
    assert np.isnan(unknown).all()
    known = ~np.isnan(matrix(enriched([{}], **said))[0, schema.shared])
    assert int(known.sum()) == 3


def test_how_usual_and_how_reputed_an_event_is_are_features_and_how_much_traffic_there_was_is_none() -> None:
    said = {"recognition": [{"tail_fonts": 0.004, "seen_fonts": 12, "denied_asn": 0.4, "weight_asn": 20}]}
    assert value("prevalence.fonts", **said) == pytest.approx(0.004)
    assert value("reputation.asn", **said) == pytest.approx(0.4)
    for name in ("prevalence.machine", "reputation.address"):
        assert np.isnan(value(name, **said)), name
    many = {"recognition": [said["recognition"][0] | {"seen_fonts": 9e6, "weight_asn": 9e6}]}
    assert matrix(enriched([{}], **said)).tobytes() == matrix(enriched([{}], **many)).tobytes()


def test_the_activity_log_becomes_statistics() -> None:
    log = [
        entry("page_opened", 0),
        entry("key_interval", 100, 80, "card_number"),
        entry("key_interval", 200, 120, "card_number"),
        entry("pasted", 300, 16, "card_number"),
        entry("pasted", 400, 5, "email"),
        entry("tab_left", 500),
        entry("tab_returned", 900, 400),
        entry("untrusted_event", 950, 3),
        entry("submitted", 2000, 2000, "form"),
        entry(999, 2500),
    ]
    expected = {
        "entries": 10, "lifecycle": 1, "progress": 3, "attention": 2, "input": 3, "errors": 0, "duration": 2500,
        "keys": 2, "key_interval_mean": 100, "key_interval_deviation": 20, "key_interval_least": 80, "pasted": 2,
        "pasted_card": 1, "tab_left": 1, "time_away": 400, "untrusted": 3, "submitted_after": 2000,
    }  # fmt: skip
    for name, wanted in expected.items():
        assert value(f"activity.{name}", activity=[log]) == pytest.approx(wanted), name
    assert np.isnan(value("activity.key_interval_mean"))
    assert value("activity.entries") == 0


def test_the_matrix_is_written_into_what_is_given() -> None:
    batch = enriched([{"screen.width": 800}, {}])
    out = np.zeros((5, len(feature_schema())), np.float32)
    found = matrix(batch, out)
    assert np.shares_memory(found, out)
    assert found.tobytes() == matrix(batch).tobytes()
    assert (out[2:] == 0).all()


def test_an_empty_batch_has_an_empty_matrix() -> None:
    assert matrix(enriched([])).shape == (0, len(feature_schema()))


def test_what_setup_compiles_is_what_features_are_made_with() -> None:
    warm()
    matrix(enriched([{"screen.width": 800}] * 5).take(np.arange(0, 5, 2)))
    matrix(enriched([{}] * 2), np.empty((4, len(feature_schema())), np.float32)[1:])
    packed(enriched([{}] * 2), matrix(enriched([{}] * 2)))
    assert [len(loop.signatures) for loop in (put_log_free_ages, put_features, pack_rows)] == [1, 1, 1]


def test_columns_of_another_width_or_of_fewer_rows_are_refused() -> None:
    batch = enriched([{}, {}])
    signals, shared, recognition = batch.signals, batch.shared, batch.recognition
    wide = np.concatenate((signals.numbers, signals.numbers[:, :1]), axis=1)
    others: list[dict[str, Any]] = [
        {"signals": replace(signals, numbers=wide)},
        {"signals": replace(signals, booleans=signals.booleans[:, :-1])},
        {"signals": replace(signals, categories=signals.categories[:1])},
        {"shared": replace(shared, counts=shared.counts[:, :, :, :-1])},
        {"recognition": replace(recognition, denied=recognition.denied[:, :-1])},
        {"session": replace(batch.session, statistics=batch.session.statistics[:1])},
        {"activity": batch.activity.take(np.arange(1))},
    ]
    for other in others:
        with pytest.raises(ValueError, match="not those of this build's features"):
            matrix(replace(batch, **other))
    with pytest.raises(ValueError, match="differ in length"):
        matrix(replace(batch, network=batch.network.take(np.arange(1))))


def test_a_batch_with_other_smart_signals_is_refused() -> None:
    batch = enriched([{}])
    other = replace(batch, smart=replace(batch.smart, names=("bot",)))
    with pytest.raises(ValueError, match="other smart signals"):
        matrix(other)


def test_the_digest_follows_every_name() -> None:
    schema = feature_schema()
    assert schema.digest() == make_schema(load_catalogue()).digest()
    assert replace(schema, names=schema.names[1:]).digest() != schema.digest()


def test_two_features_of_one_name_are_refused() -> None:
    text = 'version = 1\n[[family]]\nname = "check"\ndoc = ""\nnumbers = ["canvas_unstable"]\n'
    with pytest.raises(ValueError, match="one name"):
        make_schema(parse_catalogue(text))


def test_every_feature_has_one_group_and_every_group_a_feature() -> None:
    groups = feature_groups()
    assert len(groups) == len(feature_schema())
    assert set(groups.tolist()) == set(range(len(GROUPS)))
    assert len(set(GROUP_CODES)) == len(GROUPS) < 128
    names = feature_schema().names
    assert GROUP_CODES[groups[names.index("navigator.webdriver")]] == "automation_traces"
    assert GROUP_CODES[groups[names.index("navigator.history_length")]] == "navigator"


def test_a_family_without_a_group_is_named() -> None:
    text = 'version = 1\n[[family]]\nname = "weather"\ndoc = ""\nnumbers = ["rain"]\n'
    with pytest.raises(ValueError, match=r"no factor group holds weather\.rain"):
        assign(make_schema(parse_catalogue(text)))


@pytest.mark.parametrize("how", [spread, read_only, swapped])
def test_columns_that_lie_otherwise_have_the_same_features(how: Callable[[Column], Column]) -> None:
    batch = enriched([{"screen.width": 800, "navigator.language": "de-DE"}, {}, {"screen.height": 7}])
    assert matrix(laid(batch, how)).tobytes() == matrix(batch).tobytes()
