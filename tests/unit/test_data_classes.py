"""Classes of networks: real addresses of each, lines of homes that are none, and how the file is made."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import numpy as np
import pytest

from enrichers.address_file import Stretches, read_address_file
from enrichers.address_table import CLASSES_FILE, DATA, load_address_table
from enrichers.as_names import load_as_names
from infra.data.classes import COVERED, Classes, make_classes, united
from infra.data.feeds import feed_ranges, iporigin_ranges
from infra.data.packages import DataRefused
from infra.data.systems import Listed, classes_of_systems, read_systems
from schemas.batches import Network
from schemas.envelope import address_bytes
from schemas.networks import NETWORK_BIT, NETWORK_CLASSES
from tests.data_archives import IPORIGIN_ROWS, feeds, iporigin_table, wheel

TABLE = load_address_table()
REAL = {
    "52.95.110.1": {"hosting"},  # Amazon
    "88.198.1.1": {"hosting"},  # Hetzner
    "8.8.8.8": {"hosting"},  # Google
    "2a01:4f8:1::1": {"hosting"},
    "2001:4860:4860::8888": {"hosting"},
    "104.16.132.229": {"cdn"},  # Cloudflare
    "2606:4700::6810:84e5": {"cdn"},
    "146.75.1.1": {"cdn"},  # Fastly
    "2.16.1.1": {"cdn"},  # Akamai
    "193.138.218.1": {"vpn"},  # Mullvad
    "185.220.101.1": {"tor"},  # an exit for years
    "172.224.226.1": {"relay", "cdn"},  # Apple, at Akamai
    "2a02:26f7:c000::1": {"relay", "cdn"},
    "66.249.66.1": {"crawler"},  # Googlebot
    "2001:4860:4801:10::1": {"crawler"},
    "157.55.39.1": {"crawler", "hosting"},  # Bing
    "165.225.1.1": {"gateway"},  # Zscaler
}
LINES = (  # of homes, telephones and offices
    "91.0.0.1", "84.150.1.1", "2003:c0::1",  # Deutsche Telekom
    "73.20.30.40", "2601::1", "99.1.1.1", "172.56.1.1",  # Comcast, AT&T, T-Mobile US
    "86.130.1.1", "90.0.0.1", "153.128.0.1", "49.36.0.1", "109.40.1.1",  # BT, Orange, NTT, Jio, Vodafone
    "136.32.0.1", "98.97.0.1",  # Google Fiber, Starlink
)  # fmt: skip
NOBODY = (
    "10.0.0.1",
    "192.168.1.1",
    "127.0.0.1",
    "172.16.0.1",
    "100.64.0.1",
    "169.254.0.1",
    "::1",
    "fe80::1",
    "fc00::1",
)


def located(*addresses: str) -> Network:
    return TABLE(np.frombuffer(b"".join(map(address_bytes, addresses)), np.uint8).reshape(-1, 16))


def names(bits: int) -> set[str]:
    return {name for name, bit in NETWORK_BIT.items() if bits & bit}


def test_real_addresses_have_their_classes() -> None:
    found = located(*REAL)
    assert found.classes.dtype == np.uint16
    assert dict(zip(REAL, map(names, found.classes.tolist()), strict=True)) == REAL


def test_lines_of_homes_and_private_addresses_have_none() -> None:
    assert located(*LINES, *NOBODY).classes.tolist() == [0] * len(LINES + NOBODY)


def test_networks_of_access_providers_are_hardly_ever_hosting() -> None:
    """Of the addresses of ten great providers of lines, under one in a thousand is said to be in a data centre."""
    providers = (3320, 7922, 7018, 3215, 2856, 3209, 17676, 55836, 4134, 21928)
    asn = read_address_file(DATA / "address_asn.bin", "asn").four
    ends = np.append(asn.starts[1:].astype(np.int64), 1 << 32)
    rows = np.flatnonzero(np.isin(asn.values, providers))
    middles = ((asn.starts[rows].astype(np.int64) + ends[rows]) // 2).astype(np.uint32)
    classes = read_address_file(DATA / CLASSES_FILE, "classes").four.at(middles)
    sizes = ends[rows] - asn.starts[rows].astype(np.int64)
    hosted = (classes & np.uint32(NETWORK_BIT["hosting"] | NETWORK_BIT["vpn"])) != 0
    assert sizes[hosted].sum() < sizes.sum() / 1000


def test_the_table_says_which_classes_it_covers_and_has_ranges_of_no_other() -> None:
    assert TABLE.covers == COVERED
    assert {*COVERED} == {*NETWORK_CLASSES} - {"proxy", "residential_proxy", "listed"}
    content = read_address_file(DATA / CLASSES_FILE, "classes")
    for name in NETWORK_CLASSES:
        has = any((stretches.values & np.uint32(NETWORK_BIT[name])).any() for stretches in (content.four, content.six))
        assert has is (name in COVERED), name


def test_the_list_of_systems_is_sound_and_every_name_in_it_still_holds() -> None:
    listed = read_systems()
    numbers = [number for one in listed for number in one.numbers]
    assert len(set(numbers)) == len(numbers) > 150
    found = classes_of_systems(listed, dict(load_as_names().items()))
    assert found.renamed == ()
    assert {*found.classes.values()} == {"hosting", "cdn", "vpn", "gateway"}


def test_a_system_whose_name_has_changed_is_left_out_and_told() -> None:
    listed = (Listed("hosting", "hetzner", (24940, 213230), "rented servers"),)
    found = classes_of_systems(listed, {24940: "Hetzner Online GmbH", 213230: "Somebody's Cable"})
    assert found.classes == {24940: "hosting"}
    assert found.renamed == ("AS213230 is Somebody's Cable, not hetzner: left out",)
    assert "no longer announced" in classes_of_systems(listed, {}).renamed[0]


@pytest.mark.parametrize(
    "line", ["hosting;x;1", "nonsense;x;1;why", "hosting;;1;why", "hosting;x;one;why", "hosting;x;1;"]
)
def test_a_line_of_the_list_of_another_form_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "systems.csv").write_text(f"# comment\n{line}\n", "utf-8")
    with pytest.raises(DataRefused, match="has a line of another form"):
        read_systems(tmp_path / "systems.csv")


def test_classes_that_overlap_are_all_there() -> None:
    at = 0x0B000000
    four = united({"hosting": [(at, at + 99), (at + 50, at + 149)], "tor": [(at + 10, at + 10)]}, 32)
    assert four.starts.tolist() == [0, at, at + 10, at + 11, at + 150]
    both = NETWORK_BIT["hosting"] | NETWORK_BIT["tor"]
    assert four.values.tolist() == [0, NETWORK_BIT["hosting"], both, NETWORK_BIT["hosting"], 0]
    with pytest.raises(DataRefused, match="ends before it begins"):
        united({"tor": [(9, 4)]}, 32)


def test_iporigin_gives_ranges_by_class_without_those_that_have_no_licence(tmp_path: Path) -> None:
    found = iporigin_ranges(
        wheel(tmp_path, "iporigin", "9", {"iporigin/data/ranges.bin": iporigin_table(IPORIGIN_ROWS)})
    )
    assert {name: len(spans.four) + len(spans.six) for name, spans in found.items()} == {
        "hosting": 1, "cdn": 1, "vpn": 1, "relay": 2, "tor": 1, "crawler": 1}  # fmt: skip
    assert found["hosting"].four == [(int(ip_address("88.198.0.0")), int(ip_address("88.198.255.255")))]
    with pytest.raises(DataRefused, match="has another form"):
        iporigin_ranges(wheel(tmp_path, "iporigin", "10", {"iporigin/data/ranges.bin": b"IPORIGIN\2\0short"}))
    with pytest.raises(DataRefused, match=r"iporigin 11 has no iporigin/data/ranges\.bin any more"):
        iporigin_ranges(wheel(tmp_path, "iporigin", "11", {}))


def test_feeds_are_taken_line_by_line_and_what_is_no_range_is_left_out(tmp_path: Path) -> None:
    lines = {
        "bingbot": ["157.55.39.0/24", "13.66.139.7"],
        "seznambot": ["16/9", "2015/10", "3.455.766.537", "000/20", "2a02:598:128:8a00::b00:0/123"],
        "yandexbot": ["5.255.192.0/18", "2a02:6b8::/29", "1.0.0.0/8"],
        "zscaler": ["165.225.0.0/17"],
        "paypal": ["64.4.240.0/21"],  # no crawler's
    }
    found = feed_ranges(wheel(tmp_path, "is-crawler", "9", {"is_crawler/crawler-ip-ranges.json": feeds(**lines)}))
    shown = {str(ip_address(first)) for first, _ in found["crawler"].four + found["crawler"].six}
    assert shown == {"157.55.39.0", "13.66.139.7", "5.255.192.0", "2a02:6b8::"}
    assert len(found["gateway"].four) == 1
    with pytest.raises(DataRefused, match="has another form"):
        feed_ranges(wheel(tmp_path, "is-crawler", "10", {"is_crawler/crawler-ip-ranges.json": b"{}"}))


def test_a_class_that_loses_all_its_ranges_is_refused(tmp_path: Path) -> None:
    nothing = Stretches(np.zeros(1, np.uint32), np.zeros(1, np.uint32))
    asn = Classes(nothing, Stretches(np.zeros(1, np.uint64), np.zeros(1, np.uint32)))
    is_crawler = wheel(
        tmp_path, "is-crawler", "9", {"is_crawler/crawler-ip-ranges.json": feeds(zscaler=["165.225.0.0/17"])}
    )
    rows = [row for row in IPORIGIN_ROWS if row[0] != "Tor"]
    without = wheel(tmp_path, "iporigin", "9", {"iporigin/data/ranges.bin": iporigin_table(rows)})
    with pytest.raises(DataRefused, match=r"^The packages have no ranges of tor any more\.$"):
        make_classes(without, is_crawler, asn, {})
    whole = wheel(tmp_path, "iporigin", "10", {"iporigin/data/ranges.bin": iporigin_table(IPORIGIN_ROWS)})
    made = make_classes(whole, is_crawler, asn, {})
    tor = np.array([int(ip_address("185.220.101.1"))], np.uint32)
    assert made.four.at(tor).tolist() == [NETWORK_BIT["tor"]]
