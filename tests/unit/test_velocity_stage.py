from __future__ import annotations

import struct
from dataclasses import replace
from hashlib import blake2b

import numpy as np
import pytest

from flows.stages.device_state.recent_ids import RecentIds
from flows.stages.device_state.tag_table import LANES, TagTable
from flows.stages.device_state.tags import Salts, tags_of
from flows.stages.device_state.time_lists import TimeLists
from flows.stages.velocity import DAY, HOUR, SECOND, Velocity, VelocitySession
from flows.stages.velocity_frames import unpack
from schemas.batches import Counted, Normalized
from schemas.dead_letter import Reason
from schemas.stage import StageOut
from tests.builders import NOW, normalized


def batch(times: list[int], events: list[int] | None = None, devices: list[int] | None = None) -> Normalized:
    """Return events at ``times``; different events of one device where nothing else is said."""
    rows = len(times)
    made = normalized([{}] * rows, times=times)
    event_id, device_id = np.zeros((rows, 16), np.uint8), np.zeros((rows, 16), np.uint8)
    event_id.view("<i8")[:, 1] = range(rows) if events is None else events
    device_id.view("<i8")[:, 1] = 0 if devices is None else devices
    return replace(made, event=replace(made.event, event_id=event_id, device_id=device_id))


def counts(out: StageOut[Counted]) -> list[tuple[int, int, int]]:
    velocity = out.oks.velocity
    columns = (velocity.events_5m, velocity.events_1h, velocity.events_24h)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def opened(**durations: int) -> VelocitySession:
    return Velocity(**durations).open([])


def test_the_windows_end_at_the_event_and_begin_after_their_length() -> None:
    times = [NOW, NOW + 1, NOW + 300 * SECOND, NOW + HOUR, NOW + DAY]
    out = opened().apply(batch(times))
    assert counts(out) == [(1, 1, 1), (2, 2, 2), (2, 3, 3), (1, 3, 4), (1, 1, 4)]
    assert out.oks.velocity.first_seen_at.tolist() == [NOW] * 5
    assert out.oks.velocity.previous_at.tolist() == [-1, *times[:-1]]


def test_a_late_event_counts_in_the_window_that_it_belongs_to() -> None:
    session = opened()
    session.apply(batch([NOW, NOW + 2 * HOUR]))
    out = session.apply(batch([NOW + 60 * SECOND, NOW - 60 * SECOND], events=[10, 11]))
    assert counts(out) == [(2, 2, 2), (1, 1, 1)]
    assert out.oks.velocity.previous_at.tolist() == [NOW, -1]
    assert out.oks.velocity.first_seen_at.tolist() == [NOW, NOW - 60 * SECOND]


def test_an_event_older_than_the_lateness_is_a_dead_letter_and_can_be_redriven() -> None:
    session = opened(lateness_ms=HOUR)
    out = session.apply(batch([NOW, NOW - HOUR, NOW - HOUR - 1]))
    assert len(out.oks) == 2
    (letter,) = out.errs
    assert (letter.reason, letter.stage, letter.offset) == (Reason.TOO_LATE, "velocity", 2)
    later = Velocity(lateness_ms=2 * HOUR).open([session.snapshot().data])
    assert counts(later.apply(batch([NOW - HOUR - 1], events=[2]))) == [(1, 1, 1)]


def test_a_second_copy_is_dropped_in_the_same_batch_and_in_a_later_one() -> None:
    session = opened()
    out = session.apply(batch([NOW, NOW, NOW + 1], events=[1, 1, 2]))
    assert (counts(out), out.dropped) == ([(1, 1, 1), (2, 2, 2)], 1)
    assert session.apply(batch([NOW], events=[1])).dropped == 1


def test_an_id_is_remembered_for_a_day_and_then_forgotten() -> None:
    session = opened(lateness_ms=0, dedup_ms=DAY)
    session.apply(batch([NOW], events=[1]))
    assert session.apply(batch([NOW + DAY], events=[1])).dropped == 1
    assert session.apply(batch([NOW + DAY + HOUR], events=[1])).dropped == 0


def test_one_merchants_id_is_no_duplicate_of_another_merchants() -> None:
    rows = batch([NOW, NOW], events=[1, 1])
    out = opened().apply(replace(rows, event=replace(rows.event, merchant=("one", "other"))))
    assert (len(out.oks), out.dropped) == (2, 0)


