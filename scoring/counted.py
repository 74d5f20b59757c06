"""Features of what was counted and is remembered: of the device, of its session, and of what it shares with others.

Counts are given as they are: what a tree decides does not depend on a logarithm. Times and speeds are logarithms,
because sentences and other models read them.

What devices share is a feature for entities of a few people each. Counts of an internet provider and of a kind of
machine (fingerprint) grow with a shop's traffic: a model that saw them at one volume takes an honest crowd of another
for an attack. In a trial, trained on 30,000 events at 9 a minute, 3.4% of honest events were to be reviewed at 100 a
second with them and 1.9% without, at the same recall. So they are told to merchants and analysts, not to the model.

How usual an event looks and the reputation of its networks are shares, which do not grow with traffic: features. The
counts that they rest on (``seen``, ``weight``) grow, and are none, nor is weight / (weight + k). In a trial on
20,000 events at three densities, judged at 9 and at 1,800 a minute, 1.0% and 0.6% of honest events were to be reviewed
with usualness and reputation, 1.3% and 0.8% with the weight too, at no better recall at 1% false positives (0.863 and
0.922 without it, 0.856 and 0.922 with it). Reputation raised the area under the curve at 1,800 a minute from 0.985 to
0.991; usualness alone changed nothing beyond noise, and is there for what the simulation lacks. Trained at 9 a minute
alone, every set of them had 3.7% to 4.5% of honest events reviewed at 1,800, and none of them 4.2%.

Why an event is a copy is in ``smart.replayed.confidence``: no two sets of those reasons give the same one.

Nor are a device's earlier scores: simulated with a first model's, they raised the recall at 1% false positives by 0.3
points, which is noise, and one mistake would keep a device down for good.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from schemas.activity_statistics import STATISTICS
from schemas.batches import F32, I64, Related
from schemas.pointers import NOT_PLAIN, plain_ones
from schemas.travel import travel_kmh
from schemas.velocity import ENTITIES, KINDS, MEASURES, WINDOWS
from scoring.matrix_loops import AGES_FROM, DIFFERENT, put_log_free_ages
from scoring.row_loops import AGES, TRAVEL

VELOCITY: Final = (*(f"{kind}_{window}" for kind in KINDS for window in WINDOWS), "since_first", "since_previous")
HISTORY: Final = ("events", "hour_share", "travel_kmh_log")
SESSION: Final = ("events", "age", *STATISTICS)
SHARED_ENTITIES: Final = ("address", "network", "account", "card")
SHARED: Final = (
    *(f"{entity}_{measure}_{window}" for entity in SHARED_ENTITIES for measure in MEASURES for window in WINDOWS),
    *(f"{entity}_devices_per_event_{window}" for entity in SHARED_ENTITIES for window in WINDOWS),
)
ENTITY_COLUMNS: Final = np.array([ENTITIES.index(entity) for entity in SHARED_ENTITIES])


def counted_columns(batch: Related, time: I64) -> tuple[Any, ...]:
    """Return the columns that velocity, history, session, shared and recognition features are made of.

    They are as ``scoring.matrix_loops`` reads them. ``time`` is the event time in ms, int64[n]. The share of the
    device's earlier events that lie within an hour of this hour of the day is near 1 for a device that lives as usual,
    near 1/8 for one that never sleeps, and NaN where there was none.
    """
    history, session, recognition = batch.history, batch.session, batch.recognition
    return (
        batch.velocity.counts, history.events, history.hours, time, session.events, session.statistics,
        batch.shared.counts, recognition.tail, recognition.denied,
    )  # fmt: skip


def log_ages(batch: Related, time: I64) -> F32:
    """Return logarithms of 1 and seconds since first and previous event and session's start, and of 1 and the speed.

    float32[AGES, n], NaN where there is none; a negative time counts as 0. Few devices moved since their previous
    place: speeds are computed of those alone.
    """
    velocity, network, history = batch.velocity, batch.network, batch.history
    ages = np.empty((AGES, len(time)), np.float32)
    columns = (
        time, velocity.first_seen_at, velocity.previous_at, batch.session.started_at, history.latitude,
        history.longitude, network.latitude, network.longitude, ages,
    )  # fmt: skip
    count = put_log_free_ages(id(columns))
    if count == NOT_PLAIN:
        copies = (*plain_ones(columns[:-1], AGES_FROM), ages)
        count = put_log_free_ages(id(copies))
    if count == DIFFERENT:
        raise ValueError("the batch's columns differ in length")
    if count:
        moved = np.flatnonzero(ages[TRAVEL] > 0)
        ages[TRAVEL, moved] = travel_kmh(network, history, time, moved)
    # By NumPy, not in the loop: its logarithm is another one, and differs in the last bit.
    return np.log1p(ages, out=ages)
