"""The signals of network, place and travel: when they are true, false and not computable, and what is held down."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enrichers.address_table import DATA
from enrichers.country_languages import LANGUAGES_FILE, load_country_languages
from enrichers.country_zones import ZONES_FILE, load_country_zones
from enrichers.data_file import DataFileError
from enrichers.data_text import with_digest
from enrichers.datacenter_ip import DatacenterIp
from enrichers.ip_blocklist import IpBlocklist
from enrichers.network_lists import ListSignal, clock_name, covering
from enrichers.proxy import Proxy
from enrichers.registry import SIGNALS
from enrichers.tor import Tor
from enrichers.vpn import Vpn
from schemas.catalogue import category_hash
from schemas.countries import COUNTRY_NUMBER
from schemas.networks import NETWORK_CLASSES
from tests.builders import NOW
from tests.judged import HOUR, judged, middle, network

WINTER = NOW - 240 * 24 * HOUR  # a day in January
WEEK = 7 * 24 * HOUR
STARLINK = 14593
VIETNAM, FRANCE, JAPAN = network("VN"), network("FR"), network("JP")
NOWHERE: dict[str, Any] = {"network": {}, "environment": {"timezone_offset": float("nan")}}


def germany(*classes: str, asn: int = 3320) -> dict[str, Any]:
    """Return Germany's network in classes."""
    return network("DE", asn, *classes)


def was_in(*stays: tuple[str, float]) -> dict[str, Any]:
    """Return that the device was in countries so many hours ago, newest first."""
    return {"places": [(*middle(country), NOW - int(hours * HOUR)) for country, hours in stays]}


@pytest.mark.parametrize(
    "name", ["vpn", "proxy", "tor", "datacenter_ip", "ip_blocklist", "geo_timezone_mismatch", "impossible_travel"]
)
def test_an_ordinary_visit_from_home_has_none(name: str) -> None:
    found = judged(name, velocity=was_in(("DE", 2)))
    assert (found.result, found.confidence, found.reasons) == (False, 0.0, set())


@pytest.mark.parametrize(
    "name", ["vpn", "proxy", "tor", "datacenter_ip", "ip_blocklist", "geo_timezone_mismatch", "impossible_travel"]
)
def test_nothing_known_of_the_address_is_not_computable(name: str) -> None:
    assert judged(name, **NOWHERE).result is None


@pytest.mark.parametrize(
    ("make", "needed"),
    [(Proxy, "residential_proxy"), (Tor, "tor"), (DatacenterIp, "hosting"), (IpBlocklist, "listed")],
)
def test_a_list_that_the_data_does_not_have_gives_no_no(
    make: Callable[[Collection[str]], ListSignal], needed: str
) -> None:
    others = {*NETWORK_CLASSES} - {*make(NETWORK_CLASSES).needs}
    assert judged(make(others)).result is None
    assert judged(make({needed})).result is False


def test_signals_learn_which_lists_the_data_has() -> None:
    told = {signal.name: signal for signal in covering(SIGNALS, ("hosting", "vpn", "tor"))}
    assert tuple(told) == tuple(signal.name for signal in SIGNALS)
    asked = {name: judged(told[name]).result for name in ("proxy", "ip_blocklist", "tor", "datacenter_ip", "vpn")}
    assert asked == {"proxy": None, "ip_blocklist": None, "tor": False, "datacenter_ip": False, "vpn": False}
    assert told["bot"] in SIGNALS


def test_vpn_without_a_list_still_answers_by_the_clock() -> None:
    assert judged(Vpn(())).result is False
    assert judged(Vpn(()), environment={"timezone_offset": float("nan")}).result is None
    assert judged(Vpn(NETWORK_CLASSES), environment={"timezone_offset": float("nan")}).result is False


def test_a_listed_vpn_is_one_and_says_by_which_method() -> None:
    found = judged("vpn", network=germany("vpn"))
    assert (found.result, found.reasons) == (True, {"listed_vpn"})
    assert found.details["method"] == "list"
    assert found.details["network_classes"] == "vpn"


@pytest.mark.parametrize(
    ("said", "reasons"),
    [
        (
            {"network": germany("hosting"), "environment": {"timezone_offset": 420}},
            {"hosting_network", "zone_of_another_country"},
        ),
        (
            {"network": germany("hosting"), "environment": {"device": "phone"}},
            {"hosting_network", "phone_in_a_data_centre"},
        ),
        (
            {"network": VIETNAM, "velocity": was_in(("DE", 0.5))},
            {"zone_of_another_country", "address_moved_without_the_person", "language_of_another_country"},
        ),
        (
            {
                "network": VIETNAM,
                "velocity": {"countries_24h": 3},
                "environment": {"checks": ["platform_contradicts_user_agent"]},
            },
            {
                "zone_of_another_country",
                "language_of_another_country",
                "three_countries_in_a_day",
                "system_contradicted",
            },
        ),
    ],
)
def test_methods_join_to_a_vpn(said: dict[str, Any], reasons: set[str]) -> None:
    found = judged("vpn", **said)
    assert (found.result, found.reasons) == (True, reasons)


