"""What a diff counts is what a plain loop over paired rows counts, however rows are cut into buckets."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.diff_rows_kit import Row, compared

_CODES = ("bot", "velocity", "vpn")
_ROW = st.fixed_dictionaries(
    {
        "key": st.tuples(st.integers(0, 9), st.integers(0, 1)),  # event and merchant
        "score": st.sampled_from([0.0, -0.0, 10.0, 99.5]),
        "decision": st.integers(0, 2),
        "by": st.integers(0, 2),
        "state": st.integers(0, 2),
        "factors": st.lists(st.sampled_from(_CODES), unique=True, max_size=3).map(tuple),
        "signal": st.sampled_from([(1, 0.5), (0, 0.25), (-1, float("nan"))]),
        "label": st.sampled_from([-1, 0, 1]),
    }
)
_SIDE = st.lists(_ROW, max_size=12, unique_by=lambda row: row["key"])


@given(_SIDE, _SIDE, st.integers(1, 4))
@settings(max_examples=150, deadline=None)
def test_a_loop_counts_the_same(a: list[Row], b: list[Row], buckets: int) -> None:
    found = compared(a, b, buckets).as_json()
    of_b = {row["key"]: row for row in b}
    pairs = [(row, of_b[row["key"]]) for row in a if row["key"] in of_b]
    assert found["events"]["both"] == len(pairs)
    assert found["events"]["only_a"] == len(a) - len(pairs) and found["events"]["only_b"] == len(b) - len(pairs)
    matrix = [[sum((y["decision"], x["decision"]) == (was, now) for x, y in pairs) for now in range(3)]
              for was in range(3)]  # fmt: skip
    assert found["flips"]["matrix"] == matrix
    by_merchant = Counter(x["key"][1] for x, y in pairs if x["decision"] != y["decision"])
    names = ("shop", "other")
    assert {one["merchant"]: one["flips"] for one in found["flips"]["by_merchant"] if one["flips"]} == {
        names[number]: count for number, count in by_merchant.items()
    }
    bits = [(np.float32(x["score"]).tobytes(), np.float32(y["score"]).tobytes()) for x, y in pairs]
    assert found["scores"]["changed"] == sum(now != was for now, was in bits)  # 0 and -0 differ too
    assert found["counts"]["velocity_events"] == sum(x["state"] != y["state"] for x, y in pairs)
    assert found["factors"]["top_events"] == sum(x["factors"][:1] != y["factors"][:1] for x, y in pairs)
    for code, (here, there) in product(_CODES, ((0, 1), (1, 0))):
        gone = sum(code in pair[here]["factors"] and code not in pair[there]["factors"] for pair in pairs)
        told = next((one for one in found["factors"]["codes"] if one["code"] == code), {"came": 0, "went": 0})
        assert told["came" if here == 0 else "went"] == gone
    assert found["smart"]["events"] == sum(x["signal"][0] != y["signal"][0] for x, y in pairs)
    assert found["labelled"]["compared"] == sum(x["label"] >= 0 for x, _ in pairs)


@given(_SIDE, _SIDE, st.integers(2, 5))
@settings(max_examples=60, deadline=None)
def test_buckets_change_nothing(a: list[Row], b: list[Row], buckets: int) -> None:
    whole, cut = (compared(a, b, number) for number in (1, buckets))
    assert whole.digests[0].hex() == cut.digests[0].hex()
    one, other = (found.as_json() for found in (whole, cut))
    for part in ("events", "groups", "first_difference", "decided_by", "flips"):
        assert one[part] == other[part]


@given(_SIDE, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_a_side_is_identical_to_itself_in_any_order(a: list[Row], random: Any) -> None:
    shuffled = a.copy()
    random.shuffle(shuffled)
    found = compared(a, shuffled, 2)
    assert found.verdict == "identical" and found.digests[0].hex() == found.digests[1].hex()
    assert found.examples == []
