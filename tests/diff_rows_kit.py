"""Rows for the tests of a diff as heads and details, compared in so many buckets."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import numpy as np

from replay.diff import Differences
from replay.diff_rows import COUNTS, GROUPS, Details, Heads, pair, place_of

Row = dict[str, Any]


def heads(rows: list[Row]) -> Heads:
    """Return rows as heads; the groups are hashes of what the rows hold."""
    count = len(rows)
    groups = np.zeros((count, len(GROUPS)), np.uint64)
    for number, row in enumerate(rows):
        groups[number, place_of("received")] = row["key"][1]  # the merchant is of it
        groups[number, place_of("score")] = np.float32(row["score"]).view(np.uint32)
        groups[number, place_of("velocity")] = row["state"]
        groups[number, place_of("factors")] = crc32(",".join(row["factors"]).encode())
        groups[number, place_of("smart")] = int(row["signal"][0]) + 1
        groups[number, place_of("decision")] = 10 * row["decision"] + row["by"]
    ids = np.array([[0, row["key"][0]] for row in rows], np.uint64).reshape(count, 2)
    return Heads(
        order=ids[:, 1] * np.uint64(7919) % np.uint64(11),
        event_id=ids,
        merchant=np.array([row["key"][1] for row in rows], np.int32),
        session=ids[:, 1],
        partition=np.zeros(count, np.int32),
        offset=ids[:, 1].astype(np.int64),
        occurred_at=np.zeros(count, np.int64),
        score=np.array([row["score"] for row in rows], np.float32),
        decision=np.array([row["decision"] for row in rows], np.uint8),
        decided_by=np.array([row["by"] for row in rows], np.uint8),
        version=np.zeros(count, np.int32),
        groups=groups,
    )


def details(rows: list[Row]) -> Details:
    """Return rows as details; a factor adds its place in the row."""
    counts = np.zeros((len(rows), len(COUNTS)), np.uint32)
    counts[:, 0] = [row["state"] for row in rows]
    return Details(
        factors=tuple(",".join(row["factors"]).encode() for row in rows),
        contributions=tuple(np.arange(len(row["factors"]), dtype="<f4").tobytes() for row in rows),
        rules=(b"",) * len(rows),
        smart_names=(b"vpn",) * len(rows),
        smart_results=tuple(np.int8(row["signal"][0]).tobytes() for row in rows),
        smart_confidences=tuple(np.array([row["signal"][1]], "<f4").tobytes() for row in rows),
        counts=counts,
    )


def compared(a: list[Row], b: list[Row], buckets: int) -> Differences:
    """Compare two sides in so many buckets of the order."""
    found = Differences(3)
    for name in (b"shop", b"other"):
        found.merchants[name]  # numbers them
    found.versions[b"m\x1fb\x1fr\x1fp"]
    for number in range(buckets):
        own_a, own_b = ([row for row in side if row["key"][0] * 7919 % 11 * buckets // 11 == number] for side in (a, b))
        heads_a, heads_b = heads(own_a), heads(own_b)
        paired = pair(heads_a, heads_b)
        label = np.array([own_a[row]["label"] for row in paired.a.tolist()], np.int8)
        found.add(heads_a, heads_b, paired, label)
        found.add_details(*(details([side[row] for row in rows.tolist()])
                            for side, rows in ((own_a, paired.a), (own_b, paired.b))))  # fmt: skip
        for side, here, only in (("a", heads_a, paired.only_a), ("b", heads_b, paired.only_b)):
            found.add_one_sided(side, here.take(only), [""] * len(only), ["0" * 32] * len(only))
    return found
