from __future__ import annotations

import struct
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from flows.stages.device_state.arrays import Growing
from flows.stages.device_state.kernels_rows import count_rows
from flows.stages.device_state.layout import DAY, HOUR, SCANNED, SECOND
from flows.stages.device_state.tags import TextTags
from flows.stages.velocity import Velocity, VelocitySession
from flows.stages.velocity_frames import unpack
from schemas.batches import Counted, Normalized
from schemas.dead_letter import Reason
from schemas.stage import StageOut
from schemas.velocity import KINDS, SCORE_LAG, SLICES
from tests.builders import NOW, entry, normalized

MINUTE = 60 * SECOND


def batch(
    times: list[int], events: list[int] | None = None, devices: list[int] | None = None, first: int = 0
) -> Normalized:
    """Return events at ``times``; different events of one device, session and address where nothing else is said."""
    rows = len(times)
    made = normalized([{}] * rows, times=times)
    event_id, others = np.zeros((rows, 16), np.uint8), np.zeros((rows, 16), np.uint8)
    event_id.view("<i8")[:, 1] = range(rows) if events is None else events
    others.view("<i8")[:, 1] = 0 if devices is None else devices
    event = replace(made.event, event_id=event_id, device_id=others, session_id=others, address=others)
    offset = np.arange(first, first + rows)
    origin = replace(made.origin, appended_at=made.event.received_at + 10, offset=offset)
    return replace(made, event=event, origin=origin)


def counts(out: StageOut[Counted]) -> list[tuple[int, int, int]]:
    velocity = out.oks.velocity
    columns = (velocity.events_5m, velocity.events_1h, velocity.events_24h)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def distinct(out: StageOut[Counted], kind: str, row: int = -1) -> list[int]:
    return out.oks.velocity.counts[row, KINDS.index(kind)].tolist()


def opened(**durations: int) -> VelocitySession:
    return Velocity(**durations).open([])


def at_places(rows: Normalized, places: list[float]) -> Normalized:
    where = np.array(places, np.float32)
    return replace(rows, network=replace(rows.network, latitude=where, longitude=where + 1))


def test_the_windows_end_at_the_event_and_begin_after_their_length() -> None:
    times = [NOW, NOW + 1, NOW + 300 * SECOND, NOW + HOUR, NOW + DAY]
    out = opened().apply(batch(times))
    assert counts(out) == [(1, 1, 1), (2, 2, 2), (2, 3, 3), (1, 3, 4), (1, 1, 4)]
    assert out.oks.velocity.first_seen_at.tolist() == [NOW] * 5
    assert out.oks.velocity.previous_at.tolist() == [-1, *times[:-1]]
    assert out.oks.history.events.tolist() == [1, 2, 3, 4, 5]


def test_values_count_once_each_and_absent_ones_not_at_all() -> None:
    rows = batch([NOW, NOW + MINUTE, NOW + 2 * MINUTE, NOW + 30 * MINUTE])
    event = replace(rows.event, linked_id=("a", "", "b", "a"), merchant=("one", "one", "other", "one"))
    network = replace(rows.network, country=np.array([0, 5, 5, 9], np.uint16))
    out = opened().apply(replace(rows, event=event, network=network))
    assert distinct(out, "accounts") == [1, 2, 2]
    assert distinct(out, "countries") == [1, 2, 2]
    assert distinct(out, "merchants") == [1, 2, 2]
    assert distinct(out, "addresses") == [1, 1, 1]
    assert distinct(out, "accounts", 1) == [1, 1, 1]
    assert distinct(out, "countries", 0) == [0, 0, 0]


def test_a_late_event_counts_in_the_window_that_it_belongs_to() -> None:
    session = opened()
    session.apply(batch([NOW, NOW + 2 * HOUR]))
    out = session.apply(batch([NOW + MINUTE, NOW - MINUTE], events=[10, 11]))
    assert counts(out) == [(2, 2, 2), (1, 1, 1)]
    assert out.oks.velocity.previous_at.tolist() == [NOW, -1]
    assert out.oks.velocity.first_seen_at.tolist() == [NOW, NOW - MINUTE]


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


