"""Training data as files: what is read back is what was written, to the last bit, and trains the same model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from infra.training_files import from_files, write_files
from infra.training_source import Source, TrainingDataError, joined
from scoring.train import train
from scoring.training_set import TrainingSet
from tests.tiny_model import TINY, tiny_model, tiny_set


def parts(data: TrainingSet, size: int) -> Iterator[TrainingSet]:
    """Yield a training set in parts."""
    for first in range(0, len(data), size):
        rows = slice(first, first + size)
        yield TrainingSet(
            data.features[rows], data.labels[rows], data.times[rows], data.kinds[rows], data.names,
            data.campaigns[rows], data.sources[rows], data.weights[rows],
        )  # fmt: skip


def source(data: TrainingSet, size: int = 100) -> Source:
    return Source("Made for a test.", data.names, len(data), parts(data, size))


def varied() -> TrainingSet:
    """Return the tiny set with campaigns, sources and weights that differ."""
    rows = np.arange(700)
    weights = 1 + rows % 5 / 3
    return replace(tiny_set(), campaigns=rows % 90 - 1, sources=("a", "b") * 350, weights=weights)


def test_what_is_read_back_is_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.training_files._ROWS", 300)
    done: list[tuple[int, int]] = []
    written = write_files(source(varied()), tmp_path / "data", lambda *told: done.append(told))
    assert written == {"part-00000.parquet": 300, "part-00001.parquet": 300, "part-00002.parquet": 100}
    assert done == [(300, 700), (600, 700), (700, 700)]
    found = from_files(tmp_path / "data")
    assert (found.told, found.rows) == ("Made for a test.", 700)
    data = joined(found)
    for column in ("features", "labels", "times", "campaigns", "weights"):
        before, after = getattr(varied(), column), getattr(data, column)
        assert before.dtype == after.dtype and before.tobytes() == after.tobytes(), column
    assert (data.kinds, data.sources, data.names) == (varied().kinds, varied().sources, varied().names)


def test_training_on_the_files_gives_the_same_model(tmp_path: Path) -> None:
    write_files(source(tiny_set()), tmp_path)
    again = train(joined(from_files(tmp_path)), TINY)
    assert (again.booster, again.calibration) == (tiny_model().booster, tiny_model().calibration)


def test_other_readers_find_features_by_name_and_times_as_times(tmp_path: Path) -> None:
    write_files(source(varied()), tmp_path)
    table = pq.read_table(tmp_path / "part-00000.parquet", columns=["screen.width", "label", "time", "kind"])
    assert table["screen.width"].to_pylist()[0] in (1280, 1920, 2560)
    assert table["time"].to_pylist()[0].timestamp() * 1000 == varied().times[0]
    assert set(table["kind"].to_pylist()) == {"bot", "honest"}


def test_a_directory_with_data_is_not_written_over(tmp_path: Path) -> None:
    write_files(source(tiny_set()), tmp_path)
    with pytest.raises(TrainingDataError, match="holds training data already"):
        write_files(source(tiny_set()), tmp_path)


def test_nothing_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match="no labelled events to write"):
        write_files(Source("", tiny_set().names, 0, iter(())), tmp_path)
    with pytest.raises(TrainingDataError, match=r"holds no part-\*\.parquet"):
        from_files(tmp_path)
    with pytest.raises(TrainingDataError, match="no labelled events to train on"):
        joined(Source("", tiny_set().names, 0, iter(())))


def test_files_of_another_schema_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    write_files(source(tiny_set()), tmp_path)
    file = tmp_path / "part-00000.parquet"
    table = pq.read_table(file)
    other = {**table.schema.metadata, b"clickgoose.feature_schema": b"0123"}
    pq.write_table(table.replace_schema_metadata(other), file)
    with pytest.raises(TrainingDataError, match="features of schema 0123"):
        from_files(tmp_path)
    pq.write_table(table.drop_columns(["label"]), file)
    with pytest.raises(TrainingDataError, match="lacks the column label"):
        from_files(tmp_path)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(TrainingDataError, match="cannot be read as Parquet"):
        from_files(tmp_path)