@pytest.mark.parametrize(
    ("said", "reasons"),
    [
        ({"network": germany("relay")}, {"private_relay"}),
        ({"network": germany("relay", "vpn"), "environment": {"timezone_offset": 420}}, {"private_relay"}),
        ({"network": germany("relay", "hosting"), "environment": {"device": "phone"}}, {"private_relay"}),
        ({"network": germany("hosting")}, {"hosting_network"}),
        (
            {"network": germany("gateway", "hosting", "vpn"), "environment": {"timezone_offset": 420}},
            {"company_gateway"},
        ),
        ({"network": germany("cdn", "hosting")}, set()),
        ({"network": VIETNAM, "shown": {"navigator.language": "en-US"}}, {"zone_of_another_country"}),
        (
            {"network": VIETNAM, "velocity": {"first_seen_at": NOW - 2 * WEEK}},
            {"zone_of_another_country_as_always", "language_of_another_country"},
        ),
        ({"network": network("VN", STARLINK)}, set()),
        ({"environment": {"timezone_offset": -180}}, {"zone_of_a_neighbour"}),
    ],
)
def test_what_is_no_vpn_by_itself_is_held_down(said: dict[str, Any], reasons: set[str]) -> None:
    found = judged("vpn", **said)
    assert (found.result, found.reasons) == (False, reasons)


@pytest.mark.parametrize(
    ("said", "reasons"),
    [
        ({"network": germany("proxy")}, {"public_proxy"}),
        ({"network": germany("residential_proxy")}, {"residential_proxy"}),
        (
            {"velocity": {"addresses_1h": 6, "countries_1h": 3}},
            {"addresses_rotate", "rotates_through_countries"},
        ),
    ],
)
def test_proxies_are_listed_or_rotate(said: dict[str, Any], reasons: set[str]) -> None:
    found = judged("proxy", **said)
    assert (found.result, found.reasons) == (True, reasons)
    assert found.details["kind"] in {"public", "residential", "rotating"}


@pytest.mark.parametrize(
    ("said", "reasons"),
    [
        ({"velocity": {"addresses_5m": 3, "addresses_1h": 5, "countries_1h": 2}}, set()),
        ({"velocity": {"addresses_1h": 9}}, {"addresses_rotate"}),
        ({"network": germany("gateway"), "velocity": {"addresses_1h": 9, "countries_1h": 4}}, set()),
        ({"network": germany("relay"), "velocity": {"addresses_1h": 9, "countries_1h": 4}}, set()),
    ],
)
def test_carriers_and_relays_are_no_proxies(said: dict[str, Any], reasons: set[str]) -> None:
    found = judged("proxy", **said)
    assert (found.result, found.reasons) == (False, reasons)


def test_an_exit_of_tor_is_told_by_the_list_alone() -> None:
    assert judged("tor", network=germany("tor")).reasons == {"tor_exit"}
    tor_browser = {"shown": {"timing.resolution": 100}, "environment": {"browser": "firefox", "timezone_offset": 0}}
    assert judged("tor", **tor_browser).result is False


@pytest.mark.parametrize(
    ("classes", "result", "reasons"),
    [
        (("hosting",), True, {"hosting_range"}),
        (("hosting", "vpn"), True, {"hosting_range"}),
        (("hosting", "relay"), False, {"lets_people_out"}),
        (("hosting", "cdn"), False, {"lets_people_out"}),
        (("hosting", "gateway"), False, {"lets_people_out"}),
        (("cdn",), False, {"lets_people_out"}),
        (("vpn",), False, {"server_of_a_vpn_or_proxy"}),
    ],
)
def test_a_data_centre_is_one_unless_it_lets_people_out(
    classes: tuple[str, ...], result: bool, reasons: set[str]
) -> None:
    found = judged("datacenter_ip", network=germany(*classes))
    assert (found.result, found.reasons) == (result, reasons)
    assert found.details["country"] == "DE"


