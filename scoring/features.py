"""The model's features: one ordered schema with a hash, and the matrix of a batch.

Absent is NaN throughout. Columns in order: numbers, booleans, categories, environment, checks, smart signals,
velocity, history, session, shared, prevalence, reputation, activity. Names of catalogue signals stand as they are; the
others are ``environment.``, ``check.``, ``smart.``, ``velocity.`` and so on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any

import numpy as np

from schemas.activity_statistics import STATISTICS
from schemas.batches import F32, I64, Enriched
from schemas.catalogue import Catalogue, load_catalogue
from schemas.environment import CHECKS
from schemas.event_time import event_time
from schemas.pointers import NOT_PLAIN, plain_ones
from schemas.recognition import COMBINATIONS, REPUTED
from schemas.smart_signals import SMART_SIGNALS
from scoring.counted import ENTITY_COLUMNS, HISTORY, SESSION, SHARED, VELOCITY, counted_columns, log_ages
from scoring.log_statistics import log_tables
from scoring.matrix_loops import DIFFERENT, FEATURES_FROM, put_features

ENVIRONMENT = (
    "browser", "browser_version", "engine", "engine_version", "engine_at_least", "system", "system_version", "device",
    "gpu", "gpu_driver", "screen_pixels_wide", "screen_pixels_high", "density", "timezone_offset",
)  # fmt: skip
_CODES = ("browser", "engine", "system", "device", "gpu", "gpu_driver", "density")  # 0 is unknown
_environment_columns = attrgetter(*ENVIRONMENT)
_IS_CODE = np.array([name in _CODES for name in ENVIRONMENT])


@dataclass(frozen=True, slots=True)
class FeatureSchema:
    """Names in column order, and where each block starts."""

    names: tuple[str, ...]
    position: Mapping[str, int]
    numbers: slice
    booleans: slice
    categories: slice
    environment: slice
    checks: slice
    smart_result: slice
    smart_confidence: slice
    velocity: slice
    history: slice
    session: slice
    shared: slice
    prevalence: slice
    reputation: slice
    activity: slice

    def __len__(self) -> int:
        """Return the number of features."""
        return len(self.names)

    def digest(self) -> str:
        """Return the SHA-256 of the names in order."""
        return hashlib.sha256("\n".join(self.names).encode()).hexdigest()


def make_schema(catalogue: Catalogue) -> FeatureSchema:
    """Return the schema over a catalogue. ValueError where two features have one name."""
    blocks = {
        "numbers": [signal.name for signal in catalogue.numbers],
        "booleans": [signal.name for signal in catalogue.booleans],
        "categories": [signal.name for signal in catalogue.categories],
        "environment": [f"environment.{name}" for name in ENVIRONMENT],
        "checks": [f"check.{name}" for name in CHECKS],
        "smart_result": [f"smart.{name}" for name in SMART_SIGNALS],
        "smart_confidence": [f"smart.{name}.confidence" for name in SMART_SIGNALS],
        "velocity": [f"velocity.{name}" for name in VELOCITY],
        "history": [f"history.{name}" for name in HISTORY],
        "session": [f"session.{name}" for name in SESSION],
        "shared": [f"shared.{name}" for name in SHARED],
        "prevalence": [f"prevalence.{name}" for name in COMBINATIONS],
        "reputation": [f"reputation.{name}" for name in REPUTED],
        "activity": [f"activity.{name}" for name in STATISTICS],
    }
    names = tuple(name for block in blocks.values() for name in block)
    position = {name: index for index, name in enumerate(names)}
    if len(position) != len(names):
        raise ValueError("features: two features have one name; rename the signal in the catalogue")
    ends = np.cumsum([len(block) for block in blocks.values()]).tolist()
    slices = {key: slice(end - len(block), end) for (key, block), end in zip(blocks.items(), ends, strict=True)}
    return FeatureSchema(names, position, **slices)


@cache
def feature_schema() -> FeatureSchema:
    """Return the schema of this build."""
    return make_schema(load_catalogue())


def matrix(batch: Enriched, out: F32 | None = None) -> F32:
    """Return the features float32[n, F], written into ``out`` (its first n rows) where given. No per-event work.

    ``out`` is contiguous. Every column is written for every row.
    """
    schema, rows = feature_schema(), len(batch)
    if batch.smart.names != SMART_SIGNALS:
        raise ValueError("the batch has other smart signals than schemas.smart_signals; enrich it with this build")
    table = np.empty((rows, len(schema)), np.float32) if out is None else out[:rows]
    time, tables = event_time(batch), _tables()
    columns = (*_columns(batch, time), log_ages(batch, time), table)
    done = put_features(id(columns), id(tables), schema.activity.start)
    if done == NOT_PLAIN:
        columns = (*plain_ones(columns[:-2], FEATURES_FROM), *columns[-2:])
        done = put_features(id(columns), id(tables), schema.activity.start)
    if done == DIFFERENT:
        raise ValueError("the batch's columns are not those of this build's features; make them with this build")
    return table


@cache
def _tables() -> tuple[Any, ...]:
    """Return what ``put_features`` reads beside a batch: the first is where blocks begin, and what is behind them."""
    schema = feature_schema()
    blocks = (
        schema.numbers, schema.booleans, schema.categories, schema.environment, schema.checks, schema.smart_result,
        schema.smart_confidence, schema.velocity, schema.history, schema.session, schema.shared, schema.prevalence,
        schema.reputation, schema.activity,
    )  # fmt: skip
    return np.array([block.start for block in blocks]), _IS_CODE, ENTITY_COLUMNS, *log_tables()


def _columns(batch: Enriched, time: I64) -> tuple[Any, ...]:
    """Return the columns that features are made of, as ``put_features`` reads them."""
    signals, environment, smart, activity = batch.signals, batch.environment, batch.smart, batch.activity
    return (
        signals.numbers, signals.booleans, signals.known, signals.categories, environment.checks, smart.result,
        smart.confidence, *counted_columns(batch, time), activity.offsets, activity.time, activity.value, activity.code,
        activity.target, *_environment_columns(environment),
    )  # fmt: skip
