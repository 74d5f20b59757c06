"""relate: who is an entity, who shares it, and that the store learns no address, account or card."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from flows.lookups.memory_shared import MemorySharedCounts
from flows.stages.entity_hashes import OwnHashes, ValueHashes, name_hash
from flows.stages.entity_values import entity_values
from flows.stages.relate import Relate
from schemas.batches import Recognized
from schemas.shared import NothingShared, SharedAnswer, SharedQuery, unknown
from schemas.velocity import ENTITIES
from tests.builders import NOW, recognized

ADDRESS, NETWORK, ASN, ACCOUNT, FINGERPRINT, CARD = range(len(ENTITIES))


def mapped(*parts: int) -> list[int]:
    return [0] * 10 + [255, 255, *parts]


def events(rows: int, **columns: Any) -> Recognized:
    """Return rows of one address, merchant and account, but what is said."""
    batch = recognized([{}] * rows)
    given: dict[str, Any] = {
        "address": np.array([mapped(192, 0, 2, 1)] * rows, np.uint8),
        "linked_id": ("a",) * rows,
        "card_token": ("c",) * rows,
        **columns,
    }
    return replace(batch, event=replace(batch.event, **given))


def entities(batch: Recognized) -> Any:
    return Relate(NothingShared()).named(batch)[0]


def networks(addresses: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the network of each address: what the compiled loop is held against."""
    found = addresses.copy()
    v4 = (addresses[:, :12] == mapped()).all(axis=1)
    found[v4, 15] = 0
    found[~v4, 8:] = 0
    return found


def test_the_network_of_an_address_is_24_bits_of_ipv4_and_64_of_ipv6() -> None:
    addresses = np.array([mapped(192, 0, 2, 77), list(range(1, 17))], np.uint8)
    values = entity_values(addresses, np.zeros(2, np.uint32), np.zeros(2, np.uint64), addresses)
    assert values[:, 1].copy().view(np.uint8).tolist() == [mapped(192, 0, 2, 0), [*range(1, 9), *[0] * 8]]
    assert addresses[0, 15] == 77


def test_the_values_of_entities_are_the_bytes_that_an_event_shows() -> None:
    rng = np.random.default_rng(5)
    addresses, devices = rng.integers(0, 256, (2, 500, 16), np.uint8)
    addresses[::3, :12] = mapped()
    addresses[1::30, :10] = 0  # nearly mapped
    addresses[2::30] = 0
    asn, fingerprint = rng.integers(0, 2**32, 500, np.uint32), rng.integers(0, 2**64, 500, np.uint64)
    for order in (slice(None), slice(None, None, -1)):  # also where columns do not lie as the loop wants them
        columns = addresses[order], asn[order], fingerprint[order], devices[order]
        values = entity_values(*columns)
        assert values[:, :2].copy().view(np.uint8).reshape(500, 2, 16).tolist() == (
            np.stack((columns[0], networks(columns[0])), axis=1).tolist()
        )
        assert values[:, 2:4].tolist() == [[[one, 0], [two, 0]] for one, two in zip(*columns[1:3], strict=True)]
        assert values[:, 4].copy().view(np.uint8).tolist() == columns[3].tolist()


def test_neighbours_share_a_network_but_no_address() -> None:
    batch = events(2, address=np.array([mapped(192, 0, 2, 1), mapped(192, 0, 2, 2)], np.uint8))
    found = entities(batch)
    assert found[0, NETWORK] == found[1, NETWORK]
    assert found[0, ADDRESS] != found[1, ADDRESS]


def test_accounts_and_cards_are_a_merchants_own_and_addresses_are_not() -> None:
    found = entities(events(2, merchant=("one", "two")))
    assert found[0, ADDRESS] == found[1, ADDRESS]
    assert found[0, ACCOUNT] != found[1, ACCOUNT]
    assert found[0, CARD] != found[1, CARD]


def test_the_end_of_one_name_is_not_the_start_of_another() -> None:
    found = entities(events(2, merchant=("shop", "shop1"), linked_id=("1a", "a")))
    assert found[0, ACCOUNT] != found[1, ACCOUNT]


def test_what_an_event_does_not_have_is_zero() -> None:
    batch = events(1, linked_id=("",), card_token=("",))
    assert (entities(batch) == 0).tolist() == [[False, False, True, True, True, True]]


def test_known_systems_and_fingerprints_are_hashed() -> None:
    batch = events(1)
    batch = replace(
        batch,
        network=replace(batch.network, asn=np.array([64_500], np.uint32)),
        environment=replace(batch.environment, fingerprint=np.array([2**64 - 1], np.uint64)),
    )
    assert (entities(batch) != 0).all()


def test_the_same_bytes_of_another_kind_or_under_another_key_are_another_hash() -> None:
    value = np.ones((1, 2, 2), np.uint64)
    found = [ValueHashes({"address": 16, "network": 16}, key)(value) for key in (b"one", b"two")]
    assert len(np.unique(found)) == 4


@pytest.mark.parametrize("key", [b"", b"key", b"x" * 64, b"longer than any key of BLAKE2b" * 3])
def test_values_are_hashed_as_hashlib_does(key: bytes) -> None:
    values = np.random.default_rng(1).integers(1, 2**64, (300, 2, 2), np.uint64, endpoint=False)
    values[:, 1, 1] = 0
    hashes = ValueHashes({"address": 16, "asn": 8}, key)
    expected = [
        [name_hash("address", key, one.tobytes()), name_hash("asn", key, other[:1].tobytes())] for one, other in values
    ]
    for _ in range(2):  # made, and then remembered
        assert hashes(values).tolist() == expected
    assert not hashes(np.zeros((3, 2, 2), np.uint64)).any()


def test_values_keep_their_hashes_when_there_were_more_than_are_remembered() -> None:
    hashes = ValueHashes({"asn": 8}, b"key")
    values = np.zeros((40_000, 1, 2), np.uint64)
    values[:, 0, 0] = np.arange(1, 40_001)
    before = hashes(values)
    assert len(np.unique(before)) == len(values)
    np.testing.assert_array_equal(hashes(values), before)


def test_texts_keep_their_hashes_when_there_were_more_than_are_remembered() -> None:
    hashes = OwnHashes("card", b"key")
    texts = [str(number) for number in range(80_000)]
    before = hashes.of(("shop",) * 40_000, texts[:40_000])
    hashes.of(("shop",) * 40_000, texts[40_000:])
    assert len(hashes) <= 16_384
    np.testing.assert_array_equal(hashes.of(("shop",) * 40_000, texts[:40_000]), before)


class Degraded:
    def __init__(self) -> None:
        self.asked: list[SharedQuery] = []

    def count(self, query: SharedQuery, /) -> SharedAnswer:
        self.asked.append(query)
        return SharedAnswer(unknown(len(query)), True)


def test_every_row_goes_on_degraded_where_nobody_could_be_asked() -> None:
    store = Degraded()
    batch = events(3)
    out = Relate(store)(batch)
    assert (len(out.oks), list(out.errs), out.dropped) == (3, [], 0)
    assert out.oks.shared.degraded.all()
    (query,) = store.asked
    assert query.time.tolist() == [NOW] * 3
    assert query.offset.tolist() == [0, 1, 2]


def test_counts_reach_the_batch() -> None:
    out = Relate(MemorySharedCounts())(events(4)).oks.shared
    assert out.counts[:, ACCOUNT, 0, 0].tolist() == [1, 2, 3, 4]
    assert np.isnan(out.counts[:, ASN]).all()
    assert not out.degraded.any()