@pytest.mark.parametrize("wrong", ["browser", "browser and ingest host"])
def test_a_clock_in_the_future_neither_moves_the_watermark_nor_loses_the_event(wrong: str) -> None:
    session = opened(lateness_ms=HOUR)
    rows = batch([NOW + 400 * DAY])
    received = np.array([NOW]) if wrong == "browser" else rows.event.received_at
    event, origin = replace(rows.event, received_at=received), replace(rows.origin, appended_at=np.array([NOW]))
    assert counts(session.apply(replace(rows, event=event, origin=origin))) == [(1, 1, 1)]
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


def test_columns_that_may_not_be_written_are_counted_as_well() -> None:
    rows = batch([NOW, NOW + 1])
    for column in (rows.origin.offset, rows.event.device_id, rows.event.occurred_at, rows.network.country):
        column.flags.writeable = False
    assert counts(opened().apply(rows)) == [(1, 1, 1), (2, 2, 2)]


def test_a_device_that_was_idle_for_long_is_new_when_it_comes_again() -> None:
    session = opened(idle_ms=3 * DAY)
    session.apply(batch([NOW]))
    session.apply(batch([NOW + 3 * DAY], events=[1]))
    assert session.apply(batch([NOW + 3 * DAY], events=[2])).oks.history.events.tolist() == [3]
    out = session.apply(batch([NOW + 6 * DAY + 1], events=[3]))
    assert out.oks.history.events.tolist() == [1]
    assert out.oks.velocity.first_seen_at.tolist() == [NOW + 6 * DAY + 1]


def test_the_room_of_forgotten_devices_is_used_again() -> None:
    session, grown = opened(idle_ms=3 * DAY), 0
    for day in range(40):
        made = list(range(day * 2_000, day * 2_000 + 2_000))
        session.apply(batch([NOW + day * DAY + row for row in range(2_000)], devices=made, events=made))
        grown = grown or (day == 12 and session.nbytes)
    assert session.devices <= 7 * 2_000
    assert session.nbytes <= grown


def test_the_events_of_an_idle_device_go_and_its_history_stays() -> None:
    session = opened()
    session.apply(batch([NOW + second for second in range(500)], devices=[1] * 500))
    session.apply(batch([NOW + 4 * DAY + row for row in range(500)], devices=[2] * 500, events=list(range(900, 1_400))))
    held = unpack(session.snapshot().data)
    assert len(held.columns.events) == 501
    out = session.apply(batch([NOW + 4 * DAY], devices=[1], events=[9_001]))
    assert counts(out) == [(1, 1, 1)]
    assert out.oks.velocity.first_seen_at.tolist() == [NOW]
    assert out.oks.velocity.previous_at.tolist() == [NOW + 499]


def test_a_busy_device_keeps_what_its_windows_need_and_no_more() -> None:
    session = opened(lateness_ms=0)
    for hour in range(0, 24 * 20, 6):
        times = [NOW + hour * HOUR + MINUTE * minute for minute in range(360)]
        session.apply(batch(times, events=list(range(hour * 1_000, hour * 1_000 + 360))))
    out = session.apply(batch([NOW + 20 * DAY], events=[-1]))
    assert counts(out) == [(5, 60, 1440)]
    assert len(unpack(session.snapshot().data).columns.events) < 1_600


def test_a_late_event_of_a_very_busy_device_counts_all_events_and_the_values_of_the_nearest() -> None:
    session, total = opened(), SCANNED + 4_000
    for first in range(0, total, 4_000):
        rows = list(range(first, min(total, first + 4_000)))
        made = batch([NOW + row for row in rows], events=rows)
        addresses = np.zeros((len(rows), 16), np.uint8)
        addresses.view("<i8")[:, 1] = rows
        session.apply(replace(made, event=replace(made.event, address=addresses)))
    out = session.apply(batch([NOW + total - 2], events=[-1]))
    assert counts(out) == [(total, total, total)]
    assert distinct(out, "addresses") == [SCANNED + 1] * 3  # what it looked at, and its own


