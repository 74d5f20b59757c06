"""Where the generator's people and attackers come from, by the vendored data, and what they pay with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from ipaddress import IPv6Address, IPv6Network

import numpy as np

from enrichers.address_table import load_address_table
from infra.traffic.attackers import ATTACKERS
from infra.traffic.countries import COUNTRIES, DATA_CENTRES, address_in
from infra.traffic.craft import Craft
from infra.traffic.scenario import HONEST_ONLY, Scenario
from infra.traffic.visits import Campaign, Visit
from infra.traffic.whereabouts import Whereabouts
from ingest_api.names import looks_like_card_number
from schemas.batches import Network
from schemas.countries import COUNTRY_NUMBER
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
        for network in (*country.networks, *country.six):
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
    assert found.country.tolist() == [COUNTRY_NUMBER[visitor.country.code] for visitor in visitors]
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


def test_attackers_hide_at_hosts_and_behind_homes_or_not_at_all() -> None:
    ways: set[str] = set()
    for campaign in campaigns("card_testing"):
        addresses = {visit.address for _, visit in campaign}
        hosts = set(located(addresses).asn.tolist()) <= HOSTERS
        ways.add(f"{'one' if len(addresses) == 1 else 'many'} {'hosts' if hosts else 'homes'}")
    assert ways == {"one homes", "one hosts", "many homes", "many hosts"}


def test_somebody_known_comes_with_a_second_device_of_the_same_home_and_country() -> None:
    craft = Craft(5, small=True)
    visitor = craft.visitor(AT)
    other = craft.second_device(AT, visitor)
    assert (other.address, other.country) == (visitor.address, visitor.country)
    assert other.device_id != visitor.device_id
    devices: dict[str, set[bytes]] = defaultdict(set)
    for visit in honest_visits(600):
        devices[visit.linked_id].add(visit.device_id)
    assert any(len(found) > 1 for account, found in devices.items() if account)


def test_no_card_token_looks_like_a_card() -> None:
    for visit in honest_visits(200):
        assert not looks_like_card_number(visit.card_token)
        assert find_personal_data(visit.card_token, ID_KINDS) is None
