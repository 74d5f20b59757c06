"""topologies: the flow as one, in three processes, and its parts in one, on the same events, through a real stack.

The stack is started for the measurement in a directory that goes away: real Kafka, Valkey and ClickHouse. Each topology
has a database of its own and empty topics. The events are appended once all of its processes read, and it is
measured from then until the last result is on ``events.scored``: a process that started before the others has nothing
done by then. A rate is printed only where every event is scored, dead-lettered or dropped as a copy.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit
from urllib.request import urlopen

import psutil
from clickhouse_driver import Client
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from flows.stage_records import ENRICHED, EXTRACTED, OUTCOMES
from flows.stage_state import Part
from infra.bench.measure import RowsLost, machine
from infra.clickhouse.migrate import migrate
from infra.stack.child import ChildProcess
from infra.stack.local import LocalStack
from infra.topics import RAW
from schemas.keys import KeyRing

_READY_SECONDS: Final = 120.0
_STILL_SECONDS: Final = 4.0  # so long nothing more is scored: all is, or rows are lost
_FIRST_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.05
_PARTITION: Final = 0
_BETWEEN: Final = (RAW, EXTRACTED, ENRICHED, OUTCOMES)
_SETTLED_SECONDS: Final = 30.0
# The parts of each process, none for the whole pipeline as one: the first one scores, the last one lets the rows in.
TOPOLOGIES: Final[dict[str, tuple[tuple[Part, ...], ...]]] = {
    "fused": ((),),
    "staged": ((Part.SCORE,), (Part.ENRICH,), (Part.EXTRACT,)),
    "staged_in_one": (tuple(Part),),
}


@dataclass(slots=True)
class _Topology:
    """One of them while it runs."""

    stack: LocalStack
    name: str
    folder: Path
    env: dict[str, str]
    children: list[ChildProcess] = field(default_factory=list)

    def start(self, parts: tuple[Part, ...]) -> None:
        """Start a process and wait until it reads."""
        title = "+".join(parts) or "flow"
        ready = self.folder / f"{self.name}-{title}.ready"
        argv = [sys.executable, "-m", "infra.cli", "flow", "run", "--ready-file", str(ready)]
        argv += ["--state", str(self.folder / f"{self.name}-{title}")]
        argv += [word for part in parts for word in ("--stage", part.value)]
        log = self.folder / f"{self.name}-{title}.log"
        child = ChildProcess(title, argv, log=log, env=self.env, grace=40.0, probe=ready.exists)
        self.children.append(child)
        child.start()
        child.wait_ready(_READY_SECONDS)

    def figure(self, child: ChildProcess, series: str, *labels: str) -> float:
        """Return the sum of a metric's series that have all of the labels, as ``sink="scored"``."""
        port = int((self.folder / f"{self.name}-{child.name}.ready").read_text("ascii"))
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        wanted = [line for line in lines if line.startswith(series) and all(label in line for label in labels)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in wanted)

    def total(self, series: str, *labels: str) -> int:
        """Return the sum over all processes."""
        return int(sum(self.figure(child, series, *labels) for child in self.children))

    def cpu(self) -> dict[str, float]:
        """Return the processor seconds of each process."""
        found = {}
        for child in self.children:
            times = psutil.Process(child.pid or 0).cpu_times()
            found[child.name] = times.user + times.system
        return found

    def stop(self) -> None:
        """Drain all."""
        for child in reversed(self.children):
            child.stop()


def bench_topologies(
    values: Sequence[bytes],
    keys: KeyRing,
    said: Callable[[str], None] = lambda word: None,
    topologies: Mapping[str, tuple[tuple[Part, ...], ...]] = TOPOLOGIES,
) -> dict[str, Any]:
    """Return the figures of each, and what staged ones are to the fused; RowsLost where rows came to no end.

    ``keys`` open the events.
    """
    with tempfile.TemporaryDirectory(prefix="clickgoose-bench-") as folder, ExitStack() as closing:
        said("starting the stack")
        stack = LocalStack(Path(folder) / "home", say=lambda sentence: None)
        stack.start()
        closing.callback(stack.stop)
        found: dict[str, Any] = {"name": "topologies", "events": len(values)}
        for number, (name, parts) in enumerate(topologies.items(), start=1):
            said(f"{name}: {len(values)} events")
            masters = json.dumps({number: master.hex() for number, master in keys.masters.items()})
            env = stack.env() | _stores(stack, name, number) | {"CLICKGOOSE_MASTER_KEYS": masters}
            _empty(stack.bootstrap)
            found[name] = _measured(_Topology(stack, name, Path(folder), env), parts, values)
    rates = {name: found[name]["events_per_s"] for name in topologies}
    return {**found, **ratios(rates), "machine": machine()}


