"""Batches for tests, built from nested dicts: what an event shows is said in catalogue names.

    counted(events=[{"navigator.webdriver": True}], activity=[[{"code": 207, "t": 10}]],
            velocity=[{"events_5m": 47}], environment=[{"browser": "chrome", "checks": ["canvas_unstable"]}])

Every list may be shorter than ``events`` or left out: what is not said is absent, unknown, or one lonely event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from schemas.activity_statistics import activity_statistics
from schemas.batches import (
    Counted,
    Decoded,
    Enriched,
    Environment,
    Event,
    History,
    Ledger,
    Network,
    Normalized,
    Origin,
    Recognition,
    Recognized,
    Related,
    SessionSummary,
    Shared,
    SmartSignals,
    Velocity,
    Verified,
)
from schemas.catalogue import load_catalogue
from schemas.columns import widen
from schemas.countries import COUNTRY_NUMBER
from schemas.environment import BROWSERS, CHECK_BIT, DENSITIES, DEVICES, ENGINES, GPU_DRIVERS, GPUS, SYSTEMS
from schemas.log_codes import load_log_codes
from schemas.nested import Entry, NestedEvent, columns_of
from schemas.networks import NETWORK_BIT
from schemas.recognition import COMBINATIONS, REPUTED, nothing_recognized
from schemas.shared import unknown
from schemas.smart_signals import SMART_SIGNALS
from schemas.velocity import ENTITIES, HOURS, KINDS, MEASURES, PLACES_KEPT, SCORES_KEPT, WINDOWS

NOW = 1_790_000_000_000  # ms: a day in September 2026
Dicts = Sequence[Mapping[str, Any]]


def _at(items: Sequence[Any], row: int, default: Any) -> Any:
    return items[row] if row < len(items) else default


def entry(code: int | str, t: int = 0, value: float = 0.0, target: str = "none") -> Entry:
    """Return one entry of an activity log; the code by number or by name."""
    return Entry(load_log_codes().code(code) if isinstance(code, str) else code, t, value, target)


def _entries(log: Sequence[Entry | Mapping[str, Any]]) -> list[Entry]:
    return [one if isinstance(one, Entry) else entry(**one) for one in log]


def origin(rows: int, partition: int = 0, first: int = 0) -> Origin:
    """Return consecutive offsets of one partition."""
    times = np.full(rows, NOW + 20, np.int64)
    return Origin("events.raw", np.full(rows, partition, np.int32), np.arange(first, first + rows), times, times + 1)


def _ids(rows: int, kind: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    ids = np.zeros((rows, 16), np.uint8)
    ids[:, 0] = kind
    ids[:, 8:] = np.arange(rows, dtype=">u8").view(np.uint8).reshape(rows, 8)
    return ids


def event(rows: int, times: Sequence[int] = ()) -> Event:
    """Return rows of different devices, sessions and events at ``times`` (default: NOW)."""
    occurred = np.array([_at(times, row, NOW) for row in range(rows)], np.int64)
    return Event(
        event_id=_ids(rows, 1),
        session_id=_ids(rows, 2),
        device_id=_ids(rows, 3),
        address=_ids(rows, 4),
        key_id=np.ones(rows, np.uint32),
        sequence=np.arange(rows, dtype=np.uint32),
        occurred_at=occurred,
        received_at=occurred + 10,
        merchant=("demo",) * rows,
        transaction=("t",) * rows,
        linked_id=("",) * rows,
        card_token=("",) * rows,
        event_type=("",) * rows,
        attempt=np.zeros(rows, np.uint8),
        told=(b"",) * rows,
    )


def decoded(events: Dicts, activity: Sequence[Any] = (), times: Sequence[int] = ()) -> Decoded:
    """Return a decoded batch; values are what was received, here left empty."""
    rows = len(events)
    nested = [NestedEvent(dict(shown), _entries(_at(activity, row, ()))) for row, shown in enumerate(events)]
    signals, log = columns_of(nested, load_catalogue())
    ledger = Ledger((), np.zeros((rows, 0), np.int64))
    return Decoded(origin(rows), (b"",) * rows, ledger, event(rows, times), signals, log)


def environment_of(rows: int, said: Dicts = ()) -> Environment:
    """Return an environment; names as in schemas.environment, checks as a list of names."""

    def codes(field: str, table: Sequence[str]) -> Any:
        return np.array([table.index(_at(said, row, {}).get(field, "unknown")) for row in range(rows)], np.uint8)

    def numbers(field: str) -> Any:
        return np.array([_at(said, row, {}).get(field, np.nan) for row in range(rows)], np.float32)

    failed = [sum(CHECK_BIT[name] for name in _at(said, row, {}).get("checks", ())) for row in range(rows)]
    return Environment(
        browser=codes("browser", BROWSERS),
        browser_version=numbers("browser_version"),
        engine=codes("engine", ENGINES),
        engine_version=numbers("engine_version"),
        engine_at_least=numbers("engine_at_least"),
        system=codes("system", SYSTEMS),
        system_version=numbers("system_version"),
        device=codes("device", DEVICES),
        gpu=codes("gpu", GPUS),
        gpu_driver=codes("gpu_driver", GPU_DRIVERS),
        gpu_model=tuple(_at(said, row, {}).get("gpu_model", "") for row in range(rows)),
        screen_pixels_wide=numbers("screen_pixels_wide"),
        screen_pixels_high=numbers("screen_pixels_high"),
        density=codes("density", DENSITIES),
        timezone_offset=numbers("timezone_offset"),
        checks=np.array(failed, np.uint64),
        fingerprint=np.array([_at(said, row, {}).get("fingerprint", 0) for row in range(rows)], np.uint64),
    )


def normalized(
    events: Dicts, activity: Sequence[Any] = (), environment: Dicts = (), times: Sequence[int] = ()
) -> Normalized:
    """Return a normalised batch with the environment that is said (not computed)."""
    batch = widen(Verified, decoded(events, activity, times))
    rows = len(events)
    nowhere = np.full(rows, np.nan, np.float32)
    classes = np.zeros(rows, np.uint16)
    where = Network(np.zeros(rows, np.uint16), np.zeros(rows, np.uint32), nowhere, nowhere, classes)
    return widen(Normalized, batch, environment=environment_of(rows, environment), network=where)


def network_of(rows: int, said: Dicts = ()) -> Network:
    """Return networks; what is not said is not known."""
    return Network(
        country=np.array(
            [COUNTRY_NUMBER.get(_at(said, row, {}).get("country", ""), 0) for row in range(rows)], np.uint16
        ),
        asn=np.array([_at(said, row, {}).get("asn", 0) for row in range(rows)], np.uint32),
        latitude=np.array([_at(said, row, {}).get("latitude", np.nan) for row in range(rows)], np.float32),
        longitude=np.array([_at(said, row, {}).get("longitude", np.nan) for row in range(rows)], np.float32),
        classes=np.array(
            [sum(NETWORK_BIT[name] for name in _at(said, row, {}).get("classes", ())) for row in range(rows)], np.uint16
        ),
    )


def recognition_of(rows: int, said: Dicts = ()) -> Recognition:
    """Return what traffic says, by column and combination or entity; what is not said is not known."""
    found = nothing_recognized(rows)
    columns = {"tail": COMBINATIONS, "seen": COMBINATIONS, "denied": REPUTED, "weight": REPUTED}
    changed = {name: getattr(found, name).copy() for name in (*columns, "replayed")}
    for row, about in enumerate(said):
        for name, value in about.items():
            column, _, which = name.partition("_")
            if which:
                changed[column][row, columns[column].index(which)] = value
            else:
                changed[column][row] = value
    return Recognition(**changed)


def counted(
    events: Dicts,
    activity: Sequence[Any] = (),
    velocity: Dicts = (),
    environment: Dicts = (),
    times: Sequence[int] = (),
) -> Counted:
    """Return a counted batch; counts that are not said are those of a device's only event.

    ``velocity=[{"events_5m": 47, "places": [(52.5, 13.4, NOW - 3_600_000)]}]``: earlier places, newest first.
    """
    batch = normalized(events, activity, environment, times)
    rows, now = len(events), batch.event.occurred_at

    counts = np.ones((rows, len(KINDS), len(WINDOWS)), np.uint32)
    for row, said in enumerate(velocity):
        for kind, name in enumerate(KINDS):
            for window, length in enumerate(WINDOWS):
                counts[row, kind, window] = said.get(f"{name}_{length}", 1)
    first = [_at(velocity, row, {}).get("first_seen_at", int(now[row])) for row in range(rows)]
    previous = [_at(velocity, row, {}).get("previous_at", -1) for row in range(rows)]
    section = Velocity(counts, np.array(first, np.int64), np.array(previous, np.int64))
    latitude, longitude = (np.full((rows, PLACES_KEPT), np.nan, np.float32) for _ in range(2))
    place_at = np.full((rows, PLACES_KEPT), -1, np.int64)
    for row, said in enumerate(velocity):
        for place, (north, east, at) in enumerate(said.get("places", ())):
            latitude[row, place], longitude[row, place], place_at[row, place] = north, east, at
    history = History(
        events=counts[:, 0, 2].copy(),
        hours=np.zeros((rows, HOURS), np.uint8),
        scores=np.full((rows, SCORES_KEPT), np.nan, np.float32),
        latitude=latitude,
        longitude=longitude,
        place_at=place_at,
    )
    statistics = np.ascontiguousarray(activity_statistics(batch.activity).table.T)
    session = SessionSummary(np.ones(rows, np.uint32), now.copy(), statistics)
    return widen(Counted, batch, velocity=section, history=history, session=session)


def recognized(
    events: Dicts,
    activity: Sequence[Any] = (),
    velocity: Dicts = (),
    environment: Dicts = (),
    times: Sequence[int] = (),
    recognition: Dicts = (),
) -> Recognized:
    """Return a batch with what traffic says of it, as ``related`` describes it."""
    batch = counted(events, activity, velocity, environment, times)
    return widen(Recognized, batch, recognition=recognition_of(len(events), recognition))


def related(
    events: Dicts,
    activity: Sequence[Any] = (),
    velocity: Dicts = (),
    environment: Dicts = (),
    times: Sequence[int] = (),
    shared: Dicts = (),
    network: Dicts = (),
    recognition: Dicts = (),
) -> Related:
    """Return a batch with shared counts: what ``shared`` says by entity, measure and window, else unknown.

    ``shared=[{"address_devices_1h": 40}]``, ``network=[{"country": "DE", "asn": 3320, "classes": ["vpn"]}]``,
    ``recognition=[{"tail_graphics": 0.001, "seen_graphics": 0, "denied_asn": 0.4, "weight_asn": 20, "replayed": 1}]``.
    """
    batch = recognized(events, activity, velocity, environment, times, recognition)
    batch = replace(batch, network=network_of(len(events), network))
    counts = unknown(len(events))
    for row, said in enumerate(shared):
        for name, value in said.items():
            entity, measure, window = name.split("_")
            counts[row, ENTITIES.index(entity), MEASURES.index(measure), WINDOWS.index(window)] = value
    return widen(Related, batch, shared=Shared(counts, np.zeros(len(events), np.bool_)))


def enriched(
    events: Dicts,
    activity: Sequence[Any] = (),
    velocity: Dicts = (),
    environment: Dicts = (),
    smart: Dicts = (),
    times: Sequence[int] = (),
    shared: Dicts = (),
    network: Dicts = (),
    recognition: Dicts = (),
) -> Enriched:
    """Return an enriched batch; ``smart`` gives a signal's confidence by name, true from 0.5 on, else unknown."""
    batch = related(events, activity, velocity, environment, times, shared, network, recognition)
    shape = (len(events), len(SMART_SIGNALS))
    confidence = np.full(shape, np.nan, np.float32)
    for row, said in enumerate(smart):
        for name, value in said.items():
            confidence[row, SMART_SIGNALS.index(name)] = value
    result = np.where(np.isnan(confidence), -1, confidence >= 0.5).astype(np.int8)
    section = SmartSignals(SMART_SIGNALS, result, confidence, (result == 1).astype(np.uint32))
    return widen(Enriched, batch, smart=section)