def test_a_clock_in_the_future_neither_moves_the_watermark_nor_loses_the_event() -> None:
    session = opened(lateness_ms=HOUR)
    rows = batch([NOW + 400 * DAY])
    out = session.apply(replace(rows, event=replace(rows.event, received_at=np.array([NOW]))))
    assert counts(out) == [(1, 1, 1)]
    out = session.apply(batch([NOW + 1], events=[7]))
    assert (counts(out), out.oks.velocity.previous_at.tolist()) == ([(2, 2, 2)], [NOW])


def test_a_clock_before_1970_is_too_late_and_does_no_harm() -> None:
    session = opened()
    session.apply(batch([NOW]))
    out = session.apply(batch([-(1 << 62)], events=[5]))
    assert [letter.reason for letter in out.errs] == [Reason.TOO_LATE]


def test_an_empty_batch_gives_an_empty_one() -> None:
    rows = batch([NOW]).take(np.empty(0, np.intp))
    out = opened().apply(rows)
    assert (len(out.oks), out.errs, out.dropped) == (0, (), 0)


def test_a_device_that_was_idle_for_long_is_forgotten_and_its_room_used_again() -> None:
    session = opened(idle_ms=3 * DAY)
    session.apply(batch([NOW] * 2_000, devices=list(range(2_000)), events=list(range(2_000))))
    before = session.nbytes
    for day in range(1, 40):
        made = list(range(day * 2_000, day * 2_000 + 2_000))
        session.apply(batch([NOW + day * DAY] * 2_000, devices=made, events=made))
    assert session.devices <= 5 * 2_000
    assert session.nbytes < 12 * before
    out = session.apply(batch([NOW + 40 * DAY], devices=[0], events=[-1]))
    assert out.oks.velocity.first_seen_at.tolist() == [NOW + 40 * DAY]


def test_the_events_of_an_idle_device_go_and_its_history_stays() -> None:
    session = opened()
    session.apply(batch([NOW + second for second in range(500)], devices=[1] * 500))
    session.apply(batch([NOW + 4 * DAY], devices=[2], events=[900]))
    out = session.apply(batch([NOW + 4 * DAY], devices=[1], events=[901]))
    assert counts(out) == [(1, 1, 1)]
    assert out.oks.velocity.first_seen_at.tolist() == [NOW]
    assert out.oks.velocity.previous_at.tolist() == [NOW + 499]


def test_a_busy_device_keeps_what_its_windows_need_and_no_more() -> None:
    session = opened(lateness_ms=0)
    for hour in range(0, 24 * 20, 6):
        times = [NOW + hour * HOUR + 60 * SECOND * minute for minute in range(360)]
        session.apply(batch(times, events=list(range(hour * 1_000, hour * 1_000 + 360))))
    out = session.apply(batch([NOW + 20 * DAY], events=[-1]))
    assert counts(out) == [(5, 60, 1440)]
    assert len(unpack(session.snapshot(whole=True).data).times) < 5_000


def test_a_snapshot_has_the_size_of_the_change_and_the_second_is_empty() -> None:
    session = opened()
    session.apply(batch([NOW + row for row in range(1_000)], devices=list(range(1_000))))
    whole = len(session.snapshot().data)
    session.apply(batch([NOW], events=[5_000]))
    assert len(session.snapshot().data) < whole / 100
    assert len(unpack(session.snapshot().data).times) == 0


def test_a_journal_that_nobody_takes_gives_way_to_a_whole_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.stages.velocity._JOURNAL_LEAST", 100)
    session = opened()
    session.apply(batch([NOW + row for row in range(300)]))
    session.apply(batch([NOW + DAY + row for row in range(300)], events=list(range(1_000, 1_300))))
    again = Velocity().open([session.snapshot().data])
    probe = batch([NOW + DAY + 400], events=[9_999])
    assert counts(again.apply(probe)) == counts(session.apply(probe)) == [(301, 301, 301)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"CGVS\x02\x01" + bytes(10),
        b"XXXX" + bytes(12),
        b"CGVS\x01\x01" + bytes(70),
        b"CGVS\x01\x02" + bytes(10) + b"\x08" + bytes(9),
    ],
)
def test_bytes_that_are_no_snapshot_are_refused_in_one_sentence(data: bytes) -> None:
    with pytest.raises(ValueError, match="rebuild the state from Kafka"):
        Velocity().open([data])


def test_durations_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="idle_ms"):
        Velocity(idle_ms=DAY)
    assert Velocity().name == "velocity"