def test_hours_of_the_day_are_halved_before_one_overflows() -> None:
    session, midnight = opened(), NOW // DAY * DAY
    session.apply(batch([midnight + 5 * HOUR, midnight + 7 * HOUR, midnight + 7 * HOUR + 1]))
    for first in range(0, 256, 64):
        out = session.apply(
            batch([midnight + 30 * HOUR + row for row in range(64)], events=list(range(1_000 + first, 1_064 + first)))
        )
    assert out.oks.history.hours[-1, [5, 6, 7]].tolist() == [1, 255, 2]
    out = session.apply(batch([midnight + 31 * HOUR] * 10, events=list(range(500, 510))))
    assert out.oks.history.hours[-1, [5, 6, 7]].tolist() == [0, 128, 10]


def test_the_places_of_a_device_are_those_where_it_was_last() -> None:
    rows = batch([NOW + minute * MINUTE for minute in range(6)])
    history = opened().apply(at_places(rows, [1, 2, 1, np.nan, 3, 4])).oks.history
    assert history.latitude[3].tolist()[:2] == [1, 2]
    assert history.place_at[3].tolist() == [NOW + 2 * MINUTE, NOW + MINUTE, -1]
    assert history.latitude[5].tolist() == [3, 1, 2]
    assert history.longitude[5].tolist() == [4, 2, 3]


def test_a_score_is_seen_score_lag_offsets_later_and_not_before() -> None:
    session = opened()
    out = session.apply(batch([NOW, NOW + 1]))
    scored: Any = _Scored(out.oks.event, out.oks.origin, SimpleNamespace(score=np.array([10, 20], np.float32)))
    session.remember(scored)
    assert np.isnan(session.apply(batch([NOW + 2], [5], first=SCORE_LAG - 1)).oks.history.scores).all()
    assert session.apply(batch([NOW + 3], [6], first=SCORE_LAG)).oks.history.scores[0, 0] == 10
    restored = Velocity().open([session.snapshot().data])
    for each in (session, restored):
        assert each.apply(batch([NOW + 4], [7], first=SCORE_LAG + 1)).oks.history.scores[0, :2].tolist() == [20, 10]


class _Scored(SimpleNamespace):
    def __init__(self, event: Any, origin: Any, score: Any) -> None:
        super().__init__(event=event, origin=origin, score=score)

    def __len__(self) -> int:
        return len(self.event)


def test_a_session_sums_up_its_logs_until_it_is_over() -> None:
    session, log = opened(session_idle_ms=HOUR), [entry("clicked", 10, 50.0)]
    for at, events, clicks in ((NOW, 1, 1), (NOW + HOUR, 2, 2), (NOW + 2 * HOUR + 1, 1, 1)):
        rows = batch([at], events=[at])
        out = session.apply(replace(rows, activity=normalized([{}], activity=[log]).activity))
        summary = out.oks.session
        assert (summary.events[0], summary.statistics[0, 13]) == (events, clicks)


def test_a_snapshot_has_the_size_of_the_change_and_of_some_slices() -> None:
    session = opened()
    rows = 40_000
    session.apply(batch([NOW + row for row in range(rows)], devices=list(range(rows)), events=list(range(rows))))
    whole = session.snapshot()
    assert (whole.first_slice, whole.slices) == (0, SLICES)
    session.apply(batch([NOW], events=[rows]))
    first, second = session.snapshot(), session.snapshot()
    assert len(unpack(first.data).journal.rows) == 1
    assert len(unpack(second.data).journal.rows) == 0
    assert second.first_slice == first.first_slice + first.slices
    assert len(second.data) < 100_000 < len(whole.data)


def test_slices_come_in_turn_and_begin_again() -> None:
    session = opened()
    session.apply(batch([NOW]))
    session.snapshot()
    seen = 0
    for _ in range(3):
        frame = session.snapshot()
        assert frame.first_slice == seen % SLICES
        seen += frame.slices
    assert seen == 3 * SLICES


