"""Comparing on exported files, and on simulated traffic: every row is labelled and decided alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from infra.compare_files import ExportedEvents
from infra.model_compare import CompareError, compare, side_of
from infra.training_files import write_files
from infra.training_source import Source
from scoring.policy import Policy, decide
from scoring.training_set import TrainingSet
from tests.model_doubles import two_models
from tests.tiny_model import tiny_set


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Two parts of labelled events of some campaigns, weighed."""
    data = replace(
        tiny_set(),
        campaigns=np.where(tiny_set().labels == 1, np.arange(len(tiny_set())) // 50, -1),
        weights=np.where(tiny_set().labels == 1, 1.0, 3.0),
    )

    def parts() -> Iterator[TrainingSet]:
        yield data

    write_files(Source("tiny", data.names, len(data), parts()), tmp_path)
    return tmp_path


def test_every_row_of_the_files_is_scored_again_and_weighed(directory: Path) -> None:
    a, b = two_models()
    policy, data = Policy(30, 60), tiny_set()
    source = ExportedEvents(directory, policy)
    found = compare(side_of(a), side_of(b), source)
    assert source.total() == found.told_a.rescored == len(data)
    weight = np.where(data.labels == 1, 1.0, 3.0)
    assert found.comparison.values["events"] == weight.sum()
    scores = (model.score(data.features) for model in (a, b))
    decided = [decide(score, policy.review, policy.deny, 0, 0) for score in scores]
    share = float(weight[decided[0] != decided[1]].sum() / weight.sum())
    assert found.comparison.values["flip_share"] == pytest.approx(share)
    assert found.comparison.values["labelled.rows"] == len(data)


def test_a_campaign_is_drawn_as_one_and_other_rows_alone(directory: Path) -> None:
    (batch,) = ExportedEvents(directory, Policy()).batches("", "")
    fraud = batch.events.label == 1
    assert len(np.unique(batch.events.session[fraud])) == len(np.unique(np.flatnonzero(tiny_set().labels == 1) // 50))
    assert len(np.unique(batch.events.session[~fraud])) == (~fraud).sum()
    assert len({row.tobytes() for row in batch.events.event_id}) == len(batch.events)


def test_a_damaged_file_is_refused_in_one_sentence(directory: Path) -> None:
    file = next(directory.glob("part-*.parquet"))
    file.write_bytes(file.read_bytes()[:-100])
    source = ExportedEvents(directory, Policy())
    for ask in (source.total, lambda: list(source.batches("", ""))):
        with pytest.raises(CompareError, match="cannot be read as Parquet") as refused:
            ask()
        assert "\n" not in str(refused.value)
