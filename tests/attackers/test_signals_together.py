"""On recorded and generated traffic the stage, which judges by one program, says what each signal says by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pytest

from enrichers.registry import SIGNALS
from enrichers.stage import Enrich
from enrichers.view import View
from infra.traffic.recorded.corpus import read_all
from infra.training import enriched_batches
from schemas.batches import Related, SmartSignals
from tests.attackers.judge import before_signals, pipeline

_GENERATED = 1_500


def recorded_traffic() -> Related:
    """Return what all recorded clients showed, attackers and people."""
    stages = pipeline()
    return Related.concat([before_signals(recorded, stages) for recorded in read_all().values()])


def generated_traffic() -> Related:
    """Return events of simulated people and attackers."""
    names = [field.name for field in fields(Related)]
    batches = [found[0] for found in enriched_batches(_GENERATED, 3)]
    return Related.concat([Related(**{name: getattr(batch, name) for name in names}) for batch in batches])


def one_by_one(batch: Related) -> list[bytes]:
    """Return what each signal says by itself, of each row the bytes."""
    alone = [signal.evaluate(View(batch)) for signal in SIGNALS]
    columns = [np.stack(column, axis=1) for column in zip(*alone, strict=True)]
    return written(SmartSignals((), *columns))


def written(smart: SmartSignals) -> list[bytes]:
    """Return the bytes of each row."""
    columns = smart.result, smart.confidence, smart.reasons
    return [b"".join(column[row].tobytes() for column in columns) for row in range(len(smart))]


@pytest.mark.parametrize("traffic", [recorded_traffic, generated_traffic])
def test_together_signals_say_what_each_says_alone_in_batches_of_any_size(
    traffic: Callable[[], Related],
) -> None:
    batch = traffic()
    alone, enrich = one_by_one(batch), Enrich()
    assert len(set(alone)) > len(SIGNALS)  # not one row over and over
    for size in (1, 4, 64, 256):
        for first in range(0, len(batch), size):
            rows = np.arange(first, min(first + size, len(batch)))
            together = enrich(batch.take(rows)).oks.smart
            assert written(together) == alone[first : first + size], (size, first)