def test_a_journal_that_nobody_takes_gives_way_to_a_whole_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.stages.device_state.state._JOURNAL_LIMIT", 100)
    session = opened()
    session.snapshot()
    session.apply(batch([NOW + row for row in range(3_000)]))
    frame = session.snapshot()
    assert (frame.first_slice, frame.slices, len(unpack(frame.data).journal.rows)) == (0, SLICES, 0)
    out = Velocity().open([frame.data]).apply(batch([NOW + 3_000], events=[-1]))
    assert counts(out) == [(3_001, 3_001, 3_001)]


def test_what_is_no_snapshot_is_refused_in_one_sentence() -> None:
    session = opened()
    session.apply(batch([NOW, NOW + 1], devices=[1, 2]))
    data = session.snapshot().data
    for wrong, why in (
        (b"XXXX" + data[4:], "not a velocity snapshot"),
        (data[:4] + struct.pack("<H", 99) + data[6:], "not a velocity snapshot"),
        (data[:20], "ends early"),
        (data[:-1], "ends early"),
        (data + b"\0", "bytes left over"),
        (data[:6] + struct.pack("<H", 200) + data[8:], "contradicts itself"),
        (data[:28] + struct.pack("<Q", 63) + data[36:], "half a row"),
    ):
        with pytest.raises(ValueError, match=why) as refused:
            Velocity().open([wrong])
        assert len(str(refused.value).splitlines()) == 1


def test_snapshots_that_lack_slices_or_are_of_different_states_are_refused() -> None:
    session = Velocity(salt=1).open([])
    rows = 40_000
    session.apply(batch([NOW + row for row in range(rows)], devices=list(range(rows)), events=list(range(rows))))
    whole = session.snapshot().data
    part = session.snapshot().data
    with pytest.raises(ValueError, match="lack"):
        Velocity().open([part])
    with pytest.raises(ValueError, match="different states"):
        Velocity().open([Velocity(salt=2).open([]).snapshot().data, part])
    assert Velocity().open([whole, part]).devices == rows


def test_texts_have_tags_that_do_not_depend_on_what_was_seen_before() -> None:
    tags = TextTags()
    assert tags.of(("a", "", "a", "b")).tolist() == [tags["a"], 0, tags["a"], tags["b"]]
    tags.LIMIT = 2
    before = tags["a"]
    tags.of(tuple(map(str, range(9))))
    assert len(tags) <= 2
    assert tags["a"] == before


def test_durations_must_fit_each_other() -> None:
    with pytest.raises(ValueError, match="idle_ms"):
        Velocity(lateness_ms=DAY, idle_ms=DAY)
    with pytest.raises(ValueError, match="negative"):
        Velocity(lateness_ms=-1)


@pytest.mark.parametrize("system", [sys.platform, "darwin"])
def test_an_array_grows_and_keeps_what_it_holds(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", system)
    grown = Growing(np.int64, 1 << 20, 3)
    grown.array[:] = 7
    rows = len(grown)
    grown.lengthen(rows)
    assert len(grown) == rows
    grown.lengthen(rows + 1)
    assert rows * 5 // 4 <= len(grown) <= rows * 5 // 4 + 1_000
    assert (grown.array[:rows] == 7).all()
    assert not grown.array[rows:].any()
    assert grown.address % 4_096 == 0


def test_a_second_process_compiles_nothing() -> None:
    opened().apply(batch([NOW]))
    source = (
        "from tests.unit.test_velocity_stage import NOW, batch, count_rows, opened\n"
        "opened().apply(batch([NOW]))\n"
        "print(sum(count_rows.stats.cache_hits.values()), sum(count_rows.stats.cache_misses.values()))"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=600)
    assert done.stdout.split() == ["1", "0"]
    assert "kernels-" in count_rows.stats.cache_path  # type: ignore[attr-defined] - numba is not typed
