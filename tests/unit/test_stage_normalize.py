"""normalize, the stage: numbers are nulled or deadly, and what goes on is shared, pickled and complete."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from flows.stages.normalize import Normalize
from schemas.batches import Environment
from schemas.dead_letter import Reason
from tests.normalize.agents import NORMALIZE, environment, verified
from tests.strategies import same
from tests.wire import CATALOGUE, HONEST


def test_a_number_outside_its_range_becomes_absent_and_the_input_keeps_it() -> None:
    batch = verified([{**HONEST, "battery.level": 1.5}, {**HONEST, "battery.level": 0.5}])
    level = CATALOGUE.number("battery.level")
    out = NORMALIZE(batch).oks
    assert np.isnan(out.signals.numbers[0, level])
    assert out.signals.numbers[1, level] == 0.5
    assert batch.signals.numbers[0, level] == 1.5
    assert out.signals.numbers[0, CATALOGUE.number("screen.width")] == 1920


def test_numbers_inside_their_ranges_are_shared_and_not_copied() -> None:
    batch = verified([dict(HONEST)])
    assert NORMALIZE(batch).oks.signals is batch.signals


@pytest.mark.parametrize(
    "number", [signal.name for signal in CATALOGUE.numbers if np.isfinite((signal.minimum, signal.maximum)).all()]
)
def test_the_bounds_themselves_are_inside(number: str) -> None:
    signal = CATALOGUE.by_name[number]
    bounds = [{number: signal.minimum}, {number: signal.maximum}]
    out = NORMALIZE(verified(bounds))
    assert not out.errs
    assert not np.isnan(out.oks.signals.numbers[:, signal.position]).any()


def test_impossible_and_infinite_numbers_are_dead_and_their_neighbours_are_not() -> None:
    events = [
        {},
        {"screen.width": -1},
        {"timing.resolution": float("inf")},
        {"screen.height": 70_000},
        {},
        {"timing.resolution": float("-inf"), "screen.width": -5},
    ]
    out = NORMALIZE(verified([{**HONEST, **event} for event in events]))
    assert out.oks.origin.offset.tolist() == [0, 4]
    assert {letter.offset: (letter.reason, letter.detail) for letter in out.errs} == {
        1: (Reason.OUT_OF_RANGE, "screen.width lies outside the catalogue's range"),
        2: (Reason.NOT_FINITE, "a number of the payload is infinite"),
        3: (Reason.OUT_OF_RANGE, "screen.height lies outside the catalogue's range"),
        5: (Reason.NOT_FINITE, "a number of the payload is infinite"),
    }


def test_an_infinite_number_is_dead_also_where_the_catalogue_has_no_bound() -> None:
    signals = {**CATALOGUE.by_name}
    first = CATALOGUE.numbers[0]
    boundless = replace(first, minimum=float("-inf"), maximum=float("inf"))
    signals[first.name] = boundless
    catalogue = replace(CATALOGUE, numbers=(boundless, *CATALOGUE.numbers[1:]), by_name=signals)
    out = Normalize(catalogue)(verified([dict(HONEST), {**HONEST, first.name: float("inf")}]))
    assert [letter.reason for letter in out.errs] == [Reason.NOT_FINITE]
    assert out.oks.origin.offset.tolist() == [0]


def test_screens_are_given_in_device_pixels_and_densities() -> None:
    seen = environment(dict(HONEST), {"screen.width": 100})
    assert (seen.screen_pixels_wide[0], seen.screen_pixels_high[0]) == (2400, 1350)
    assert np.isnan(seen.screen_pixels_wide[1])


def test_every_column_of_the_environment_has_a_row_for_each_event() -> None:
    for rows in (0, 1, 3):
        seen = environment(*([HONEST] * rows))
        for name in Environment.__dataclass_fields__:
            assert len(getattr(seen, name)) == rows, name


def test_a_pickled_stage_gives_the_same() -> None:
    batch = verified([dict(HONEST), {}])
    copy = pickle.loads(pickle.dumps(NORMALIZE))  # noqa: S301 - our own bytes
    assert same(copy(batch).oks, NORMALIZE(batch).oks)


def test_a_batch_of_no_rows_is_one_of_no_rows() -> None:
    batch = verified([dict(HONEST)])
    out = NORMALIZE(batch.take(np.array([], np.intp)))
    assert len(out.oks) == len(out.errs) == 0
