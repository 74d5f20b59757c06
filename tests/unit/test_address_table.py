"""Where addresses lie: real addresses, addresses of nobody, damaged files, and how the files are made."""

from __future__ import annotations

import pickle
import time
from ipaddress import IPv6Address
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from enrichers.address_file import DataFileError, Stretches, pack_address_file, read_address_file
from enrichers.address_table import ASN_FILE, CLASSES_FILE, COUNTRY_FILE, DATA, PLACES_FILE, load_address_table
from flows.stages.normalize import Normalize
from infra.data.address_ranges import stretches_of
from infra.data.packages import DataRefused
from schemas.batches import U8
from schemas.countries import COUNTRIES
from schemas.envelope import address_bytes
from schemas.places import nowhere
from tests.normalize.agents import verified
from tests.strategies import same

U = TypeVar("U", bound=np.unsignedinteger)
TABLE = load_address_table()
FILES = (COUNTRY_FILE, ASN_FILE, CLASSES_FILE, PLACES_FILE)
NOBODY = (
    "0.0.0.1", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.1.1", "172.31.255.255", "192.0.2.17", "192.168.1.1",
    "198.51.100.9", "203.0.113.9", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1", "ff02::1",
    "2001:db8::17", "64:ff9b::808:808", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
)  # fmt: skip
SOMEBODY = {  # allocated to the same holders for decades
    "8.8.8.8": ("US", 15169), "1.1.1.1": ("AU", 13335), "73.20.30.40": ("US", 7922), "84.150.1.1": ("DE", 3320),
    "86.130.1.1": ("GB", 2856), "126.1.2.3": ("JP", 17676), "2003:c0::1": ("DE", 3320),
    "2001:4860:4860::8888": ("US", 15169), "95.216.1.1": ("FI", 24940), "3.80.1.1": ("US", 14618),
}  # fmt: skip


def packed(*addresses: str) -> U8:
    return np.frombuffer(b"".join(map(address_bytes, addresses)), np.uint8).reshape(-1, 16)


def test_known_addresses_get_country_system_and_place() -> None:
    found = TABLE(packed(*SOMEBODY))
    assert [COUNTRIES[number] for number in found.country] == [country for country, _ in SOMEBODY.values()]
    assert found.asn.tolist() == [asn for _, asn in SOMEBODY.values()]
    assert (found.country.dtype, found.asn.dtype, found.latitude.dtype) == (np.uint16, np.uint32, np.float32)
    germany = list(SOMEBODY).index("84.150.1.1")
    assert 47 < found.latitude[germany] < 55
    assert 6 < found.longitude[germany] < 15


def test_every_address_gets_what_each_of_the_files_says_of_it() -> None:
    random = np.random.default_rng(1)
    files = [read_address_file(DATA / name, name.split("_")[1][:-4]) for name in (COUNTRY_FILE, ASN_FILE, CLASSES_FILE)]
    four = np.concatenate(
        [random.integers(0, 1 << 32, 4_000, np.uint32), *(_edges(file.four.starts) for file in files)]
    )
    six = np.concatenate([random.integers(0, 1 << 64, 4_000, np.uint64), *(_edges(file.six.starts) for file in files)])
    six = six[six != 0]  # mapped addresses begin with it
    mapped, others = np.zeros((len(four), 4), ">u4"), np.zeros((len(six), 2), ">u8")
    mapped[:, 2], mapped[:, 3], others[:, 0] = 0xFFFF, four, six
    found = TABLE(np.concatenate([mapped.view(np.uint8), others.view(np.uint8)]))
    for file, shown in zip(files, (found.country, found.asn, found.classes), strict=True):
        assert (shown == np.concatenate([file.four.at(four), file.six.at(six)])).all()


