"""The contract of a smart signal, for all of them: true, false and null happen, and each says what it is."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from enrichers.behaviour import BEHAVIOUR
from enrichers.present import level, present
from enrichers.registry import SIGNALS
from enrichers.signal import SmartSignal
from enrichers.stage import Enrich
from enrichers.versions import data_versions
from enrichers.view import View
from schemas.batches import Enriched
from schemas.smart_signals import LEVELS, SMART_SIGNALS
from tests.signal_cases import BY_SIGNAL, EMPTY_ROW, UNCOUNTED_ROW, USUAL_ROW, Row, batch_of

EVERY = pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
ALL_ROWS: tuple[Row, ...] = (
    USUAL_ROW, EMPTY_ROW, UNCOUNTED_ROW, *(case.true for case in BY_SIGNAL.values())
)  # fmt: skip


def enriched(*rows: Row) -> Enriched:
    return Enrich()(batch_of(*rows)).oks


def test_every_signal_has_its_cases() -> None:
    assert set(BY_SIGNAL) == set(SMART_SIGNALS) == {signal.name for signal in SIGNALS}
    assert len(SIGNALS) == 24


@EVERY
def test_it_is_true_for_a_reason_and_says_how_sure_it_is(signal: SmartSignal) -> None:
    batch = enriched(BY_SIGNAL[signal.name].true)
    shown = present(batch)[0][signal.name]
    assert shown.result is True and shown.reasons
    assert signal.threshold <= (shown.confidence or 0) <= 1
    assert shown.level in LEVELS[2:] and shown.version == signal.version


@EVERY
def test_it_is_false_of_what_is_usual(signal: SmartSignal) -> None:
    shown = present(enriched(BY_SIGNAL[signal.name].false))[0][signal.name]
    assert (shown.result, shown.level, shown.details) == (False, level(0, shown.confidence or 0), {})
    assert 0 <= (shown.confidence if shown.confidence is not None else -1) < signal.threshold


@EVERY
def test_it_is_null_and_never_false_where_its_inputs_are_missing(signal: SmartSignal) -> None:
    row = BY_SIGNAL[signal.name].null
    if row is None:
        view = View(batch_of(*ALL_ROWS))
        assert signal.computable(view).all()
        assert (inspect.getdoc(signal.computable) or "").startswith("Every ")
        return
    shown = present(enriched(row))[0][signal.name]
    assert (shown.result, shown.confidence, shown.level, shown.reasons, shown.details) == (None, None, "", [], {})


@EVERY
def test_it_is_null_exactly_where_it_cannot_be_computed_and_no_clue_is_seen(signal: SmartSignal) -> None:
    view = View(batch_of(*ALL_ROWS))
    verdict = signal.evaluate(view)
    silent = ~signal.computable(view) & ~np.any(signal.observe(view), axis=0)
    assert ((verdict.result == -1) == silent).all()
    assert (np.isnan(verdict.confidence) == silent).all()


@EVERY
def test_a_row_is_judged_alone_as_among_others(signal: SmartSignal) -> None:
    together = signal.evaluate(View(batch_of(*ALL_ROWS)))
    for row, shown in enumerate(ALL_ROWS):
        alone = signal.evaluate(View(batch_of(shown)))
        assert [column.tobytes() for column in alone] == [column[row : row + 1].tobytes() for column in together]


@EVERY
def test_it_says_what_it_is(signal: SmartSignal) -> None:
    assert signal.version >= 1 and signal.question.endswith(".") and signal.inputs
    assert inspect.getdoc(type(signal).computable) != inspect.getdoc(SmartSignal.computable)
    assert all(clue.why.strip().endswith(".") for clue in signal.clues)
    assert 0 < signal.threshold < 1


def test_data_that_is_named_exists() -> None:
    known = {BEHAVIOUR, "labels", *data_versions()}  # labels: of a reputation file, which an operator makes
    unknown = {signal.name: sorted(set(signal.data_kinds) - known) for signal in SIGNALS}
    assert {name: kinds for name, kinds in unknown.items() if kinds} == {}
