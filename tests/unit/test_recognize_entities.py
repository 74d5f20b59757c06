"""Keys of networks, and labels: what the flow's state and a file of labels agree on."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import numpy as np
import pytest

from schemas.batches import U8, U64
from schemas.recognition import REPUTED, LabelTable, LabelTables, NoLabels, entity_keys
from tests.builders import network_of


def addresses(*texts: str) -> U8:
    found = []
    for text in texts:
        address = ipaddress.ip_address(text)
        mapped = address if address.version == 6 else ipaddress.ip_address(f"::ffff:{text}")
        found.append(mapped.packed)
    return np.frombuffer(b"".join(found), np.uint8).reshape(-1, 16)


def keys(*texts: str, asn: int = 0) -> U64:
    return entity_keys(network_of(len(texts), [{"asn": asn}] * len(texts)), addresses(*texts))


def test_a_network_is_the_24_of_ipv4_and_the_64_of_ipv6() -> None:
    four = keys("10.1.2.3", "10.1.2.200", "10.1.3.3")
    assert four[0, 1] == four[1, 1] != four[2, 1]
    assert len(set(four[:, 0].tolist())) == 3
    six = keys("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1")
    assert six[0, 1] == six[1, 1] != six[2, 1]


def test_keys_are_of_their_kind_and_of_nothing_else() -> None:
    found = keys("0.0.0.7", asn=7)
    assert len(set(found[0].tolist())) == len(REPUTED)
    assert np.array_equal(keys("10.1.2.3", "::1")[1:], keys("::1"))
    assert keys("10.0.0.1", asn=0)[0, 2] == 0
    assert keys("::")[0].tolist() == [0, 0, 0]
    assert keys("10.0.0.1", asn=3320).tolist() == [[4199313954022012050, 9285761074521837316, 11847389832528126915]], (
        "stored in states and files of labels: a change needs a new version of both"
    )


def table(rows: Sequence[tuple[int, float, float]]) -> LabelTable:
    key, events, fraud = zip(*rows, strict=True) if rows else ((), (), ())
    return LabelTable(np.array(key, np.uint64), np.array(events, np.float32), np.array(fraud, np.float32))


def test_labels_are_looked_up_by_kind() -> None:
    labels = LabelTables([table([(5, 10, 2), (9, 3, 3)]), table([]), table([(5, 1, 0)])], "2")
    events, fraud = labels.count(np.array([[5, 5, 5], [9, 9, 9], [4, 0, 2**63]], np.uint64))
    assert events.tolist() == [[10, 0, 1], [3, 0, 0], [0, 0, 0]]
    assert fraud.tolist() == [[2, 0, 0], [3, 0, 0], [0, 0, 0]]
    assert events.dtype == fraud.dtype == np.float32
    assert NoLabels().count(np.ones((2, 3), np.uint64))[0].tolist() == [[0, 0, 0]] * 2


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([(9, 1, 0), (5, 1, 0)], "order of their keys"),
        ([(5, 1, 0), (5, 1, 0)], "each once"),
        ([(0, 1, 0)], "none 0"),
        ([(5, 1, 2)], "more fraud than events"),
        ([(5, float("nan"), 0)], "no count"),
        ([(5, 1, -1)], "no count"),
    ],
)
def test_labels_that_are_not_sound_are_refused(rows: list[tuple[int, float, float]], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        LabelTables([table(rows), table([]), table([])], "1")
    with pytest.raises(ValueError, match="one for each of address, network, asn"):
        LabelTables([table([])], "1")
