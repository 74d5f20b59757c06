"""Results written as bytes at once are what msgspec writes of the objects, and sinks find the same in both."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from enrichers.present import Present
from flows.parcel import Parcel, Span
from flows.sinks.encoded import EncodedParcel, encoder
from flows.sinks.tables import event_columns
from flows.sinks.written import WrittenResults, heads_of, seen_signals_of
from schemas.batches import Decided, Ledger
from schemas.fragments import Fragments
from schemas.result import RuleReason, decode_result, encode_result
from schemas.ruling import Ruling, ShadowRuling
from scoring.explain import _OBSERVED, Explainer
from scoring.groups import GROUPS
from tests.odd_columns import Column, laid, read_only, spread, swapped
from tests.scored_parcels import scored_batch

ROWS = 24
BASE = scored_batch(ROWS)
BUILD = 'build "1"\n'
EXPLAIN, PRESENT = Explainer(), Present()  # kept between examples, as a flow keeps them
TEXTS = ("", "demo", "Geschäft 🦢", 'say "no"', "back\\slash", "line\nfeed\t", "\x7f\x00", "</script>", "\u2028")
FLOATS = np.array(
    [0.0, -0.0, 1e-5, -1e-5, 0.00005, 0.00015, 12.5, 99.99995, 100, -3.25, 0.1, 1e-40, 33.33333, 65535.99,
     np.nan, np.inf, -np.inf],
    np.float32,
)  # fmt: skip
LONGS = np.array(
    [0, 1, -1, 9, 10, 99, 10**8 - 1, 10**8, -(10**8), 10**16 - 1, 10**16, 3 * 10**16 + 7, 1_780_344_777_075,
     2**63 - 1, -(2**63), -(10**18), 10**18 - 1],
    np.int64,
)  # fmt: skip
NATURALS = np.array([0, 1, 9, 10, 99, 100, 2**21 - 1, 2**21, 10**8 - 1, 10**8, 2**32 - 1], np.uint32)
SHARED = np.array([np.nan, 0, 0.4, 0.5, 1, 1.5, 2.5, 70, 16_777_216, 4_294_967_040], np.float32)
# Where a sentence rounds, or says something else: ties of every kind, limits, logarithms of seconds.
SAID = np.concatenate(
    (
        np.array([0, 1, 2, 0.5, 1.5, 2.5, 50, 150, 250, 1_249.99, 1_250, 1_250.01, 0.02, 0.003, 0.0095, 0.095, 0.125,
                  -1, np.nan, np.inf, 1e9, 3e38, 12_345.6], np.float32),
        np.log1p(np.array([1, 59, 59.999, 60, 3_599.5, 3_600, 86_399, 86_400, 172_800.3], np.float32)),
    )
)  # fmt: skip
SIGNED = np.append(SAID, np.float32(-0.0))  # not where it is remembered by equal values what was said
RULING = Ruling(
    sets=("own", "global"),
    matched=("one", "zwei ä"),
    tags=("t",),
    alerts=("team",),
    reasons=(RuleReason("one", 'because "so"'),),
    degraded=("history", "lists"),
    shadows=(ShadowRuling(0, "shadow-ruleset", ("tried",)),),
)


def any_of(random: np.random.Generator, values: NDArray[Any], shape: Any) -> Any:
    return np.ascontiguousarray(values[random.integers(0, len(values), shape)])


def texts_of(random: np.random.Generator, rows: int, plain: bool) -> tuple[str, ...]:
    return tuple(f"txn_{at}" if plain else TEXTS[at] for at in random.integers(0, len(TEXTS), rows).tolist())


def drawn(seed: int) -> Decided:
    """Return a batch with anything in every column that a result is made of."""
    random = np.random.default_rng(seed)
    base = BASE
    plain = bool(random.integers(2))
    said = tuple((None, RULING, Ruling(sets=("", "global")))[at] for at in random.integers(0, 3, ROWS).tolist())
    return replace(
        base,
        origin=replace(
            base.origin,
            topic=TEXTS[random.integers(len(TEXTS))],
            partition=random.integers(-1, 2**31 - 1, ROWS).astype(np.int32),
            offset=any_of(random, LONGS, ROWS),
        ),
        ledger=Ledger(("received", 'ä"', "decide")[: random.integers(4)], np.empty((ROWS, 0), np.int64)),
        event=replace(
            base.event,
            event_id=random.integers(0, 256, (ROWS, 16)).astype(np.uint8),
            session_id=random.integers(0, 256, (ROWS, 16)).astype(np.uint8),
            merchant=texts_of(random, ROWS, False),
            transaction=texts_of(random, ROWS, plain),
            occurred_at=any_of(random, LONGS, ROWS),
            received_at=any_of(random, LONGS, ROWS),
        ),
        velocity=replace(
            base.velocity,
            counts=any_of(random, NATURALS, base.velocity.counts.shape),
            previous_at=any_of(random, LONGS, ROWS),
        ),
        history=replace(
            base.history,
            events=any_of(random, NATURALS, ROWS),
            scores=any_of(random, FLOATS, base.history.scores.shape),
        ),
        session=replace(base.session, events=any_of(random, NATURALS, ROWS)),
        shared=replace(
            base.shared,
            counts=np.where(
                random.random((ROWS, base.shared.counts.shape[1], 1, 1)) < 0.5,
                np.float32(np.nan),
                any_of(random, SHARED, base.shared.counts.shape),
            ).astype(np.float32),
        ),
        smart=replace(
            base.smart,
            result=random.integers(-1, 2, base.smart.result.shape).astype(np.int8),
            confidence=random.random(base.smart.result.shape).astype(np.float32).round(random.integers(1, 7)),
            reasons=random.integers(0, 64, base.smart.result.shape).astype(np.uint32),
            data=() if plain else tuple(TEXTS[at % len(TEXTS)] for at in range(len(base.smart.names))),
        ),
        score=replace(
            base.score,
            score=any_of(random, FLOATS[:-3], ROWS),
            factor=random.integers(-1, len(GROUPS), (ROWS, 5)).astype(np.int8),
            contribution=any_of(random, FLOATS, (ROWS, 5)),
            observed=any_of(random, SAID, (ROWS, len(_OBSERVED))),
        ),
        rules=replace(
            base.rules,
            rulesets=("ruleset-digest", "other"),
            ruleset=random.integers(-1, 2, ROWS).astype(np.int16),
            said=said,
            added=np.where([one is None for one in said], 0, any_of(random, FLOATS[:-3], ROWS)).astype(np.float32),
        ),
        decision=replace(
            base.decision,
            policy=("", "policy")[random.integers(2)],
            decision=random.integers(0, 3, ROWS).astype(np.uint8),
            by=random.integers(0, 5, ROWS).astype(np.uint8),
        ),
    )


def marked(batch: Decided, seed: int) -> Decided:
    """Return the batch with times for its marks, from any mark on the same in all rows."""
    random, marks = np.random.default_rng(seed), len(batch.ledger.marks)
    micros = any_of(random, LONGS, (ROWS, marks))
    alike = random.integers(marks + 1)
    micros[:, alike:] = micros[:1, alike:]
    return replace(batch, ledger=Ledger(batch.ledger.marks, micros))


def both(batch: Decided) -> tuple[EncodedParcel, EncodedParcel]:
    """Return the batch written at once, and written of objects."""
    parcel = Parcel((Span(0, 0, len(batch)),), batch, len(batch))
    written = encoder(EXPLAIN, PRESENT, BUILD)(parcel)
    made = encoder(EXPLAIN.__call__, PRESENT.__call__, BUILD)(parcel)
    assert isinstance(written.results, WrittenResults) and isinstance(made.results, tuple)
    return written, made


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_what_is_written_at_once_is_what_msgspec_writes(seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of sums and logarithms of what no event shows
        written, made = both(marked(drawn(seed), seed))
    assert written.records == made.records


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_every_sentence_is_the_one_that_its_values_say(seed: int) -> None:
    random = np.random.default_rng(seed)
    batch = drawn(seed)
    factor = random.permutation(len(GROUPS)).astype(np.int8)[None, :].repeat(ROWS, axis=0)
    observed = any_of(random, SIGNED, batch.score.observed.shape)
    batch = replace(batch, score=replace(batch.score, factor=factor, observed=observed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = EXPLAIN.written(batch)
        for row, numbers in enumerate(found.number.tolist()):
            values = dict(zip(_OBSERVED, observed[row].tolist(), strict=True))
            for place, number in enumerate(numbers):
                group = GROUPS[factor[row, place]]
                assert found.said[number] == (group.code, group.say({name: values[name] for name in group.observed}))


def readable(batch: Decided) -> Decided:
    """Return the batch without numbers that JSON has no form for: such results cannot be read back."""
    score, history = batch.score, batch.history
    finite = [np.nan_to_num(one, nan=1.25, posinf=2.5, neginf=-2.5) for one in (score.contribution, history.scores)]
    return replace(
        batch,
        origin=replace(batch.origin, topic="events.raw", partition=np.abs(batch.origin.partition)),
        score=replace(score, contribution=finite[0]),
        history=replace(history, scores=finite[1]),
    )


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_sinks_find_the_same_as_in_objects(seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        written, made = both(readable(marked(drawn(seed), seed)))
    assert tuple(written.results) == tuple(map(decode_result, made.records))
    assert list(heads_of(written.results)) == list(heads_of(made.results))
    rows = range(ROWS)
    assert [seen_signals_of(written.results, row) for row in rows] == [seen_signals_of(made.results, r) for r in rows]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        columns = [event_columns(one.parcel.batch, one.results) for one in (written, made)]
    assert list(columns[0]) == list(columns[1])
    for name, column in columns[0].items():
        assert column.dtype == columns[1][name].dtype, name
        np.testing.assert_array_equal(column, columns[1][name], err_msg=name)


@pytest.mark.parametrize("count", [np.inf, -1.0, 2.0**32])
def test_a_number_that_only_objects_can_carry_goes_the_old_way(count: float) -> None:
    batch = marked(drawn(1), 1)
    scores = batch.history.scores.copy()
    scores[3] = 1e30
    odd = replace(batch, history=replace(batch.history, scores=scores))
    parcel = Parcel((Span(0, 0, ROWS),), odd, ROWS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        encoded = encoder(EXPLAIN, PRESENT, BUILD)(parcel)
        counts = batch.shared.counts.copy()
        counts[2, 1] = count
        shared = encoder(EXPLAIN, PRESENT, BUILD)(
            replace(parcel, batch=replace(batch, shared=replace(batch.shared, counts=counts)))
        )
    assert isinstance(encoded.results, tuple) and isinstance(shared.results, tuple)
    assert encoded.records == tuple(map(encode_result, encoded.results))


@pytest.mark.parametrize("rows", [1, 4, 64, 256, 1_024])
def test_batches_of_any_size_are_what_msgspec_writes(rows: int) -> None:
    random = np.random.default_rng(rows)
    batch = marked(drawn(rows), rows).take(random.integers(0, ROWS, rows))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        written, made = both(batch)
    assert written.records == made.records and len(written.records) == rows


def test_more_bytes_than_there_is_room_for_are_written() -> None:
    long = marked(drawn(3), 3)
    transactions = tuple(f"{row}{'x' * (1 << 17)}" for row in range(ROWS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        written, made = both(replace(long, event=replace(long.event, transaction=transactions)))
    assert sum(map(len, written.records)) > 2 << 20
    assert written.records == made.records


def test_a_batch_with_more_names_than_are_kept_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten = 0

    def begin(self: Fragments) -> bool:
        nonlocal forgotten
        forgotten += 1
        assert forgotten < 100, "a batch is begun again and again"
        self._forget()
        return True

    batch = marked(drawn(5), 5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        made = both(batch)[1]
        monkeypatch.setattr(Fragments, "begin", begin)
        assert encoder(Explainer(), Present(), BUILD)(Parcel((Span(0, 0, ROWS),), batch, ROWS)).records == made.records


def test_a_batch_without_rows_and_one_of_one_row_are_written() -> None:
    batch = marked(drawn(2), 2)
    encode = encoder(EXPLAIN, PRESENT, BUILD)
    nothing, one = batch.take(np.arange(0)), batch.take(np.arange(7, 8))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert encode(Parcel((Span(0, 0, 4),), nothing, 4, (), 4)).records == ()
        assert encode(Parcel((Span(0, 0, 1),), one, 1)).records == (both(batch)[1].records[7],)


def test_pieces_are_found_by_their_keys_and_forgotten_together() -> None:
    fragments = Fragments(2, most=3_000)
    keys = np.random.default_rng(3).integers(0, 2**63, (2_500, 2)).astype(np.uint64)
    keys[1_000:1_500] = keys[:500]

    def make(row: int) -> int:
        return fragments.add(b"piece %d" % row, row)

    numbers = fragments.numbers(keys, make)
    assert numbers[1_000:1_500].tolist() == numbers[:500].tolist() and len(set(numbers.tolist())) == 2_000
    assert fragments.numbers(keys, lambda _: pytest.fail("all are known")).tolist() == numbers.tolist()
    text, bounds = fragments.pieces
    rows = [fragments.beside[number] for number in numbers.tolist()]
    said = [text[bounds[number] : bounds[number + 1]].tobytes() for number in numbers.tolist()]
    assert said == [b"piece %d" % row for row in rows] and not fragments.begin()
    fragments.numbers(keys ^ np.uint64(1), make)
    assert fragments.begin() and fragments.numbers(keys[:1], make).tolist() == [0]


def test_pieces_longer_than_there_is_room_for_are_read_and_forgotten_with_the_next_batch() -> None:
    fragments, size = Fragments(1), 1 << 20
    numbers = [fragments.add(bytes([at]) * size) for at in range(7)]
    text, bounds = fragments.pieces
    assert numbers == list(range(7))
    assert all(
        (text[bounds[at] : bounds[at + 1]] == at).all() and bounds[at + 1] - bounds[at] == size for at in numbers
    )
    assert fragments.begin() and not fragments.begin()
    assert fragments.add(b"x") == 0


def keys_of(values: Sequence[int]) -> NDArray[np.uint64]:
    return np.array(values, np.uint64)[:, None]


def test_equal_keys_of_one_batch_make_one_piece() -> None:
    fragments, made = Fragments(1), []

    def make(row: int) -> int:
        made.append(row)
        return fragments.add(b"x")

    assert fragments.numbers(keys_of([7, 8, 7, 7]), make).tolist() == [0, 1, 0, 0] and made == [0, 1]


@pytest.mark.parametrize(
    ("how", "but"), [(spread, ()), (read_only, ()), (swapped, ("velocity", "shared"))]
)  # details of counters read those as they lie
def test_columns_that_lie_otherwise_give_the_same_bytes(how: Callable[[Column], Column], but: tuple[str, ...]) -> None:
    batch = marked(readable(drawn(7)), 7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is drawn has logarithms of no time
        odd, plain = both(laid(batch, how, *but))[0], both(batch)[0]
    assert isinstance(odd.results, WrittenResults)
    assert odd.records == plain.records
