"""Training data as Parquet files, for whoever wants to look at it, change it, or train elsewhere.

A directory of ``part-00000.parquet`` and so on, in order of time. Columns: the features by name (float32, NaN where
absent), then label, time, kind, campaign, source and weight. The metadata of each file name the digest of the feature
schema, and say what the data is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from infra.training_source import Progress, Source, TrainingDataError
from scoring.features import feature_schema
from scoring.training_set import TrainingSet

_SCHEMA, _TOLD = b"clickgoose.feature_schema", b"clickgoose.data"
_PATTERN = "part-*.parquet"
_ROWS = 10_000  # of a file: 70 MB of features at most
_OTHERS: dict[str, pa.DataType] = {
    "label": pa.int8(),
    "time": pa.timestamp("ms", tz="UTC"),
    "kind": pa.string(),
    "campaign": pa.int64(),
    "source": pa.string(),
    "weight": pa.float64(),
}


def write_files(source: Source, directory: Path, progress: Progress | None = None) -> dict[str, int]:
    """Write a source, and return the rows of each file. TrainingDataError where the directory holds data already."""
    if any(directory.glob(_PATTERN)):
        raise TrainingDataError(f"{directory} holds training data already; name another directory or empty it")
    directory.mkdir(parents=True, exist_ok=True)
    written: dict[str, int] = {}
    for waiting in _gathered(source.parts):
        name = f"part-{len(written):05d}.parquet"
        beside = directory / f".{name}.new"
        pq.write_table(_table(waiting, source), beside, compression="zstd")
        beside.rename(directory / name)
        written[name] = sum(map(len, waiting))
        if progress:
            progress(sum(written.values()), source.rows)
    if not written:
        raise TrainingDataError("there are no labelled events to write; name another time or another source")
    return written


def _gathered(parts: Iterator[TrainingSet]) -> Iterator[list[TrainingSet]]:
    """Yield parts together that make a file."""
    waiting: list[TrainingSet] = []
    for part in parts:
        waiting.append(part)
        if sum(map(len, waiting)) >= _ROWS:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _table(parts: list[TrainingSet], source: Source) -> pa.Table:
    features = np.concatenate([part.features for part in parts])
    others: dict[str, Any] = {
        "label": np.concatenate([part.labels for part in parts]),
        "time": np.concatenate([part.times for part in parts]),
        "kind": [kind for part in parts for kind in part.kinds],
        "campaign": np.concatenate([part.campaigns for part in parts]),
        "source": [name for part in parts for name in part.sources],
        "weight": np.concatenate([part.weights for part in parts]),
    }
    columns = [pa.array(np.ascontiguousarray(column)) for column in features.T]
    columns += [pa.array(others[name], type=kind) for name, kind in _OTHERS.items()]
    metadata = {_SCHEMA: feature_schema().digest().encode(), _TOLD: source.told.encode()}
    return pa.table(columns, names=[*source.names, *_OTHERS]).replace_schema_metadata(metadata)


def from_files(directory: Path) -> Source:
    """Return the files of a directory as a source. TrainingDataError where they are none, or of another build."""
    files = sorted(directory.glob(_PATTERN))
    if not files:
        raise TrainingDataError(f"{directory} holds no {_PATTERN}; write some with `clickgoose model export-data`")
    told: dict[str, None] = {}
    rows = 0
    for file in files:
        found = _metadata(file)
        _check(file, found)
        told[(found.metadata.get(_TOLD) or b"").decode()] = None
        rows += found.num_rows
    return Source(" ".join(told), feature_schema().names, rows, _read(files))


def _metadata(file: Path) -> Any:
    try:
        return pq.read_metadata(file)
    except (pa.ArrowException, OSError) as error:
        raise TrainingDataError(f"{file} cannot be read as Parquet; write it again ({type(error).__name__})") from error


def _check(file: Path, found: Any) -> None:
    expected = feature_schema()
    digest = (found.metadata or {}).get(_SCHEMA, b"").decode()
    if digest != expected.digest():
        raise TrainingDataError(
            f"{file} holds features of schema {digest[:16] or 'unknown'}, and this build's is "
            f"{expected.digest()[:16]}: export the data again with this build"
        )
    held = set(found.schema.names)
    lost = [name for name in (*expected.names, *_OTHERS) if name not in held]
    if lost:
        raise TrainingDataError(f"{file} lacks the column {lost[0]} and {len(lost) - 1} more; export the data again")


def _read(files: list[Path]) -> Iterator[TrainingSet]:
    names = feature_schema().names
    for file in files:
        try:
            table = pq.read_table(file)
        except (pa.ArrowException, OSError) as error:
            raise TrainingDataError(f"{file} is damaged; write it again ({type(error).__name__})") from error
        features = np.empty((len(table), len(names)), np.float32)
        for column, values in enumerate(table.select(names).columns):
            features[:, column] = values.to_numpy()
        yield TrainingSet(
            features,
            table["label"].to_numpy().astype(np.int8),
            table["time"].cast(pa.int64()).to_numpy(),
            tuple(table["kind"].to_pylist()),
            names,
            table["campaign"].to_numpy(),
            tuple(table["source"].to_pylist()),
            table["weight"].to_numpy(),
        )
