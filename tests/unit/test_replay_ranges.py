"""From what is asked for to the pieces of a plan, and every reason why there is none."""

from __future__ import annotations

import pytest

from infra.cli.replay_parts import Wanted
from infra.replay_windows import longest_catalogue, look_back
from infra.settings import Settings
from replay.plan import Piece, Plan, PlanUnreadable, Selection, Start, Store, decode_plan, encode_plan
from replay.ranges import (
    Held,
    Offsets,
    PlanRefused,
    Refusal,
    Times,
    beginning_at,
    check_partitions,
    end_at,
    range_of,
    read_offsets,
    read_partitions,
    warm_up,
)
from schemas.velocity import WINDOW_MS
from scoring.rules.document import Catalogue
from scoring.rules.history import HistoryLimits
from scoring.rules.in_force import InForce
from scoring.rules.ruleset import Rulebook, Ruleset

BOTH = Held(3, Offsets(100, 200), Offsets(20, 150))
KAFKA, ARCHIVE = Store.KAFKA, Store.ARCHIVE
NOW = 1_790_000_000_000
HOUR = 3_600_000
PLAN = Plan(
    "june", "events.raw", Start.SEALED, (Piece(0, 0, 5, ARCHIVE), Piece(0, 5, 9)), (Piece(0, 9, 12), Piece(1, 2, 3)),
    Selection(("demo",), ("0" * 32,), frozenset({(0, 10), (0, 9), (1, 2)}), 0.25), "/somewhere",
)  # fmt: skip


def test_kafka_is_read_where_it_has_records_and_the_archive_below_that() -> None:
    assert range_of(BOTH, Offsets(120, 130)) == [Piece(3, 120, 130, KAFKA)]
    assert range_of(BOTH, Offsets(30, 40)) == [Piece(3, 30, 40, ARCHIVE)]
    assert range_of(BOTH, Offsets(90, 200)) == [Piece(3, 90, 100, ARCHIVE), Piece(3, 100, 200, KAFKA)]
    assert range_of(Held(3, None, Offsets(20, 150)), Offsets(20, 150)) == [Piece(3, 20, 150, ARCHIVE)]


@pytest.mark.parametrize(
    ("held", "wanted", "refusal", "said"),
    [
        (BOTH, Offsets(150, 201), Refusal.BEYOND_END, "offset 201 of partition 3 is beyond its end, which is 200"),
        (BOTH, Offsets(10, 150), Refusal.GAP, "offsets 10 to 19 of partition 3 can no longer be read: "
         "Kafka has 100 to 199, the archive has 20 to 149"),
        (Held(3, Offsets(100, 200)), Offsets(99, 150), Refusal.GAP, "offset 99 of partition 3 can no longer be read"),
        (Held(3, Offsets(100, 200), Offsets(20, 90)), Offsets(30, 150), Refusal.GAP, "offsets 90 to 99 of partition 3"),
        (Held(3, Offsets(100, 200), Offsets(20, 90)), Offsets(10, 150), Refusal.GAP, "(1 more such gaps follow)"),
        (Held(3, Offsets(100, 100)), Offsets(50, 100), Refusal.GAP, "Kafka has none below 100, the archive has none"),
    ],
)  # fmt: skip
def test_a_range_that_is_not_whole_is_refused_and_what_is_missing_is_named(
    held: Held, wanted: Offsets, refusal: Refusal, said: str
) -> None:
    with pytest.raises(PlanRefused) as refused:
        range_of(held, wanted)
    assert refused.value.refusal is refusal
    assert said in str(refused.value)


def test_what_is_warmed_up_begins_where_nothing_is_missing_any_more() -> None:
    assert warm_up(BOTH, Offsets(0, 120)) == [Piece(3, 20, 100, ARCHIVE), Piece(3, 100, 120, KAFKA)]
    torn = Held(3, Offsets(100, 200), Offsets(20, 90))
    assert warm_up(torn, Offsets(0, 120)) == [Piece(3, 100, 120, KAFKA)]
    assert warm_up(torn, Offsets(0, 100)) == []
    assert warm_up(BOTH, Offsets(120, 120)) == []


def test_a_moment_is_looked_for_in_kafka_and_below_that_in_the_archive() -> None:
    assert beginning_at(BOTH, Times(120, 110)) == end_at(BOTH, Times(120, 110)) == 120
    assert beginning_at(BOTH, Times(100, 30)) == end_at(BOTH, Times(100, 30)) == 30
    assert beginning_at(BOTH, Times(None, None)) == end_at(BOTH, Times(None, None)) == 200
    assert beginning_at(Held(3, Offsets(100, 200)), Times(100)) == 100
    assert beginning_at(Held(3, None, Offsets(20, 150)), Times(None, 60)) == 60
    assert end_at(Held(3, None, Offsets(20, 150)), Times()) == 150
    empty = Held(3, Offsets(200, 200), Offsets(20, 200))  # retention took all of it
    assert beginning_at(empty, Times(None, 70)) == 70
    assert end_at(empty, Times()) == 200