def ratios(rates: Mapping[str, float]) -> dict[str, float]:
    """Return what each rate is to that of the fused flow, where there is one."""
    fused = rates.get("fused")
    others = {name: rate for name, rate in rates.items() if name != "fused"}
    return {} if fused is None else {f"{name}_to_fused": round(rate / fused, 3) for name, rate in others.items()}


def _empty(bootstrap: str) -> None:
    """Take away what an earlier topology was given or handed on: the next one starts from where the topics begin."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    found = admin.list_topics(timeout=_FIRST_SECONDS).topics
    everything = -1
    places = [TopicPartition(name, one, everything) for name in _BETWEEN for one in found[name].partitions]
    for done in admin.delete_records(places).values():
        done.result()


def _append(bootstrap: str, values: Sequence[bytes]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20})
    failed: list[object] = []
    for value in values:
        producer.produce(
            RAW, value, on_delivery=lambda error, _: failed.append(error) if error else None,
            partition=_PARTITION,
        )  # fmt: skip
        producer.poll(0)
    if producer.flush(60) or failed:
        raise RowsLost(f"Kafka did not take the events: {failed[:1]}")


def _stores(stack: LocalStack, name: str, number: int) -> dict[str, str]:
    """Make a ClickHouse database and name a Redis database of a topology's own."""
    database = f"bench_{name}"
    client = Client.from_url(stack.clickhouse_url)
    client.execute(f"CREATE DATABASE {database}")
    client.disconnect()
    clickhouse = f"{stack.clickhouse_url.rpartition('/')[0]}/{database}"
    migrate(clickhouse)
    redis = urlunsplit(urlsplit(stack.redis_url)._replace(path=f"/{number}"))
    return {"CLICKGOOSE_CLICKHOUSE__URL": clickhouse, "CLICKGOOSE_REDIS__URL": redis}


def _measured(topology: _Topology, processes: Sequence[tuple[Part, ...]], values: Sequence[bytes]) -> dict[str, Any]:
    events = len(values)
    try:
        for parts in processes:
            topology.start(parts)
        before, began = topology.cpu(), time.monotonic()
        _append(topology.stack.bootstrap, values)
        seconds = _last_written(topology) - began
        dropped = topology.total("clickgoose_stage_rows_total{", 'outcome="dropped"')
        dead = topology.total("clickgoose_dead_letters_total{")
        cpu = {name: spent - before[name] for name, spent in topology.cpu().items()}
        scored = _scored(topology, events - dropped - dead)
    finally:
        topology.stop()
    if scored + dead + dropped != events:
        raise RowsLost(f"{topology.name}: {events} events in, {scored} scored, {dead} dead, {dropped} dropped")
    return {
        "events_per_s": round(events / seconds, 1),
        "seconds": round(seconds, 3),
        "scored": scored,
        "dead": dead,
        "dropped": dropped,
        "cpu_us_per_event": {name: round(spent / events * 1e6, 1) for name, spent in cpu.items()},
    }


def _last_written(topology: _Topology) -> float:
    """Return when the last result was written."""
    changed = time.monotonic()
    written, scores = 0.0, topology.children[0]
    while time.monotonic() - changed < (_STILL_SECONDS if written else _FIRST_SECONDS):
        if ended := [child.name for child in topology.children if not child.running]:
            raise RowsLost(f"{topology.name}: {', '.join(ended)} ended while it was measured")
        now = topology.figure(scores, "clickgoose_sink_rows_total{", 'outcome="written"', 'sink="scored"')
        if now != written:
            written, changed = now, time.monotonic()
        time.sleep(_LOOK_SECONDS)
    if not written:
        raise RowsLost(f"{topology.name}: no event was scored within {_FIRST_SECONDS:g} s")
    return changed


def _scored(topology: _Topology, expected: int) -> int:
    """Return how many events ClickHouse shows, once that is what is expected or nothing more comes."""
    client = Client.from_url(topology.env["CLICKGOOSE_CLICKHOUSE__URL"])
    gives_up = time.monotonic() + _SETTLED_SECONDS
    try:
        while True:
            ((rows,),) = client.execute("SELECT count() FROM events FINAL")
            if rows >= expected or time.monotonic() > gives_up:
                return int(rows)
            time.sleep(0.2)
    finally:
        client.disconnect()
