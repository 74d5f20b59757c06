"""The contract that every stage keeps, over all stages of the pipeline and with no exclusion."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

from flows.pipeline import Pipeline
from schemas import batches
from schemas.batches import RawBatch
from schemas.columns import Columns
from schemas.dead_letter import REASONS, encode_dead_letter
from tests.contract.conftest import STAGES, outcome
from tests.strategies import same
from tests.wire import BAD

OUT = (
    "Decoded", "Verified", "Normalized", "Counted", "Recognized", "Related", "Enriched", "Scored", "Judged", "Decided",
)  # fmt: skip
EACH = pytest.mark.parametrize("name", STAGES)
# The last one is all of them as the flow saves them.
KEYED = pytest.mark.parametrize("name", ["velocity", "recognize", "decide", "keyed"])
Given = Mapping[str, RawBatch]


def copy(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own bytes


def cuts(rows: int) -> Iterator[tuple[Any, Any]]:
    for at in (0, 1, rows // 3, rows - 1, rows):
        yield np.arange(at), np.arange(at, rows)


def test_the_pipeline_has_ten_stages_that_name_themselves(pipeline: Pipeline) -> None:
    assert tuple(stage.name for stage in pipeline) == STAGES
    assert len(STAGES) == len(OUT) == 10


@EACH
def test_the_mixture_reaches_the_stage_with_good_and_bad_rows(name: str, given: Given, pipeline: Pipeline) -> None:
    out = outcome(getattr(pipeline, name), given[name])
    assert len(out.oks) > 30
    expected = {reason for reason in BAD if REASONS[reason].stage == name}
    assert {letter.reason for letter in out.errs} == expected
    assert out.dropped == (2 if name == "velocity" else 0)


@EACH
def test_the_input_is_left_as_it_was(name: str, given: Given, pipeline: Pipeline) -> None:
    before = copy(given[name])
    outcome(getattr(pipeline, name), given[name])
    assert same(given[name], before)


@EACH
def test_the_same_batch_gives_the_same_outcome_from_any_copy_of_the_stage(
    name: str, given: Given, pipeline: Pipeline
) -> None:
    stage = getattr(pipeline, name)
    first, second, third = (outcome(one, given[name]) for one in (stage, stage, copy(stage)))
    assert same(first.oks, second.oks)
    assert same(first.oks, third.oks)
    assert list(first.errs) == list(second.errs) == list(third.errs)


@EACH
def test_every_row_is_accounted_for_and_the_kept_rows_are_in_their_order(
    name: str, given: Given, pipeline: Pipeline
) -> None:
    batch = given[name]
    out = outcome(getattr(pipeline, name), batch)
    assert len(batch) == len(out.oks) + len(out.errs) + out.dropped
    kept, dead = out.oks.origin.offset.tolist(), [letter.offset for letter in out.errs]
    assert kept == sorted(kept)
    assert dead == sorted(dead) or name == "normalize"  # there by reason, then by offset
    assert not set(kept) & set(dead)
    assert set(kept) | set(dead) <= set(batch.origin.offset.tolist())


@EACH
def test_no_rows_and_one_row_are_batches_too(name: str, given: Given, pipeline: Pipeline) -> None:
    stage, batch = getattr(pipeline, name), given[name]
    whole = outcome(stage, batch)
    empty = outcome(stage, batch.take(np.arange(0)))
    assert (len(empty.oks), len(empty.errs), empty.dropped) == (0, 0, 0)
    assert type(empty.oks) is type(whole.oks)
    assert same(type(whole.oks).concat([empty.oks, whole.oks]), whole.oks)
    for row in range(len(batch)):
        one = outcome(stage, batch.take(np.array([row])))
        assert len(one.oks) + len(one.errs) + one.dropped == 1


@EACH
def test_a_batch_in_two_parts_gives_what_the_whole_gives(name: str, given: Given, pipeline: Pipeline) -> None:
    stage, batch = getattr(pipeline, name), given[name]
    whole = outcome(stage, batch)
    for left, right in cuts(len(batch)):
        apply = stage.open(()).apply if hasattr(stage, "open") else stage
        first, second = apply(batch.take(left)), apply(batch.take(right))
        assert same(type(whole.oks).concat([first.oks, second.oks]), whole.oks)
        assert sorted((*first.errs, *second.errs), key=lambda one: one.offset) == sorted(
            whole.errs, key=lambda one: one.offset
        )
        assert first.dropped + second.dropped == whole.dropped


def sections(batch: Columns) -> Iterator[tuple[str, Columns]]:
    for name in type(batch).__dataclass_fields__:
        value = getattr(batch, name)
        if isinstance(value, Columns):
            yield name, value
            yield from sections(value)


@EACH
def test_the_output_is_of_the_next_type_with_the_dtypes_that_it_declares(
    name: str, given: Given, pipeline: Pipeline
) -> None:
    oks = outcome(getattr(pipeline, name), given[name]).oks
    assert type(oks) is getattr(batches, OUT[STAGES.index(name)])
    for section, value in sections(oks):
        assert len(value) == len(oks)
        for field, hint in get_type_hints(type(value)).items():
            column = getattr(value, field)
            if isinstance(column, np.ndarray):
                (declared,) = get_args(get_args(hint)[1])
                assert column.dtype == np.dtype(declared), f"{section}.{field}"


@EACH
def test_the_sections_of_the_input_are_handed_on_for_the_rows_that_go_on(
    name: str, given: Given, pipeline: Pipeline
) -> None:
    batch = given[name]
    oks = outcome(getattr(pipeline, name), batch).oks
    rows = np.searchsorted(batch.origin.offset, oks.origin.offset)
    expected = batch.take(rows)
    for section in type(batch).__dataclass_fields__:
        if (name, section) != ("normalize", "signals"):  # where numbers out of range become absent
            assert same(getattr(oks, section), getattr(expected, section)), section


@EACH
def test_dead_letters_carry_their_origin_and_no_value(name: str, given: Given, pipeline: Pipeline) -> None:
    batch = given[name]
    for letter in outcome(getattr(pipeline, name), batch).errs:
        row = batch.origin.offset.tolist().index(letter.offset)
        assert letter.stage == name
        assert (letter.topic, letter.partition) == (batch.origin.topic, int(batch.origin.partition[row]))
        assert letter.first_failed_at == batch.origin.polled_at[row]
        assert letter.payload_sha256 == hashlib.sha256(batch.values[row]).hexdigest()
        assert letter.attempts == 1
        assert letter.detail
        assert b"CANARY" not in encode_dead_letter(letter).upper() or letter.payload_format == "envelope"


@KEYED
def test_a_session_restored_half_way_goes_on_as_if_nothing_had_happened(
    name: str, given: Given, pipeline: Pipeline
) -> None:
    stage: Any = getattr(pipeline, name)
    batch: Any = given["velocity" if name == "keyed" else name]
    whole = outcome(stage, batch)
    for left, right in cuts(len(batch)):
        session = stage.open(())
        session.apply(batch.take(left[: len(left) // 2]))
        deltas = [session.snapshot().data]
        session.apply(batch.take(left[len(left) // 2 :]))
        deltas.append(session.snapshot().data)
        full = session.snapshot(whole=True).data
        rest = [opened.apply(batch.take(right)) for opened in (stage.open(deltas), stage.open([full]), session)]
        rows = np.flatnonzero(whole.oks.origin.offset >= (batch.origin.offset[right[0]] if len(right) else 1 << 60))
        for out in rest:
            assert same(out.oks.take(np.arange(len(out.oks))), whole.oks.take(rows))
        assert rest[0].dropped == rest[1].dropped == rest[2].dropped
        assert list(rest[0].errs) == list(rest[1].errs) == list(rest[2].errs)


@KEYED
def test_sessions_of_two_partitions_do_not_see_each_other(name: str, given: Given, pipeline: Pipeline) -> None:
    stage: Any = getattr(pipeline, name)
    batch: Any = given["velocity" if name == "keyed" else name]
    first, second = stage.open(()), stage.open(())
    assert same(first.apply(batch).oks, second.apply(batch).oks)
