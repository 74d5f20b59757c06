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

from typing import Final

import numpy as np

from schemas.activity_statistics import STATISTICS
from schemas.batches import F32, I64, History, Network, Related
from schemas.columns import plain
from schemas.travel import travel_kmh
from schemas.velocity import ENTITIES, HOURS, KINDS, MEASURES, WINDOWS
from scoring.compiled import share_of_hours

VELOCITY: Final = (*(f"{kind}_{window}" for kind in KINDS for window in WINDOWS), "since_first", "since_previous")
HISTORY: Final = ("events", "hour_share", "travel_kmh_log")
SESSION: Final = ("events", "age", *STATISTICS)
SHARED_ENTITIES: Final = ("address", "network", "account", "card")
SHARED: Final = (
    *(f"{entity}_{measure}_{window}" for entity in SHARED_ENTITIES for measure in MEASURES for window in WINDOWS),
    *(f"{entity}_devices_per_event_{window}" for entity in SHARED_ENTITIES for window in WINDOWS),
)
_ENTITIES = [ENTITIES.index(entity) for entity in SHARED_ENTITIES]
_HOUR_MS = 3_600_000


def put_velocity(block: F32, batch: Related, time: I64) -> None:
    """Fill the columns of VELOCITY; ``time`` is the event time in ms, int64[n], as in the functions below."""
    velocity = batch.velocity
    block[:, :-2] = velocity.counts.reshape(len(batch), len(KINDS) * len(WINDOWS))
    block[:, -2] = log_seconds(time - velocity.first_seen_at)
    block[:, -1] = np.where(velocity.previous_at < 0, np.float32(np.nan), log_seconds(time - velocity.previous_at))


def put_history(block: F32, batch: Related, time: I64) -> None:
    """Fill the columns of HISTORY."""
    history = batch.history
    block[:, 0] = history.events
    block[:, 1] = hour_share(history.hours, time)
    block[:, 2] = _log_travel(batch.network, history, time)


def _log_travel(network: Network, history: History, time: I64) -> F32:
    """Return the logarithm of 1 and the speed since the previous place. Few devices moved: only they are computed."""
    north, east = history.latitude[:, 0] - network.latitude, history.longitude[:, 0] - network.longitude
    found = np.where(np.isnan(north + east), np.float32(np.nan), np.float32(0))
    moved = np.flatnonzero((found == 0) & ((north != 0) | (east != 0)))
    found[moved] = np.log1p(travel_kmh(network.take(moved), history.take(moved), time[moved]))
    return found


def hour_share(hours: np.ndarray[tuple[int, int], np.dtype[np.uint8]], time: I64) -> F32:
    """Return the share of the device's earlier events that lie within an hour of this hour of the day, float32[n].

    From 0 to 1; NaN where there was none. A device that lives as usual is near 1, one that never sleeps near 1/8.
    """
    share = np.empty(len(hours), np.float32)
    share_of_hours(plain(hours, np.uint8), time // _HOUR_MS % HOURS, share)
    return share


def put_session(block: F32, batch: Related, time: I64) -> None:
    """Fill the columns of SESSION."""
    session = batch.session
    block[:, 0] = session.events
    block[:, 1] = log_seconds(time - session.started_at)
    block[:, 2:] = session.statistics


def put_shared(block: F32, batch: Related) -> None:
    """Fill the columns of SHARED; NaN where a count is not known."""
    counts, rows = batch.shared.counts[:, _ENTITIES], len(batch)
    counted = len(_ENTITIES) * len(MEASURES) * len(WINDOWS)
    block[:, :counted] = counts.reshape(rows, counted)
    block[:, counted:] = (counts[:, :, 1] / counts[:, :, 0]).reshape(rows, len(_ENTITIES) * len(WINDOWS))


def log_seconds(milliseconds: I64) -> F32:
    """Return the logarithm of 1 and a time in seconds; of a negative time, 0."""
    return np.log1p((np.maximum(milliseconds, 0) / 1000.0).astype(np.float32))
