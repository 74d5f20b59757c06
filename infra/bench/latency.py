"""latency: from the append to Kafka until the score can be read in Redis, at a steady rate, through a real stack.

Events come at random moments, as visitors do, and are appended as the ingest tier appends them, by a process of its
own: those that come while others are on their way to Kafka go together, once these are acknowledged. Valkey tells of
every key that is set (keyspace notifications), so that the moment from which a score can be read is seen without asking
for it; at the end every score is read. Who appends and who watches takes short turns, so that the measuring itself is
late by little on a machine that has no core to spare; where the cores are divided, it is bound to those of Kafka and
ClickHouse. The clock starts when the event has come, which is before Kafka stamps it: what the ledger calls
``appended`` is Kafka's own time of the record, in whole milliseconds.
"""

from __future__ import annotations

import multiprocessing
import re
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
from confluent_kafka import KafkaError, Message, Producer
from numpy.typing import NDArray
from redis import Redis

from infra.bench.e2e import went_on_without
from infra.bench.measure import RowsLost, machine
from infra.bench.rig import Rig
from infra.cores import bind_to
from infra.topics import RAW
from infra.turns import take_short_turns
from schemas.envelope import sealed_start
from schemas.result import decode_result
from schemas.stored_results import unpacked

_DEVICE: Final = slice(24, 40)  # of the sealed event's header
_EVENT: Final = slice(40, 56)
_KEY: Final = re.compile(rb"score:[^:\r\n]+:([0-9a-f]{32})\r\n")
_SETTLED_SECONDS: Final = 30.0
_AT_ONCE: Final = 1_000
# What the stages of each share are in the ledger; a mark is the time at which a stage has ended.
SHARES: Final = {
    "extract": ("decode", "verify_mask"),
    "enrich": ("normalize", "velocity", "recognize", "relate", "enrich"),
    "score": ("score", "judge", "decide"),
}
BUDGET_MS: Final = {"extract": 2.0, "enrich": 4.0, "score": 3.0, "rest": 1.0}


Milliseconds = NDArray[np.float64]  # one an event


@dataclass(frozen=True, slots=True)
class Load:
    """How it is measured. The first ``warm_seconds`` are not counted."""

    rate: float = 1_000.0
    seconds: float = 20.0
    warm_seconds: float = 10.0
    seed: int = 1

    @property
    def events(self) -> int:
        """Return how many events it takes."""
        return int(self.rate * (self.seconds + self.warm_seconds))


def bench_latency(
    rig: Rig, values: Sequence[bytes], load: Load, said: Callable[[str], None] = lambda word: None
) -> dict[str, Any]:
    """Return latencies in milliseconds, by share too; RowsLost where a score cannot be read at the end."""
    said("starting the flow")
    rig.flow()
    if rig.cores is not None:
        bind_to(rig.cores.others)  # what is started from here on: who appends, and who watches
    with Watcher(rig.stack.redis_url) as watcher:
        said(f"{load.warm_seconds + load.seconds:g} s at {load.rate:g} events a second")
        sent, spent = _send(rig, values, load)
        readable = watcher.wait(len(sent), _SETTLED_SECONDS)
    counted = [key for key, (due, _) in sent.items() if due >= load.warm_seconds]
    lost = [key for key in counted if key not in readable]
    if lost or not counted:
        raise RowsLost(f"{len(counted)} events were appended, {len(lost)} have no score in Redis")
    whole = np.array([readable[key] - sent[key][1] for key in counted]) / 1e6
    marks = _ledgers(rig.stack.redis_url, {key: sent[key][1] for key in counted}, readable)
    return {
        "name": "latency",
        "rate": load.rate,
        "partitions": rig.partitions,
        "cores": rig.cores._asdict() if rig.cores else None,
        "events": len(counted),
        "latency_ms": quantiles(whole),
        "shares_ms": {name: quantiles(spent) for name, spent in shares_of(marks).items()},
        "budget_ms": BUDGET_MS,
        "up_to_each_mark_ms": {name: quantiles(spent) for name, spent in marks.items()},
        "batch_mean": rig.batch_mean(),
        **went_on_without(rig),
        "cpu_share": {name: round(seconds / (load.seconds + load.warm_seconds), 3) for name, seconds in spent.items()},
        "machine": machine(),
    }


def quantiles(milliseconds: Milliseconds) -> dict[str, float]:
    """Return p50, p99 and the longest, in milliseconds."""
    p50, p99 = np.percentile(milliseconds, (50, 99))
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2), "max": round(float(milliseconds.max()), 2)}


def _send(rig: Rig, values: Sequence[bytes], load: Load) -> tuple[dict[bytes, tuple[float, int]], dict[str, float]]:
    """Append the events; return for each event id when it was due (s) and when it was given to Kafka (ns)."""
    spawn = multiprocessing.get_context("spawn")
    near, far = spawn.Pipe()
    sender = spawn.Process(target=append_at_rate, args=(far, rig.stack.bootstrap, load))
    sender.start()
    try:
        near.send([(value, *place_of(value, rig.partitions)) for value in values[: load.events]])
        before = rig.cpu()
        sent, own = near.recv()
        spent = rig.cpu_since(before)
        spent["load"] += own
    except EOFError:
        raise RowsLost("the process that appends events ended before its time") from None
    finally:
        sender.join(5)
        if sender.is_alive():
            sender.terminate()
    if isinstance(sent, str):
        raise RowsLost(sent)
    return {event_id(value): times for value, times in zip(values, sent, strict=False)}, spent


def event_id(value: bytes) -> bytes:
    """Return an event's id of a record of ``events.raw``, as keys have it."""
    return value[sealed_start(value) :][_EVENT].hex().encode()


