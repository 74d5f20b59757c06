"""Laws of columns, for every section and every batch type: take and concat."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import batches as b
from schemas.columns import Columns, names_of, segments, widen, with_section
from schemas.ruling import Ruling
from tests.strategies import Recipe, activities, same, same_activity, signals

RECIPE = Recipe(5, 0.3, [1.0, float("nan"), float("inf")], [None, b"", b"text", "\u00e4".encode()])
NAMES = ("one", "two")


def _rng(rows: int) -> np.random.Generator:
    return np.random.default_rng(rows)


def _ints(rows: int, dtype: Any, *shape: int) -> Any:
    return _rng(rows).integers(0, 100, (rows, *shape)).astype(dtype)


def _names(rows: int) -> tuple[str, ...]:
    return tuple(f"name {row % 5}" for row in range(rows))


def origin(rows: int) -> b.Origin:
    offsets = np.arange(rows, dtype=np.int64)
    return b.Origin("events.raw", np.zeros(rows, np.int32), offsets, offsets + 10, offsets + 20)


def event(rows: int) -> b.Event:
    ids = [_ints(rows, np.uint8, 16) for _ in range(4)]
    counts = (_ints(rows, np.uint32), _ints(rows, np.uint32), _ints(rows, np.int64), _ints(rows, np.int64))
    names = (_names(rows), _names(rows), ("",) * rows, _names(rows), _names(rows))
    return b.Event(*ids, *counts, *names, _ints(rows, np.uint8), tuple(bytes([row % 5]) for row in range(rows)))


def environment(rows: int) -> b.Environment:
    def codes() -> Any:
        return _ints(rows, np.uint8)

    def numbers() -> Any:
        return _ints(rows, np.float32)

    return b.Environment(
        browser=codes(),
        browser_version=numbers(),
        engine=codes(),
        engine_version=numbers(),
        engine_at_least=numbers(),
        system=codes(),
        system_version=numbers(),
        device=codes(),
        gpu=codes(),
        gpu_driver=codes(),
        gpu_model=_names(rows),
        screen_pixels_wide=numbers(),
        screen_pixels_high=numbers(),
        density=codes(),
        timezone_offset=numbers(),
        checks=_ints(rows, np.uint64),
        fingerprint=_ints(rows, np.uint64),
    )


def network(rows: int) -> b.Network:
    place = (_ints(rows, np.float32), _ints(rows, np.float32))
    return b.Network(_ints(rows, np.uint16), _ints(rows, np.uint32), *place, _ints(rows, np.uint16))


def velocity(rows: int) -> b.Velocity:
    counts = _ints(rows, np.uint32, 18).reshape(rows, 6, 3)
    return b.Velocity(counts, _ints(rows, np.int64), _ints(rows, np.int64))


def history(rows: int) -> b.History:
    places = (_ints(rows, np.float32, 3), _ints(rows, np.float32, 3), _ints(rows, np.int64, 3))
    return b.History(_ints(rows, np.uint32), _ints(rows, np.uint8, 24), _ints(rows, np.float32, 4), *places)


def session(rows: int) -> b.SessionSummary:
    return b.SessionSummary(_ints(rows, np.uint32), _ints(rows, np.int64), _ints(rows, np.float32, 5))


def recognition(rows: int) -> b.Recognition:
    combinations = (_ints(rows, np.float32, 9), _ints(rows, np.float32, 9))
    return b.Recognition(*combinations, _ints(rows, np.float32, 3), _ints(rows, np.float32, 3), _ints(rows, np.uint8))


def shared(rows: int) -> b.Shared:
    counts = _ints(rows, np.float32, 36).reshape(rows, 6, 2, 3)
    return b.Shared(counts, _ints(rows, np.uint8) % 2 == 1)


def smart(rows: int) -> b.SmartSignals:
    return b.SmartSignals(NAMES, _ints(rows, np.int8, 2), _ints(rows, np.float32, 2), _ints(rows, np.uint32, 2))


def score(rows: int) -> b.Score:
    return b.Score(
        ("m1", "m2"),
        _ints(rows, np.uint8) % 2,
        _ints(rows, np.float32),
        _ints(rows, np.int8, 3),
        _ints(rows, np.float32, 3),
        ("m3",),
        _ints(rows, np.float32, 1),
        _ints(rows, np.float32, 4),
        _ints(rows, np.uint8, 5),
    )


def decision(rows: int) -> b.Decision:
    thresholds = (_ints(rows, np.float32) for _ in range(3))
    said = (_ints(rows, np.uint8) for _ in range(4))
    return b.Decision("p1", *said, *thresholds, _ints(rows, np.uint8, 1), _ints(rows, np.uint8, 2))


def rules(rows: int) -> b.Rules:
    """Return rules that are of two rulesets in turn, where they say anything; digests by first appearance."""
    return b.Rules(
        ("r1", "r2")[: (rows > 1) + (rows > 2)],
        np.arange(rows, dtype=np.int16) % 3 - 1,
        _ints(rows, np.uint8),
        _ints(rows, np.uint8),
        _ints(rows, np.float32),
        _ints(rows, np.uint8) % 2 == 1,
        tuple(Ruling(("own", "all"), matched=(f"rule-{row}",)) if row % 3 else None for row in range(rows)),
        ("s1", "s2"),
        _ints(rows, np.uint8, 2),
        _ints(rows, np.float32, 2),
    )


def ledger(rows: int) -> b.Ledger:
    return b.Ledger(("appended", "polled"), _ints(rows, np.int64, 2))


def raw(rows: int) -> b.RawBatch:
    return b.RawBatch(origin(rows), tuple(bytes((row % 256,)) * (row % 4) for row in range(rows)), ledger(rows))


def decoded(rows: int) -> b.Decoded:
    log = activities(RECIPE, rows)
    return widen(b.Decoded, raw(rows), event=event(rows), signals=signals(RECIPE, rows), activity=log)


def verified(rows: int) -> b.Verified:
    return widen(b.Verified, decoded(rows))


def normalized(rows: int) -> b.Normalized:
    return widen(b.Normalized, verified(rows), environment=environment(rows), network=network(rows))


def counted(rows: int) -> b.Counted:
    return widen(b.Counted, normalized(rows), velocity=velocity(rows), history=history(rows), session=session(rows))


def recognized(rows: int) -> b.Recognized:
    return widen(b.Recognized, counted(rows), recognition=recognition(rows))


def related(rows: int) -> b.Related:
    return widen(b.Related, recognized(rows), shared=shared(rows))


def enriched(rows: int) -> b.Enriched:
    return widen(b.Enriched, related(rows), smart=smart(rows))


def scored(rows: int) -> b.Scored:
    return widen(b.Scored, enriched(rows), score=score(rows))


def judged(rows: int) -> b.Judged:
    return widen(b.Judged, scored(rows), rules=rules(rows))


def decided(rows: int) -> b.Decided:
    return widen(b.Decided, judged(rows), decision=decision(rows))


MAKERS: dict[type[Columns], Callable[[int], Columns]] = {
    b.Origin: origin, b.Ledger: ledger, b.Event: event, b.Environment: environment, b.Velocity: velocity,
    b.SmartSignals: smart, b.Score: score, b.Decision: decision, b.Texts: lambda rows: signals(RECIPE, rows).texts,
    b.Signals: lambda rows: signals(RECIPE, rows), b.Activity: lambda rows: activities(RECIPE, rows),
    b.RawBatch: raw, b.Decoded: decoded, b.Verified: verified, b.Normalized: normalized, b.Counted: counted,
    b.Network: network, b.History: history, b.SessionSummary: session, b.Shared: shared, b.Related: related,
    b.Recognition: recognition, b.Recognized: recognized,
    b.Enriched: enriched, b.Scored: scored, b.Rules: rules, b.Judged: judged, b.Decided: decided,
}  # fmt: skip
ALL = pytest.mark.parametrize("make", MAKERS.values(), ids=[kind.__name__ for kind in MAKERS])


def test_every_section_and_batch_type_is_here() -> None:
    kinds = {kind for kind in vars(b).values() if isinstance(kind, type) and issubclass(kind, Columns)}
    assert kinds - {Columns} == set(MAKERS)


@ALL
@settings(max_examples=12, deadline=None)
@given(st.data())
def test_joining_what_was_taken_apart_gives_the_whole(make: Callable[[int], Columns], data: Any) -> None:
    rows = data.draw(st.integers(1, 12))
    whole = make(rows)
    cuts = sorted(data.draw(st.lists(st.integers(0, rows), max_size=3)))
    bounds = list(zip([0, *cuts], [*cuts, rows], strict=True))
    parts = [whole.take(np.arange(low, high)) for low, high in bounds]
    assert [len(part) for part in parts] == [high - low for low, high in bounds]
    assert same(type(whole).concat(parts), whole)


@ALL
@settings(max_examples=12, deadline=None)
@given(st.data())
def test_taking_twice_is_taking_the_chosen_of_the_chosen(make: Callable[[int], Columns], data: Any) -> None:
    rows = data.draw(st.integers(1, 10))
    first = np.array(data.draw(st.lists(st.integers(0, rows - 1), max_size=12)), np.intp)
    whole = make(rows)
    taken = whole.take(first)
    assert len(taken) == len(first)
    second = np.array(
        data.draw(st.lists(st.integers(0, max(0, len(first) - 1)), max_size=6)) if len(first) else [], np.intp
    )
    assert same(taken.take(second), whole.take(first[second]))
    assert same(whole.take(np.arange(0)), make(0)) or len(whole.take(np.arange(0))) == 0


@ALL
def test_taking_all_rows_in_order_gives_the_same_object_and_one_part_joins_to_itself(
    make: Callable[[int], Columns],
) -> None:
    whole = make(4)
    assert whole.take(np.arange(4)) is whole
    assert whole.part(0, 4) is whole
    assert same(whole.part(1, 3), whole.take(np.array([1, 2])))
    assert type(whole).concat([whole]) is whole
    assert len(whole.take(np.arange(0))) == 0
    assert same(whole.take(np.array([3, 2, 1, 0])).take(np.array([3, 2, 1, 0])), whole)


@ALL
def test_a_batch_survives_a_pickle(make: Callable[[int], Columns]) -> None:
    assert same(pickle.loads(pickle.dumps(make(3))), make(3))  # noqa: S301 - our own bytes


@ALL
def test_joining_nothing_is_refused(make: Callable[[int], Columns]) -> None:
    with pytest.raises(ValueError, match="at least one part"):
        type(make(0)).concat([])


def test_ragged_parts_join_also_where_their_offsets_do_not_start_at_nought() -> None:
    log = activities(RECIPE, 5)
    low, high = int(log.offsets[2]), int(log.offsets[4])
    part = b.Activity(log.offsets[2:5], log.time, log.value, log.code, log.target)
    joined = b.Activity.concat([part, part])
    assert same_activity(joined, log.take(np.array([2, 3, 2, 3])))
    assert joined.offsets[-1] == 2 * (high - low)


def test_rows_of_entries_follow_the_offsets() -> None:
    log = activities(RECIPE, 6)
    assert log.rows().tolist() == [row for row in range(6) for _ in range(int(np.diff(log.offsets)[row]))]


def test_batches_that_disagree_on_a_shared_value_are_not_joined() -> None:
    other = b.Origin(
        "events.other", *(getattr(origin(2), n) for n in ("partition", "offset", "appended_at", "polled_at"))
    )
    with pytest.raises(ValueError, match=r"disagree on a shared value: 'events\.raw'"):
        b.Origin.concat([origin(2), other])
    with pytest.raises(ValueError, match="different marks"):
        b.Ledger.concat([ledger(2), ledger(2).mark("decode", 1)])
    with pytest.raises(ValueError, match="different smart signals"):
        b.SmartSignals.concat([smart(1), b.SmartSignals(("other",), *(np.zeros((1, 1)),) * 3)])


def test_a_mark_is_one_more_column_and_leaves_the_ledger_as_it_was() -> None:
    before = ledger(3)
    after = before.mark("decode", 77)
    assert after.marks == ("appended", "polled", "decode")
    assert after.micros[:, 2].tolist() == [77, 77, 77]
    assert same(before, ledger(3))
    assert len(after) == 3


def test_marks_of_one_ledger_do_not_see_each_other() -> None:
    before = ledger(3).mark("decode", 1)
    one, other = before.mark("score", 2), before.mark("judge", 3)
    assert (one.marks[2:], one.micros[:, 2:].tolist()) == (("decode", "score"), [[1, 2]] * 3)
    assert (other.marks[2:], other.micros[:, 2:].tolist()) == (("decode", "judge"), [[1, 3]] * 3)
    assert (before.marks[2:], before.micros[:, 2:].tolist()) == (("decode",), [[1]] * 3)


@given(st.data())
def test_rows_are_taken_before_a_mark_as_after_it(data: Any) -> None:
    rows = data.draw(st.integers(0, 6))
    chosen = np.array(data.draw(st.lists(st.integers(0, rows - 1), max_size=8)) if rows else [], np.intp)
    marked = ledger(rows).mark("decode", 7).mark("score", 8)
    assert same(marked.take(chosen), ledger(rows).take(chosen).mark("decode", 7).mark("score", 8))
    assert len(marked.take(chosen)) == len(chosen)
    assert marked.micros.shape == (rows, 4)
    assert marked.micros.flags.c_contiguous


def test_a_marked_ledger_survives_a_pickle_and_has_no_other_attribute() -> None:
    marked = ledger(2).mark("decode", 7)
    assert same(pickle.loads(pickle.dumps(marked)), marked)  # noqa: S301 - our own bytes
    assert same(pickle.loads(pickle.dumps(ledger(2).mark("decode", 7))), marked)  # noqa: S301 - our own bytes
    with pytest.raises(AttributeError, match="seconds"):
        _ = marked.seconds


@ALL
def test_a_replaced_field_is_all_that_changes_and_what_is_made_is_frozen(make: Callable[[int], Columns]) -> None:
    whole = make(3)
    for name in names_of(type(whole)):
        made = with_section(whole, name, "another")
        assert type(made) is type(whole)
        assert [field for field in names_of(type(whole)) if getattr(made, field) is not getattr(whole, field)] == [name]
        with pytest.raises(FrozenInstanceError):
            setattr(made, name, None)
        with pytest.raises(FrozenInstanceError):
            delattr(made, name)


def test_no_field_is_replaced_that_is_not_there() -> None:
    with pytest.raises(TypeError, match="Origin has no field colour"):
        with_section(origin(1), "colour", 1)


def test_a_wider_batch_needs_its_new_sections_and_takes_no_others() -> None:
    with pytest.raises(TypeError, match="score"):
        widen(b.Scored, enriched(1))
    with pytest.raises(TypeError, match="origin"):
        widen(b.Scored, enriched(1), score=score(1), origin=origin(1))


def test_a_smart_signal_is_found_by_its_name() -> None:
    assert smart(1).column("two") == 1
    with pytest.raises(ValueError):
        smart(1).column("three")


def test_widening_shares_the_sections() -> None:
    before = raw(2)
    after = widen(b.Decoded, before, event=event(2), signals=signals(RECIPE, 2), activity=activities(RECIPE, 2))
    assert after.origin is before.origin
    assert after.values is before.values


def test_columns_without_a_column_have_no_length() -> None:
    with pytest.raises(TypeError, match="Columns has no column"):
        len(Columns())


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), max_size=8))
def test_segments_are_the_ranges_one_after_the_other(spans: list[tuple[int, int]]) -> None:
    starts, lengths = (np.array([span[i] for span in spans], np.int64) for i in (0, 1))
    assert segments(starts, lengths).tolist() == [at for start, n in spans for at in range(start, start + n)]