@pytest.mark.parametrize(
    ("said", "reasons"),
    [
        ({"network": germany("listed")}, {"listed"}),
        ({"recognition": {"denied_address": 0.6, "weight_address": 15}}, {"address_mostly_denied"}),
        (
            {"recognition": {"denied_address": 0.9, "weight_address": 60}},
            {"address_mostly_denied", "address_nearly_always_denied"},
        ),
    ],
)
def test_a_bad_name_is_a_lists_or_its_own(said: dict[str, Any], reasons: set[str]) -> None:
    found = judged("ip_blocklist", **said)
    assert (found.result, found.reasons) == (True, reasons)


@pytest.mark.parametrize(
    ("recognition", "reasons"),
    [
        ({"denied_address": 0.6, "weight_address": 3}, set()),
        ({"denied_address": 0.3, "weight_address": 400}, {"address_often_denied"}),
        ({"denied_network": 0.7, "weight_network": 50, "denied_asn": 0.6, "weight_asn": 900},
         {"network_mostly_denied", "system_mostly_denied"}),
        ({"denied_network": 0.7, "weight_network": 15, "denied_asn": 0.6, "weight_asn": 90}, set()),
    ],
)  # fmt: skip
def test_few_events_crowds_and_neighbours_make_nobodys_address_bad(
    recognition: dict[str, float], reasons: set[str]
) -> None:
    found = judged("ip_blocklist", recognition=recognition)
    assert (found.result, found.reasons) == (False, reasons)


def test_own_reputation_answers_where_no_list_is() -> None:
    known = {"denied_address": 0.01, "weight_address": 30}
    assert judged(IpBlocklist(()), recognition=known).result is False
    assert judged(IpBlocklist(()), recognition={**known, "weight_address": 4}).result is None
    found = judged(IpBlocklist(()), recognition={"denied_address": 0.7, "weight_address": 30})
    assert found.result is True
    assert found.details["denied_share_of_address"] == pytest.approx(0.7)


def test_a_clock_from_another_continent_does_not_fit() -> None:
    found = judged("geo_timezone_mismatch", environment={"timezone_offset": 420})
    assert (found.result, found.reasons) == (True, {"zone_of_another_country"})
    assert found.details["browser_clock"] == "UTC-07:00"
    assert found.details["browser_language"] == "de"


def test_a_neighbours_clock_and_language_suffice_together() -> None:
    said = {"environment": {"timezone_offset": -180}, "shown": {"navigator.language": "uk-UA"}}
    found = judged("geo_timezone_mismatch", **said)
    assert (found.result, found.reasons) == (True, {"zone_of_a_neighbour", "language_of_another_country"})


@pytest.mark.parametrize(
    ("said", "reasons"),
    [
        ({"environment": {"timezone_offset": -180}}, {"zone_of_a_neighbour"}),
        ({"environment": {"timezone_offset": -60}}, {"zone_of_another_season"}),
        ({"environment": {"timezone_offset": -60}, "at": WINTER}, set()),
        ({"environment": {"timezone_offset": -120}, "at": WINTER}, {"zone_of_another_season"}),
        ({"network": JAPAN, "velocity": was_in(("DE", 30))}, {"zone_of_where_it_was", "language_of_another_country"}),
        ({"environment": {"timezone_offset": 420}, "network": germany("vpn")}, {"zone_differs_behind_a_proxy"}),
        ({"environment": {"timezone_offset": 420}, "network": germany("relay")}, {"zone_differs_behind_a_proxy"}),
        ({"environment": {"timezone_offset": 420}, "network": germany(asn=STARLINK)},
         {"zone_differs_behind_a_proxy"}),
        ({"shown": {"navigator.language": "tr-TR"}}, set()),
        ({"shown": {"navigator.language": "en-GB"}, "network": JAPAN, "environment": {"timezone_offset": -540}},
         set()),
        ({"shown": {"navigator.language": "vi"}}, {"language_of_another_country"}),
    ],
)  # fmt: skip
def test_travellers_seasons_and_proxies_fit_well_enough(said: dict[str, Any], reasons: set[str]) -> None:
    found = judged("geo_timezone_mismatch", **said)
    assert (found.result, found.reasons) == (False, reasons)


def test_firefox_that_says_utc_to_everybody_is_not_computable() -> None:
    firefox = {"browser": "firefox", "timezone_offset": 0}
    assert judged("geo_timezone_mismatch", environment=firefox).result is None
    assert judged("geo_timezone_mismatch", environment={**firefox, "timezone_offset": 420}).result is True
    assert judged("geo_timezone_mismatch", environment={"timezone_offset": 0}).result is True


def test_nobody_is_in_germany_and_in_japan_within_an_hour() -> None:
    found = judged(
        "impossible_travel", network=JAPAN, velocity=was_in(("DE", 1)), environment={"timezone_offset": -540}
    )
    assert (found.result, found.reasons) == (True, {"faster_than_a_plane", "faster_than_anything"})
    assert (found.details["previous_country"], found.details["country"]) == ("DE", "JP")
    assert found.details["hours"] == pytest.approx(1.0)
    assert found.details["speed_kmh"] == pytest.approx(7_000, rel=0.05)
    assert found.details["speed_kmh"] == found.details["net_distance_km"]