def place_of(value: bytes, partitions: int) -> tuple[bytes, int]:
    """Return a record's key and partition."""
    device = value[sealed_start(value) :][_DEVICE]
    return device, sum(device) % partitions


def append_at_rate(pipe: Connection, bootstrap: str, load: Load) -> None:
    """Append what the pipe gives, at random moments, and send back when, and the processor seconds that it took.

    When is (s after the start, ns of the clock) of each; in its place a sentence where Kafka did not take an event.
    """
    records = pipe.recv()
    take_short_turns()
    due = np.cumsum(np.random.default_rng(load.seed).exponential(1 / load.rate, len(records)))
    flights = Flights(Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 0}))
    times: list[tuple[float, int]] = []
    start, spent = time.perf_counter() + 0.5, time.process_time()
    for at, record in zip(due.tolist(), records, strict=True):
        early = start + at - time.perf_counter()
        if early > 0:
            time.sleep(early)
        times.append((at, time.time_ns()))
        flights.append(*record)
    refused = flights.end(_SETTLED_SECONDS)
    pipe.send((refused or times, time.process_time() - spent))


class Flights:
    """Appends to ``events.raw`` as the ingest tier does: what comes while a flight is out waits for its end.

    Nothing is sent twice but by a retry, so the producer needs no idempotence: with it, librdkafka's thread would take
    the core of the broker whenever events wait behind five others (see ``ingest_api.appender``).
    """

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._held: list[tuple[bytes, bytes, int]] = []
        self._failed: list[KafkaError] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def append(self, value: bytes, key: bytes, partition: int) -> None:
        """Append a record, at once where none is on its way."""
        with self._lock:
            self._held.append((value, key, partition))
            self._hand_over()

    def end(self, seconds: float) -> str | None:
        """Wait until Kafka has all; one sentence where it does not take one."""
        gives_up = time.monotonic() + seconds
        while self._left() and time.monotonic() < gives_up:
            time.sleep(0.01)
        self._stop.set()
        self._thread.join()
        refused = self._left() + len(self._failed)
        return f"Kafka did not take {refused} events: {self._failed[:1]}" if refused else None

    def _left(self) -> int:
        with self._lock:
            return len(self._held) + len(self._producer)

    def _look(self) -> None:
        while not self._stop.is_set():
            if self._producer.poll(0.1):
                with self._lock:
                    self._hand_over()

    def _hand_over(self) -> None:
        if self._held and not len(self._producer):
            for value, key, partition in self._held:
                self._producer.produce(RAW, value, key, partition, on_delivery=self._report)
            self._held.clear()

    def _report(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failed.append(error)


class Watcher:
    """Sees every score that is set in Redis, and when."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        with Redis.from_url(url) as client:
            client.config_set("notify-keyspace-events", "E$")
        self._socket = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379), 5)
        self._socket.sendall(f"AUTH {parts.password}\r\n".encode() if parts.password else b"")
        self._socket.sendall(b"SUBSCRIBE __keyevent@0__:set\r\n")
        self._parts: list[tuple[int, bytes]] = []
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._socket.close()

    def _read(self) -> None:
        take_short_turns()
        self._socket.settimeout(None)
        while data := self._socket.recv(1 << 16):
            self._parts.append((time.time_ns(), data))

    def wait(self, keys: int, seconds: float) -> dict[bytes, int]:
        """Return when each event's score was set (ns), once so many were or nothing comes any more."""
        gives_up = time.monotonic() + seconds
        seen = -1
        while (found := self.times()) is not None and len(found) < keys and time.monotonic() < gives_up:
            if len(found) != seen:
                seen, gives_up = len(found), time.monotonic() + seconds
            time.sleep(0.5)
        return found

    def times(self) -> dict[bytes, int]:
        """Return when each event's score was set (ns)."""
        parts = list(self._parts)
        ends = np.cumsum([len(data) for _, data in parts])
        whole = b"".join(data for _, data in parts)
        found: dict[bytes, int] = {}
        for match in _KEY.finditer(whole):
            found.setdefault(match[1], parts[int(np.searchsorted(ends, match.end()))][0])
        return found


def _ledgers(url: str, wanted: dict[bytes, int], readable: dict[bytes, int]) -> dict[str, Milliseconds]:
    """Return what each mark of the ledger came after the one before it; RowsLost where a score cannot be read.

    ``wanted``: when each event was given to Kafka (ns). The first is ``appended`` after that, the last is ``readable``.
    """
    spans: dict[str, list[float]] = {}
    with Redis.from_url(url) as client:
        names = [name for name in client.scan_iter("score:*", count=10_000) if name.rpartition(b":")[2] in wanted]
        for first in range(0, len(names), _AT_ONCE):
            part = names[first : first + _AT_ONCE]
            for name, record in zip(part, client.mget(part), strict=True):
                ledger, event = decode_result(unpacked(record)).ledger, name.rpartition(b":")[2]
                marks = [("given", wanted[event] // 1000), *ledger.items(), ("readable", readable[event] // 1000)]
                for (_, before), (mark, after) in pairwise(marks):
                    spans.setdefault(mark, []).append((after - before) / 1e3)
    if len(names) != len(wanted):
        raise RowsLost(f"{len(wanted)} scores were set in Redis, {len(names)} can be read")
    return {mark: np.array(values) for mark, values in spans.items()}


def shares_of(marks: dict[str, Milliseconds]) -> dict[str, Milliseconds]:
    """Return the shares of the budget: the stages', and the rest, which is Kafka, the poll and the way into Redis."""
    shares = {share: np.sum([marks[mark] for mark in names], axis=0) for share, names in SHARES.items()}
    staged = {mark for names in SHARES.values() for mark in names}
    rest = np.sum([values for mark, values in marks.items() if mark not in staged], axis=0)
    return {**shares, "rest": rest}
