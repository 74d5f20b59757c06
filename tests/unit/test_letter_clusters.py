"""Which failures are alike."""

from __future__ import annotations

import pytest

from infra.letter_clusters import cluster_of


@pytest.mark.parametrize(
    ("detail", "pattern"),
    [
        ("12 bytes of 4096", "# bytes of #"),
        ("took 3.5e-7 s", "took # s"),
        ("event 0190f3a5c1d27b3e8f4a6d5c4b3a2918", "event #"),
        ("event 0190f3a5-c1d2-7b3e-8f4a-6d5c4b3a2918 again", "event # again"),
        ("at 0x7f3a", "at #"),
        ("canvas_2d_hash and webgl2_vendor lie outside", "canvas_2d_hash and webgl2_vendor lie outside"),
        ("Kafka: MSG_SIZE_TOO_LARGE", "Kafka: MSG_SIZE_TOO_LARGE"),
        ("", ""),
    ],
)
def test_numbers_and_ids_are_masked_and_names_are_kept(detail: str, pattern: str) -> None:
    assert cluster_of("internal.bug", "score", detail).pattern == pattern


def test_a_bug_at_another_place_in_the_code_is_another_cluster() -> None:
    here, there = (f"the stage raised KeyError, stack {stack}" for stack in ("1a2b3c4d", "5e6f7a8b"))
    assert cluster_of("internal.bug", "score", here).stack == "1a2b3c4d"
    assert cluster_of("internal.bug", "score", here) != cluster_of("internal.bug", "score", there)


def test_reason_and_stage_tell_clusters_apart() -> None:
    found = {cluster_of(reason, stage, "x").id for reason in ("a.b", "a.c") for stage in ("d", "e")}
    assert len(found) == 4
    assert all(len(name) == 10 and int(name, 16) >= 0 for name in found)
