"""state: the memory of velocity, as large as it gets: what an event, a snapshot and a start cost.

Every scenario runs in a process of its own, so that its memory is that of a flow's state and of nothing else. Times are
CPU times, so that what else the machine does counts as little as can be; wall times are among the details.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from flows.stages.velocity import Velocity, VelocitySession
from flows.state_log import StateLog
from infra.bench.measure import machine
from schemas.batches import Activity, Environment, Event, Ledger, Network, Normalized, Origin, Signals, Texts
from schemas.log_codes import load_log_codes

_HOUR = 3_600_000
_BEGIN = 1_790_000_000_000
_SPAN = 20 * _HOUR
_ROUNDS = 30
_MEASURED_ROUNDS = 10  # the last ones, when the state has two thirds of its size and more
_EPOCHS, _EPOCH_EVENTS = 1_100, 500  # a second of the local stack's traffic
_ENTRIES = 16  # of an event's log
_MERCHANTS, _COUNTRIES = 50, 200
_TOPIC = "events.raw"


@dataclass(frozen=True, slots=True)
class Load:
    """What to measure with."""

    devices: int = 1_000_000
    events: int = 3_000_000
    batch: int = 256
    seed: int = 1


def bench_state(load: Load, advance: Callable[[float], None]) -> dict[str, Any]:
    """Return the figures; ``advance`` gets the share of the work that is done, step by step."""
    with tempfile.TemporaryDirectory() as folder:
        grown = _in_child("uniform", load, folder, lambda share: advance(share * 0.7))
        loaded = _in_child("loaded", load, folder, lambda share: advance(share * 0.06))
    fewer = replace(load, events=load.events // 5)
    others = {
        name: _in_child(name, fewer, "", lambda share: advance(share * 0.12)) for name in ("skewed", "one device")
    }
    return {
        "name": "state",
        "devices": grown["devices"],
        "events": load.events,
        "batch": load.batch,
        "cpu_us_per_event": grown["cpu_us_per_event"],
        "rss_mb": grown["rss_mb"],
        "load_s": loaded["load_s"],
        "snapshot_ms_p99": grown["snapshot_ms_p99"],
        "details": {"uniform": grown, "loaded": loaded, **others},
        "machine": machine(),
    }


def _in_child(scenario: str, load: Load, folder: str, advance: Callable[[float], None]) -> dict[str, Any]:
    """Measure a scenario in a fresh process; it prints shares of progress, and then what it found."""
    command = [sys.executable, "-m", __name__, scenario, folder, json.dumps(asdict(load))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None  # noqa: S101 - for the reader: it was asked for
        for line in child.stdout:
            said = json.loads(line)
            if isinstance(said, dict):
                return said
            advance(said)
    raise RuntimeError(f"the scenario {scenario!r} of the benchmark ended without a result")


def _say(what: float | dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _grow(load: Load, folder: str) -> dict[str, Any]:
    """Count all events of uniform devices, then snapshot in epochs as a flow does."""
    session = _session()
    found = _rounds(session, load, "uniform", share=0.8)
    found["rss_mb"] = _rss_mb()
    stream = _Stream(replace(load, batch=_EPOCH_EVENTS), "uniform", first=load.events)
    with StateLog(Path(folder), 0) as log:
        log.load()
        cpu, wall, sizes = [], [], []
        for epoch in range(_EPOCHS + 1):
            session.apply(stream.batch())
            begun, spent = time.perf_counter(), time.thread_time()
            snapshot = session.snapshot()
            log.append(snapshot, stream.next_offset)
            log.mark(stream.next_offset)
            cpu.append((time.thread_time() - spent) * 1e3)
            wall.append((time.perf_counter() - begun) * 1e3)
            sizes.append(len(snapshot.data))
            if epoch % 30 == 29:
                _say(0.2 * 30 / _EPOCHS)
    found |= {
        "snapshot_ms_p99": _rounded(np.percentile(cpu[1:], 99)),
        "snapshot_ms_p50": _rounded(np.percentile(cpu[1:], 50)),
        "snapshot_wall_ms_p99": _rounded(np.percentile(wall[1:], 99)),
        "snapshot_kib_p50": round(float(np.median(sizes[1:])) / 1024),
        "whole_snapshot_mib": round(sizes[0] / 2**20),
        "whole_snapshot_s": _rounded(cpu[0] / 1e3),
        "rss_peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "state_mb": round(session.nbytes / 2**20),
    }
    return found


def _load(folder: str) -> dict[str, Any]:
    """Read the log that ``_grow`` wrote, as a flow does when it starts."""
    _session()  # compiled code is loaded before the clock starts: it is no matter of the state's size
    _say(0.5)
    begun, spent = time.perf_counter(), time.process_time()
    with StateLog(Path(folder), 0) as log:
        session = Velocity().open(log.load().snapshots)
    found = {
        "load_s": _rounded(time.process_time() - spent),
        "load_wall_s": _rounded(time.perf_counter() - begun),
        "devices": session.devices,
        "rss_mb": _rss_mb(),
    }
    _say(0.5)
    return found


def _rounds(session: VelocitySession, load: Load, scenario: str, share: float) -> dict[str, Any]:
    """Count a scenario's events in rounds; the stage's time is that of the state and of the columns around it."""
    stream = _Stream(load, scenario)
    batches = max(1, load.events // load.batch // _ROUNDS)
    state, stage, longest = [], [], 0.0
    for _ in range(_ROUNDS):
        in_state = in_stage = 0.0
        for _ in range(batches):
            batch = stream.batch()
            begun = time.thread_time()
            rows = session.rows_of(batch)
            between = time.thread_time()
            out = session.count(rows)
            counted = time.thread_time()
            session.outcome(batch, out)
            in_stage += time.thread_time() - begun
            in_state += counted - between
            longest = max(longest, counted - between)
        state.append(in_state / batches / load.batch * 1e6)
        stage.append(in_stage / batches / load.batch * 1e6)
        _say(share / _ROUNDS)
    return {
        "cpu_us_per_event": _rounded(min(state[-_MEASURED_ROUNDS:])),
        "cpu_us_per_event_median": _rounded(np.median(state[-_MEASURED_ROUNDS:])),
        "stage_us_per_event": _rounded(min(stage[-_MEASURED_ROUNDS:])),
        "longest_batch_ms": _rounded(longest * 1e3),
        "devices": session.devices,
    }


def _session() -> VelocitySession:
    """Return an empty session whose kernels are compiled or loaded."""
    session = Velocity().open([])
    session.apply(_Stream(Load(devices=1, events=1, batch=1), "uniform").batch())
    Velocity().open([session.snapshot().data])
    return Velocity().open([])


def _rss_mb() -> float:
    return round(psutil.Process().memory_info().rss / 2**20, 1)


def _rounded(value: Any) -> float:
    return round(float(value), 3)


class _Stream:
    """Batches of one partition in the order of their times, spread over 20 hours."""

    def __init__(self, load: Load, scenario: str, first: int = 0) -> None:
        self.next_offset = first
        self._load = load
        self._scenario = scenario
        self._rng = np.random.default_rng(load.seed + first)
        self._log = _log_of(load.batch)
        self._environment = _nothing(Environment, load.batch)

    def batch(self) -> Normalized:
        """Return the next batch."""
        load, rows = self._load, self._load.batch
        offsets = np.arange(self.next_offset, self.next_offset + rows)
        self.next_offset += rows
        device = self._devices(rows)
        at = _BEGIN + (offsets * (_SPAN / load.events)).astype(np.int64)
        roams = self._rng.random(rows) < 0.1
        country = ((device + roams) % _COUNTRIES).astype(np.uint16)
        event = Event(
            event_id=_ids(offsets, 1),
            session_id=_ids(device * 128 + (at - _BEGIN) // _HOUR, 2),
            device_id=_ids(device, 3),
            address=_ids(device + roams * self._rng.integers(1, 9, rows), 4),
            key_id=np.ones(rows, np.uint32),
            sequence=np.zeros(rows, np.uint32),
            occurred_at=at,
            received_at=at + 20,
            merchant=tuple(f"merchant {number}" for number in (device % _MERCHANTS).tolist()),
            transaction=("",) * rows,
            linked_id=tuple(f"account {number}" if number % 5 else "" for number in (device % 100_000).tolist()),
            card_token=("",) * rows,
            event_type=("",) * rows,
            attempt=np.zeros(rows, np.uint8),
            told=(b"",) * rows,
        )
        nothing = np.zeros((rows, 0))
        texts = Texts((b"",) * rows, nothing.astype(np.int32), nothing.astype(np.int32))
        signals = Signals(
            np.zeros(rows, np.uint16),
            nothing.astype(np.float32),
            nothing > 0,
            nothing > 0,
            nothing.astype(np.uint32),
            texts,
        )
        return Normalized(
            origin=Origin(_TOPIC, np.zeros(rows, np.int32), offsets, at + 30, at + 40),
            values=(b"",) * rows,
            ledger=Ledger((), np.zeros((rows, 0), np.int64)),
            event=event,
            signals=signals,
            activity=self._log,
            environment=self._environment,
            network=Network(
                country,
                country.astype(np.uint32),
                country.astype(np.float32),
                country.astype(np.float32),
                np.zeros(rows, np.uint16),
            ),
        )

    def _devices(self, rows: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        if self._scenario == "uniform":
            return self._rng.integers(0, self._load.devices, rows)
        if self._scenario == "one device":
            return np.zeros(rows, np.int64)
        return (self._rng.pareto(0.8, rows) * 10).astype(np.int64) % self._load.devices


def _ids(numbers: np.ndarray[Any, np.dtype[np.int64]], kind: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    words = np.empty((len(numbers), 2), np.uint64)
    words[:, 0] = kind
    words[:, 1] = numbers
    return words.view(np.uint8)


def _log_of(rows: int) -> Activity:
    """Return logs of the commonest codes of typing and pointing."""
    names = ("key_interval", "pointer_summary", "clicked", "scrolled")
    codes = np.array([load_log_codes().code(name) for name in names], np.uint16)
    entries = rows * _ENTRIES
    return Activity(
        np.arange(rows + 1) * _ENTRIES,
        np.arange(entries, dtype=np.uint32),
        np.full(entries, 80, np.float32),
        np.resize(codes, entries),
        np.zeros(entries, np.uint8),
    )


def _nothing(section: type[Environment], rows: int) -> Environment:
    """Return a section that says nothing: the state does not look at it."""
    empty: dict[str, Any] = {field.name: np.zeros(rows, np.uint8) for field in fields(section)}
    return section(**empty | {"gpu_model": ("",) * rows})


def main(scenario: str, folder: str, load: Load) -> dict[str, Any]:
    """Return what one scenario found: the work of a process of its own."""
    if scenario == "uniform":
        return _grow(load, folder)
    if scenario == "loaded":
        return _load(folder)
    return _rounds(_session(), load, scenario, share=1.0) | {"rss_mb": _rss_mb()}


if __name__ == "__main__":
    _say(main(sys.argv[1], sys.argv[2], Load(**json.loads(sys.argv[3]))))