def _edges(starts: NDArray[U]) -> NDArray[U]:
    """Return where some stretches start, the number before and the one behind."""
    some = starts[1 :: max(1, len(starts) // 1_000)]
    one = starts.dtype.type(1)
    return np.concatenate([some - one, some, some + one, starts[:1], starts[-1:]])


@pytest.mark.parametrize("address", NOBODY)
def test_addresses_of_nobody_are_unknown(address: str) -> None:
    found = TABLE(packed(address))
    assert (found.country[0], found.asn[0], found.classes[0]) == (0, 0, 0)
    assert np.isnan(found.latitude[0])
    assert np.isnan(found.longitude[0])


def test_a_batch_gives_what_its_rows_give() -> None:
    addresses = packed(*SOMEBODY, *NOBODY)
    whole = TABLE(addresses)
    for row in range(len(addresses)):
        assert same(TABLE(addresses[row : row + 1]), whole.take(np.array([row])))
    assert len(TABLE(addresses[:0])) == 0


def test_bisection_gives_what_a_search_from_the_start_gives() -> None:
    content = read_address_file(DATA / ASN_FILE, "asn")
    random = np.random.default_rng(5)
    at = random.integers(1, len(content.four.starts), 40)
    keys = np.concatenate([content.four.starts[at], content.four.starts[at] - np.uint32(1)])
    expected = np.concatenate([content.four.values[at], content.four.values[at - 1]])
    found = TABLE(packed(*(".".join(map(str, int(key).to_bytes(4, "big"))) for key in keys)))
    assert found.asn.tolist() == expected.tolist()
    at = random.integers(1, len(content.six.starts), 40)
    ends = content.six.starts[at] - np.uint64(1)
    last = TABLE(packed(*(str(IPv6Address((int(end) << 64) + 2**64 - 1)) for end in ends)))
    assert last.asn.tolist() == content.six.values[at - 1].tolist()


def test_a_table_pickles_as_where_it_was_read_from() -> None:
    assert len(pickle.dumps(TABLE)) < 1_000
    assert pickle.loads(pickle.dumps(TABLE)) is TABLE  # noqa: S301 - our own bytes


def test_the_stage_fills_the_network_section_with_what_the_lookup_says() -> None:
    batch = verified([{}])
    located = Normalize(locate=TABLE)(batch).oks.network
    assert same(located, TABLE(batch.event.address))
    assert same(Normalize()(batch).oks.network, nowhere(batch.event.address))
    again = pickle.loads(pickle.dumps(Normalize(locate=TABLE)))  # noqa: S301 - our own bytes
    assert same(again(batch).oks.network, located)


def test_reading_takes_under_a_second_and_the_files_under_four_megabytes(tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).write_bytes((DATA / name).read_bytes())
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 4_000_000
    started = time.process_time()  # what other processes take of the machine does not count
    load_address_table(tmp_path)
    assert time.process_time() - started < 1.0  # 0.07 s by itself


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "short", "flipped", "other"])
def test_a_missing_or_damaged_file_is_one_clear_sentence(tmp_path: Path, name: str, damage: str) -> None:
    for one in FILES:
        (tmp_path / one).write_bytes((DATA / one).read_bytes())
    content = (tmp_path / name).read_bytes()
    if damage == "missing":
        (tmp_path / name).unlink()
    elif damage == "short":
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        (tmp_path / name).write_bytes(content[:-9] + bytes([content[-9] ^ 0x55]) + content[-8:])
    else:
        (tmp_path / name).write_bytes(b"AD,91,0\n" if name == PLACES_FILE else b"")
    with pytest.raises(DataFileError, match=f"^The data file .*{name}.*\\.$") as caught:
        load_address_table(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_file_of_another_kind_is_refused() -> None:
    with pytest.raises(DataFileError, match="damaged or of another version"):
        read_address_file(DATA / ASN_FILE, "country")


def test_ranges_become_stretches_without_gaps_repeats_and_reserved_addresses() -> None:
    start = 0x0A000000  # 10.0.0.0, reserved
    ranges = [(5 << 24, (6 << 24) - 1, 7), (6 << 24, (6 << 24) + 9, 7), (start - 256, start + 65_536, 8)]
    four = stretches_of(ranges, 32)
    assert four.starts.tolist() == [0, 5 << 24, (6 << 24) + 10, start - 256, start]
    assert four.values.tolist() == [0, 7, 0, 8, 0]
    assert four.at(np.array([0, 5 << 24, (6 << 24) + 9, start - 1, start], np.uint32)).tolist() == [0, 7, 7, 8, 0]


def test_a_network_half_that_two_ranges_share_belongs_to_the_last() -> None:
    at = 0x2A00_0000_0000_0000 << 64
    six = stretches_of([(at, at + 5, 1), (at + 6, at + 2**65 - 1, 2)], 128)
    assert six.at(np.array([(at >> 64) - 1, at >> 64, (at >> 64) + 1, (at >> 64) + 2], np.uint64)).tolist() == [
        0,
        2,
        2,
        0,
    ]


def test_a_range_within_another_says_it_and_the_other_goes_on() -> None:
    at = 0x0B000000
    four = stretches_of([(at, at + 99, 1), (at, at + 9, 2), (at + 20, at + 29, 3), (at + 25, at + 39, 4)], 32)
    assert four.starts.tolist() == [0, at, at + 10, at + 20, at + 25, at + 40, at + 100]
    assert four.values.tolist() == [0, 2, 1, 3, 4, 1, 0]


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(DataRefused, match="ends before it begins"):
        stretches_of([(9, 4, 1)], 32)


def test_the_same_content_gives_the_same_bytes_and_reads_back(tmp_path: Path) -> None:
    four = Stretches(np.array([0, 5], np.uint32), np.array([0, 9], np.uint32))
    six = Stretches(np.array([0, 2**63], np.uint64), np.array([0, 2**32 - 1], np.uint32))
    made = pack_address_file("asn", "1", "here", "none", four, six)
    assert made == pack_address_file("asn", "1", "here", "none", four, six)
    (tmp_path / "file").write_bytes(made)
    read = read_address_file(tmp_path / "file", "asn")
    assert [read.four.values.tolist(), read.six.starts.tolist()] == [[0, 9], [0, 2**63]]
    assert read.described.version == "1"


def test_every_country_has_a_place_and_a_number_of_its_own() -> None:
    assert COUNTRIES[0] == ""
    assert len(set(COUNTRIES)) == len(COUNTRIES) == 251
    assert (COUNTRIES[1], COUNTRIES[57], COUNTRIES[233], COUNTRIES[250]) == ("AD", "DE", "US", "XK")  # never to move