def test_a_moment_between_the_stores_is_taken_so_that_the_gap_shows() -> None:
    torn = Held(3, Offsets(100, 200), Offsets(20, 90))
    assert (beginning_at(torn, Times(100, None)), end_at(torn, Times(100, None))) == (90, 100)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["0:5"], "'0:5' is no range of offsets"),
        (["0:9-5"], "'0:9-5' ends before it begins"),
        (["0:1-5", "0:7-9"], "partition 0 is named twice"),
        (["-1:0-5"], "is no range of offsets"),
    ],
)
def test_offsets_that_cannot_be_meant_are_refused(texts: list[str], said: str) -> None:
    with pytest.raises(PlanRefused, match=said):
        read_offsets(texts)


def test_offsets_and_partitions_are_read() -> None:
    assert read_offsets(["3:10-20", "0:7-"]) == {3: Offsets(10, 20), 0: 7}
    assert read_partitions("2, 0,2") == (0, 2)
    with pytest.raises(PlanRefused, match="are no partitions"):
        read_partitions("0,a")
    with pytest.raises(PlanRefused, match=r"events\.raw has no partition 4, 9: it has 0 to 3"):
        check_partitions((9, 0, 4), range(4), "events.raw")


def test_a_plan_is_the_same_after_a_file_and_its_bytes_depend_on_it_alone() -> None:
    assert decode_plan(encode_plan(PLAN)) == PLAN
    again = Plan(**{name: getattr(PLAN, name) for name in PLAN.__slots__})
    assert encode_plan(again) == encode_plan(PLAN)


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        (b'"plan_version":1', b'"plan_version":7', "the plan is of version 7 and this build reads version 1"),
        (b'"sample":0.25', b'"sample":2', "2.0 is no share of devices"),
        (b'"first":9', b'"first":8', "pieces of partition 0 overlap"),
        (b'"next":12', b'"next":9', "offsets 9 to 9 of partition 0 are no range"),
        (b'"store":"archive"', b'"store":"tape"', "this is no plan of a replay"),
        (b'"plan_version"', b'"version"', "this is no plan of a replay"),
        (b"{", b"", "this is no plan of a replay"),
    ],
)
def test_what_is_no_plan_or_of_an_unknown_version_is_one_sentence(was: bytes, now: bytes, said: str) -> None:
    with pytest.raises(PlanUnreadable) as refused:
        decode_plan(encode_plan(PLAN).replace(was, now, 1))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"since": "1h", "until": "2h", "name": "a", "offsets": ["0:1-2"]}, "name --offsets or times, not both"),
        ({"last": "1h", "since": "2h"}, "--last is up to the end"),
        ({"until": "2h"}, "--to 2h has no --from"),
        ({"since": "soon"}, "'soon' is no time"),
        ({"last": "1"}, "--last 1 is no duration"),
        ({"last": "1h", "warm": "some"}, "--warm some is no duration"),
        ({"last": "1h", "sample": "0"}, "--sample 0 is no share"),
        ({"last": "1h", "sample": "101%"}, "--sample 101% is no share"),
        ({"last": "1h", "merchants": ["a b"]}, "'a b' is no merchant"),
        ({"last": "1h", "sessions": ["XY"]}, "'XY' is no session"),
        ({"last": "1h", "start": "scored"}, "--start scored is none of sealed, extracted, enriched"),
        ({"last": "1h", "store": "tape"}, "--store tape is none of auto, kafka, archive"),
    ],
)
def test_options_that_cannot_be_meant_are_one_sentence(options: dict[str, str], said: str) -> None:
    with pytest.raises(PlanRefused) as refused:
        Wanted(**{"name": "june", **options}).asked(NOW)  # type: ignore[arg-type]
    assert said in str(refused.value)


def test_options_say_what_is_asked_for() -> None:
    asked = Wanted("june", last="2h", sample="5%", merchants=["demo", "demo"], warm="90m", partitions="1").asked(NOW)
    assert (asked.since, asked.until, asked.sample) == (NOW - 2 * HOUR, None, 0.05)
    assert (asked.merchants, asked.warm_ms, asked.warm_all, asked.partitions) == (("demo",), 5_400_000, False, (1,))
    everything = Wanted("june", since="2026-06-01", until="2026-06-02", warm="all").asked(NOW)
    assert everything.until is not None
    assert everything.since is not None
    assert everything.until - everything.since == 24 * HOUR
    assert (everything.warm_ms, everything.warm_all) == (None, True)
    assert Wanted("june", last="1h", warm="0").asked(NOW).warm_ms == 0


def catalogue(window: int) -> InForce:
    """Return rules with one catalogue."""
    book = Rulebook(Ruleset(catalogues=(Catalogue("payments", ("payment",), "linked_id", window),)))  # type: ignore[arg-type]
    return InForce.of(Rulebook(), [book])


def test_the_warm_up_is_as_long_as_anything_looks_back_and_events_may_be_late() -> None:
    settings = Settings()
    lateness = settings.flow.lateness_seconds * 1000
    plain = look_back(settings, InForce())
    assert plain.ms >= lateness + max(WINDOW_MS)
    assert plain.ms == lateness + max(part.ms for part in plain.parts)
    week = catalogue(7 * 24 * HOUR)
    assert longest_catalogue(week) == 7 * 24 * HOUR
    assert look_back(settings, week).ms == lateness + HistoryLimits().retention(7 * 24 * HOUR)
    assert look_back(settings, InForce(), Start.ENRICHED).ms < plain.ms  # nothing is counted there
