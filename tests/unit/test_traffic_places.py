"""Where the generator's people and attackers come from, by the vendored data, and what they pay with."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from random import Random

import numpy as np
import pytest

from enrichers.address_file import AddressFile, Described, Stretches
from enrichers.address_table import load_address_table
from infra.traffic.address_pools import Pools, load_pools, pools_of
from infra.traffic.attackers import ATTACKERS
from infra.traffic.countries import COUNTRIES, DATA_CENTRES, address_in
from infra.traffic.craft import Craft
from infra.traffic.hideouts import PEOPLE, SERVERS, Hideouts
from infra.traffic.scenario import HONEST_ONLY, Scenario
from infra.traffic.visits import Campaign, Visit
from infra.traffic.whereabouts import Whereabouts
from infra.traffic.zones import clock_in, zone_said
from ingest_api.names import looks_like_card_number
from schemas.batches import Network
from schemas.countries import COUNTRY_NUMBER
from schemas.networks import NETWORK_BIT
from schemas.personal_data import ID_KINDS, find_personal_data

AT = 1_780_272_000_000
HOSTERS = {14618, 14061, 24940, 16276, 396982}  # Amazon, DigitalOcean, Hetzner, OVH, Google Cloud


def located(addresses: Iterable[bytes]) -> Network:
    return load_address_table()(np.frombuffer(b"".join(addresses), np.uint8).reshape(-1, 16))


def campaigns(kind: str, count: int = 40) -> list[Campaign]:
    craft = Craft(11, small=True)
    return [ATTACKERS[kind][0](craft, AT) for _ in range(count)]


def honest_visits(count: int) -> list[Visit]:
    found: dict[str, Visit] = {}
    for due in Scenario(Craft(4, small=True), HONEST_ONLY, AT, 1_000.0).events():
        found[due.visit.transaction] = due.visit
        if len(found) == count:
            return list(found.values())
    raise AssertionError("the scenario never ends")


def test_networks_of_a_country_lie_in_it_and_hosts_at_providers() -> None:
    points = [(number + 0.5) / 50 for number in range(50)]
    for country in COUNTRIES:
        for network in (*country.networks, *country.mobile, *country.six):
            found = located(address_in(network, point) for point in points)
            assert (found.country == COUNTRY_NUMBER[country.code]).mean() >= 0.98, (country.code, network)
            assert (found.asn > 0).mean() >= 0.75, network
            assert not HOSTERS & set(found.asn.tolist())
    hosts = located(address_in(network, point) for network in DATA_CENTRES for point in points)
    assert set(hosts.asn.tolist()) <= HOSTERS


def test_an_address_of_ipv6_is_a_host_of_its_network() -> None:
    seen = {address_in("2601::/20", point / 997) for point in range(997)}
    assert len(seen) == 997
    assert all(IPv6Address(address) in IPv6Network("2601::/20") for address in seen)


def test_homes_are_of_the_country_and_some_are_shared() -> None:
    craft = Craft(8, small=True)
    visitors = [craft.visitor(AT) for _ in range(300)]
    found = located(visitor.address for visitor in visitors)
    own = np.array([COUNTRY_NUMBER[visitor.country.code] for visitor in visitors])
    assert 0.93 < (found.country == own).mean() < 1  # of some the data says another
    shared = 1 - len({visitor.address for visitor in visitors}) / len(visitors)
    assert 0.02 < shared < 0.3
    assert 0.1 < sum(visitor.address[:12] != bytes(10) + b"\xff\xff" for visitor in visitors) / 300 < 0.4


def test_people_move_a_little_and_a_kiosk_does_not() -> None:
    craft = Craft(9, small=True)
    visitor = craft.visitor(AT)
    fixed = {craft.honest(visitor, "", fixed=True).address for _ in range(30)}
    assert fixed == {visitor.address}
    moved = [craft.honest(visitor, "").address for _ in range(120)]
    assert 0.65 < moved.count(visitor.address) / 120 < 0.95
    abroad = located(moved).country != COUNTRY_NUMBER[visitor.country.code]
    assert abroad.mean() < 0.1


def test_the_same_seed_gives_the_same_whereabouts() -> None:
    def drawn(seed: int) -> list[bytes]:
        some = Whereabouts(seed)
        return [some.home(COUNTRIES[0], "phone", bytes(16)) for _ in range(40)]

    assert drawn(1) == drawn(1) != drawn(2)


def test_people_pay_with_one_or_two_cards_and_log_in_with_none() -> None:
    cards: dict[str, set[str]] = defaultdict(set)
    visits = honest_visits(400)
    for visit in visits:
        if visit.card_token:
            cards[visit.linked_id or visit.device_id.hex()].add(visit.card_token)
    assert {len(tokens) for tokens in cards.values()} <= {1, 2}
    assert 0.45 < sum(bool(visit.card_token) for visit in visits) / len(visits) < 0.75
    owners = [owner for owner in cards for _ in cards[owner]]
    assert len(owners) == len({token for tokens in cards.values() for token in tokens})  # nobody shares


def test_card_testers_use_many_cards_and_farms_few() -> None:
    tested = campaigns("card_testing", 12)
    tokens = [[visit.card_token for _, visit in campaign if visit.card_token] for campaign in tested]
    assert all(len(set(some)) >= 0.7 * len(some) > 1 for some in tokens)
    assert 0.6 < sum(map(len, tokens)) / sum(map(len, tested)) < 0.9
    farms = [{visit.card_token for _, visit in campaign} - {""} for campaign in campaigns("account_farm")]
    assert max(map(len, farms)) <= 2 and sum(map(len, farms)) > 10
    assert not any(visit.card_token for campaign in campaigns("credential_stuffing", 8) for _, visit in campaign)


def lies_in(address: bytes, networks: Iterable[str]) -> bool:
    four = IPv6Address(address).ipv4_mapped
    return four is not None and any(four in IPv4Network(network) for network in networks)


def test_attackers_hide_at_hosts_and_behind_homes_or_not_at_all() -> None:
    lines = [network for country in COUNTRIES for network in (*country.networks, *country.mobile)]
    ways: set[str] = set()
    for campaign in campaigns("card_testing", 60):
        addresses = {visit.address for _, visit in campaign}
        homes = all(IPv6Address(one).ipv4_mapped is None or lies_in(one, lines) for one in addresses)
        ways.add(f"{'one' if len(addresses) == 1 else 'many'} {'homes' if homes else 'elsewhere'}")
    assert ways == {"one homes", "one elsewhere", "many homes", "many elsewhere"}


def test_every_way_to_hide_is_taken_and_most_exits_are_where_the_browser_says() -> None:
    craft = Craft(2, small=True)
    visitor = craft.visitor(AT)
    found = [craft.hideout(visitor, 0.8, {**SERVERS, **PEOPLE}) for _ in range(600)]
    assert {hideout.way for hideout in found} == {"", *SERVERS, *PEOPLE}
    hidden = [hideout for hideout in found if hideout.way]
    assert 0.7 < len(hidden) / 600 < 0.9
    assert 0.6 < sum(hideout.country is visitor.country for hideout in hidden) / len(hidden) < 0.85
    assert all(hideout() == visitor.address for hideout in found if not hideout.way)


def test_a_host_and_a_vpn_stay_for_a_campaign_and_other_exits_change() -> None:
    craft = Craft(2, small=True)
    visitor = craft.visitor(AT)
    for way in {**SERVERS, **PEOPLE}:
        addresses = [craft.hideout(visitor, 1.0, {way: 1.0})() for _ in range(3)]
        assert len(set(addresses)) > 1, way
        hideout = craft.hideout(visitor, 1.0, {way: 1.0})
        assert (len({hideout() for _ in range(20)}) == 1) == (way in ("host", "vpn")), way


def test_exits_are_sold_again() -> None:
    hideouts, country = Hideouts(1), COUNTRIES[0]
    for way in ("host", "vpn", "proxies", "homes"):
        first = [hideouts.hideout(country, bytes(16), 1.0, {way: 1.0})() for _ in range(200)]
        assert 0.4 < len(set(first)) / 200 < 0.95, way


def test_many_hosts_are_of_one_providers_network() -> None:
    hideout = Hideouts(1).hideout(COUNTRIES[0], bytes(16), 1.0, {"hosts": 1.0})
    addresses = [hideout() for _ in range(30)]
    assert len({address[:-1] for address in addresses}) == 1 < len(set(addresses))


def test_people_come_by_the_lines_that_people_have() -> None:
    craft = Craft(3, small=True)
    lines = Counter(craft.visitor(AT).line for _ in range(4_000))
    shares = {line: count / 4_000 for line, count in lines.items()}
    assert shares[""] > 0.95
    assert 0.005 < shares["company"] < 0.025
    assert 0.004 < shares["vpn"] < 0.018
    assert 0.003 < shares["relay"] < 0.014
    assert 0.001 < shares["cloud"] < 0.007
    assert shares.get("tor", 0) < 0.003


def test_tor_browsers_are_of_those_that_resist_fingerprinting() -> None:
    where = Whereabouts(1)
    drawn = Counter(where.line("firefox", "desktop", ("resist_fingerprinting",)) for _ in range(600))
    assert 0.1 < drawn["tor"] / 600 < 0.25
    assert "tor" not in {where.line("firefox", "desktop", ()) for _ in range(600)}


def test_only_safari_has_private_relay_and_only_desktops_a_company_or_a_cloud() -> None:
    where = Whereabouts(1)
    assert "relay" in {where.line("safari", "phone", ()) for _ in range(300)}
    phones = {where.line("chrome", "phone", ()) for _ in range(2_000)}
    assert phones == {"", "vpn"}
    assert {where.line("chrome", "desktop", ("virtual_machine",)) for _ in range(600)} == {
        "",
        "vpn",
        "company",
        "cloud",
    }


def test_a_line_says_how_steady_an_address_is() -> None:
    where, country = Whereabouts(1), COUNTRIES[0]
    home = where.home(country, "desktop", address_in(country.networks[0], 0.4))

    def seen(line: str) -> list[bytes]:
        return [where.today(country, home, line).address for _ in range(200)]

    assert 0.7 < seen("").count(home) / 200 < 0.95
    (gateway, at_work), *_ = Counter(seen("company")).most_common(1)
    assert gateway != home and 0.7 < at_work / 200 < 0.9
    for line in ("tor", "relay"):
        assert home not in seen(line)
        assert len(set(seen(line))) > 20
    assert 0.05 < seen("vpn").count(home) / 200 < 0.25


def test_clocks_follow_most_travellers() -> None:
    where, country = Whereabouts(4), COUNTRIES[5]
    home = address_in(country.networks[0], 0.1)
    places = [where.today(country, home) for _ in range(8_000)]
    followed = [place for place in places if place.clock is not country]
    assert 0.005 < len(followed) / 8_000 < 0.015
    addresses = located(place.address for place in followed).country
    assert addresses.tolist() == [COUNTRY_NUMBER[place.clock.code] for place in followed]


def test_a_clock_that_follows_is_told_everywhere_and_one_that_is_said_only_by_the_page() -> None:
    signals = Craft(1).visitor(AT).signals
    moved = clock_in(signals, "America/New_York", AT)
    assert {moved[name] for name in moved if name.endswith(".timezone") and name != "fingerprint.timezone"} == {
        "America/New_York"
    }
    assert {moved[f"{place}.timezone_offset"] for place in ("intl", "worker", "frame_page")} == {240.0}
    assert (moved["intl.timezone_offset_january"], moved["intl.timezone_offset_july"]) == (300.0, 240.0)
    assert {name for name in signals if signals[name] != moved[name]} <= {name for name in moved if "zone" in name}
    said = {**signals, **zone_said(signals, "America/New_York", AT, offsets_too=False)}
    assert (said["intl.timezone"], said["intl.timezone_offset"]) == (
        "America/New_York",
        signals["intl.timezone_offset"],
    )
    assert said["worker.timezone"] == signals["worker.timezone"]


def test_a_clock_says_nothing_where_the_browser_says_nothing() -> None:
    signals = {**Craft(1).visitor(AT).signals, "worker.timezone": None}
    del signals["intl.timezone_offset_july"]
    moved = clock_in(signals, "America/New_York", AT)
    assert moved["worker.timezone"] is None
    assert "intl.timezone_offset_july" not in moved


def test_a_denser_crowd_comes_from_more_places() -> None:
    def places(crowd: float) -> int:
        where, country = Whereabouts(7), COUNTRIES[0]
        where.crowd = crowd
        own = [address_in(country.networks[0], point / 1_500) for point in range(1_500)]
        return len({where.home(country, "phone", address) for address in own})

    assert places(1) < places(25) < places(600)


@pytest.mark.parametrize("pool", ["hosting", "vpn", "tor", "relay", "proxy", "residential_proxy", "listed", "gateway"])
def test_what_is_drawn_of_a_class_is_of_that_class_by_the_data(pool: str) -> None:
    pools, random = load_pools(), Random(1)
    drawn = [pools.draw(pool, random) for _ in range(200)]
    known = pool if pools.knows(pool) else "hosting"
    assert ((located(drawn).classes & NETWORK_BIT[known]) > 0).all()
    assert pools.knows(pool) == (pool in load_address_table().covers)
    assert len(set(drawn)) > 20


def test_ranges_are_drawn_whole_and_an_unknown_class_from_data_centres() -> None:
    four = Stretches(np.array([0, 1 << 24, (1 << 24) + 2, 5 << 24], np.uint32), np.array([0, 8, 0, 1], np.uint32))
    six = Stretches(np.array([0, 7], np.uint64), np.array([0, 16], np.uint32))
    described = Described("classes", "1", "", "", (4, 2), "")
    pools = pools_of(AddressFile(described, four, six))
    random = Random(3)
    assert {IPv6Address(pools.draw("tor", random)).ipv4_mapped for _ in range(60)} == {
        IPv4Address("1.0.0.0"), IPv4Address("1.0.0.1"),
    }  # fmt: skip
    assert all(int.from_bytes(pools.draw("relay", random)[:8]) >= 7 for _ in range(20))
    assert {pools.draw("proxy", random)[12] >= 5 for _ in range(60)} == {True}
    with pytest.raises(ValueError, match="no pool of addresses is called moon"):
        Pools({}, {}).draw("moon", random)


def test_somebody_known_comes_with_a_second_device_of_the_same_home_and_country() -> None:
    craft = Craft(5, small=True)
    visitor = craft.visitor(AT)
    other = craft.second_device(AT, visitor)
    assert (other.address, other.country) == (visitor.address, visitor.country)
    assert other.device_id != visitor.device_id
    devices: dict[str, set[bytes]] = defaultdict(set)
    for visit in honest_visits(1_500):
        devices[visit.linked_id].add(visit.device_id)
    assert any(len(found) > 1 for account, found in devices.items() if account)


def test_no_card_token_looks_like_a_card() -> None:
    for visit in honest_visits(200):
        assert not looks_like_card_number(visit.card_token)
        assert find_personal_data(visit.card_token, ID_KINDS) is None