def test_an_earlier_place_counts_as_the_last_one_does() -> None:
    said = {"network": JAPAN, "environment": {"timezone_offset": -540}}
    reasons = {"faster_than_a_plane", "faster_than_anything"}
    assert judged("impossible_travel", velocity=was_in(("KR", 1), ("DE", 2)), **said).reasons == reasons
    assert judged("impossible_travel", velocity=was_in(("KR", 1)), **said).reasons == set()


@pytest.mark.parametrize(
    ("said", "reasons"),
    [
        ({"network": FRANCE, "velocity": was_in(("DE", 0.02))}, set()),
        ({"network": germany(), "velocity": was_in(("DE", 0))}, set()),
        ({"network": JAPAN, "velocity": was_in(("DE", 12))}, set()),
        ({"network": network("JP", 1, "vpn"), "velocity": was_in(("DE", 1))}, {"moved_behind_a_proxy"}),
        ({"network": network("JP", STARLINK), "velocity": was_in(("DE", 1))}, {"moved_behind_a_proxy"}),
        (
            {"velocity": was_in(("JP", 1), ("DE", 2))},
            {"back_where_it_was"},
        ),
        ({"network": network("JP", 1, "relay"), "velocity": {**was_in(("DE", 12)), "countries_1h": 4}}, set()),
        ({"velocity": {**was_in(("DE", 1)), "countries_1h": 3}}, {"three_countries_in_an_hour"}),
    ],
)
def test_neighbours_flights_proxies_and_homecomers_travel_possibly(said: dict[str, Any], reasons: set[str]) -> None:
    found = judged("impossible_travel", **said)
    assert (found.result, found.reasons) == (False, reasons)


def test_neither_order_of_two_places_makes_a_border_far() -> None:
    for minutes in (1, 30):
        for here, there in (("CA", "US"), ("US", "CA"), ("FI", "RU"), ("RU", "FI")):
            velocity = was_in((there, minutes / 60))
            assert judged("impossible_travel", network=network(here), velocity=velocity).reasons == set()


@pytest.mark.parametrize(
    ("minutes", "name"),
    [(-330, "UTC+05:30"), (0, "UTC+00:00"), (210, "UTC-03:30"), (float("nan"), "")],
)
def test_clocks_are_named_as_people_write_them(minutes: float, name: str) -> None:
    assert clock_name(minutes) == name


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("zh-Hant-TW", "zh"),
        ("sr-Latn", "sr"),
        ("iw", "he"),
        ("nb-NO", "no"),
        ("en", ""),
        ("en-DE", ""),
        ("xx-unknown", ""),
        ("", ""),
    ],
)
def test_languages_are_known_by_the_hash_of_their_tag(tag: str, language: str) -> None:
    known = load_country_languages()
    hashes = np.array([category_hash(tag) if tag else 0], np.uint32)
    assert known.names[int(known.number(hashes)[0])] == language


def test_swiss_german_is_spoken_in_switzerland_and_vietnamese_hardly() -> None:
    swiss = np.array([COUNTRY_NUMBER["CH"]] * 4, np.uint16)
    tags = np.array([category_hash(tag) for tag in ("gsw-CH", "it-IT", "vi-VN", "en-US")], np.uint32)
    known = load_country_languages()
    _, _, spoken = known.tables
    assert spoken[known.number(tags), swiss].tolist() == [True, True, False, True]


def test_a_damaged_table_of_countries_stops_the_start(tmp_path: Path) -> None:
    for file, load in ((ZONES_FILE, load_country_zones), (LANGUAGES_FILE, load_country_languages)):
        with pytest.raises(DataFileError, match=f"{file} cannot be read"):
            load(tmp_path)
        text = (DATA / file).read_text("utf-8")
        (tmp_path / file).write_text(text.replace("DE,", "DX,"), "utf-8")
        with pytest.raises(DataFileError, match=f"{file} is damaged"):
            load(tmp_path)
        lines = text.splitlines(keepends=True)
        (tmp_path / file).write_text(with_digest("".join(lines[:-1])), "utf-8")
        with pytest.raises(DataFileError, match=f"{file} lacks countries"):
            load(tmp_path)
        (tmp_path / file).write_text(with_digest(text.replace("DE,", "D1,")), "utf-8")
        with pytest.raises(DataFileError, match=f"{file} is damaged"):
            load(tmp_path)