def mixed_in_plain_python(word: int) -> int:
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        word = (word ^ word >> 33) * factor % 2**64
    return word ^ word >> 33


def tag_in_plain_python(packed: bytes, salt: int) -> int:
    low, high = struct.unpack("<QQ", packed)
    return mixed_in_plain_python(mixed_in_plain_python((high + salt) % 2**64) ^ low)


def test_tags_are_the_same_on_every_machine() -> None:
    ids = np.arange(32, dtype=np.uint8).reshape(2, 16)
    tags = tags_of(ids, ids, Salts().of(("demo", "demo")))
    salt = int.from_bytes(blake2b(b"demo", digest_size=8).digest(), "little")
    assert tags.tolist() == [[tag_in_plain_python(one.tobytes(), added) for one in ids] for added in (0, salt)]


def test_the_cache_of_salts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Salts, "LIMIT", 3)
    salts = Salts()
    first = salts.of(("a", "b", "c", "d"))
    assert len(salts) <= 3
    assert salts.of(("a", "b", "c", "d")).tolist() == first.tolist()


def test_tags_made_to_collide_are_found_and_do_not_make_the_table_grow() -> None:
    table = TagTable()
    size = table.nbytes
    tags = (np.arange(1, 501, dtype=np.uint64) << np.uint64(48)) | np.uint64(5)  # all of them in the same two buckets
    values = np.arange(1, 501, dtype=np.uint32)
    table.insert(tags, values)
    assert (len(table), table.nbytes) == (500, size)
    assert table.lookup(tags).tolist() == values.tolist()
    table.drop_below(250)
    assert np.count_nonzero(table.lookup(tags)) == len(table) == 251
    table.drop_values(np.arange(501) >= 300)
    assert table.lookup(tags).tolist() == [v if 250 <= v < 300 else 0 for v in values.tolist()]


def test_the_table_grows_with_its_tags_and_keeps_them() -> None:
    rng = np.random.default_rng(3)
    table, everything = TagTable(), rng.integers(1, 1 << 63, 200_000).astype(np.uint64)
    values = np.arange(1, 200_001, dtype=np.uint32)
    for at in range(0, 200_000, 1_000):
        table.insert(everything[at : at + 1_000], values[at : at + 1_000])
    assert (table.lookup(everything) == values).all()
    assert not table.lookup(rng.integers(1 << 63, (1 << 64) - 1, 50_000, np.uint64)).any()
    tags, found = table.items()
    order = np.argsort(found)
    assert (tags[order] == everything).all()
    assert table.nbytes < 200_000 * 13 * LANES  # doubled, and the half that is being emptied


@pytest.mark.parametrize("least", [1, 150_000])
def test_a_table_that_is_growing_has_all_its_tags(least: int) -> None:
    tags = np.random.default_rng(4).integers(1, 1 << 63, 184_000).astype(np.uint64)
    values = np.arange(1, 184_001, dtype=np.uint32)
    table = TagTable(180_000)
    table.insert(tags[:183_000], values[:183_000])
    table.insert(tags[183_000:], values[183_000:])  # the seventh tenth is reached here
    table.drop_below(least)
    expected = np.where(values >= least, values, 0)
    assert (table.lookup(tags) == expected).all()
    assert len(table) == len(table.items()[0]) == np.count_nonzero(expected)
    table.drop_values(np.arange(184_001) > 183_500)
    assert len(table) == np.count_nonzero(expected) - 500


def test_barred_rows_make_no_duplicates() -> None:
    ids = RecentIds(24)
    ids.advance(100)
    tags = np.array([7, 7, 7, 8], np.uint64)
    duplicate = ids.admit(tags, np.array([True, False, False, True]))
    assert duplicate is not None
    assert duplicate.tolist() == [False, False, True, False]
    assert len(ids) == 1


def test_lists_of_many_lengths_are_counted_alike() -> None:
    rng = np.random.default_rng(5)
    lists, slots = TimeLists(), np.arange(40)
    lists.clear(slots)
    lengths = np.arange(40) ** 2 // 2 + 1
    times = [np.sort(rng.integers(0, 10_000, size)) for size in lengths.tolist()]
    lists.add(slots, lengths, np.concatenate(times), np.array([one[0] for one in times]), -1)
    bounds = rng.integers(-10, 10_010, (3, 40))
    expected = [[int((times[slot] > bound).sum()) for slot, bound in enumerate(row)] for row in bounds.tolist()]
    assert lists.counts_after(lists.read(slots), bounds).tolist() == expected
