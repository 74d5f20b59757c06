"""rule-history: what the rules' history costs in a real Valkey: memory of a million members, time of reads and writes.

CPU times are this process's, per event; wall times are of one pipelined round trip at a time, with nothing beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from redis import Redis

from flows.lookups.rule_history import RuleHistory
from infra.bench.measure import machine
from scoring.rules.answers import CatalogueName, Function, Query, Unanswered, Value, Write
from scoring.rules.history import HistoryLimits, Outcome, Step
from scoring.rules.history_keys import HistoryKeys

_BEGIN = 1_790_000_000_000
_WINDOW = 7 * 86_400_000
_GAP = 60_000  # ms between the events of an entity
_MERCHANT = "a merchant"
_BATCH = 200
_ROUNDS = 200
_CATALOGUES, _ENTITIES_OF_AN_EVENT = 20, 4
_FUNCTIONS: tuple[Function, ...] = ("count", "sum", "last")


class StoreFailed(RuntimeError):
    """The store did not answer: there is nothing to print."""


@dataclass(frozen=True, slots=True)
class Load:
    """What to measure with."""

    members: int = 200_000  # of each kind and size of set
    set_sizes: tuple[int, ...] = (10, 100, 1_000)


def bench_rule_history(client: Redis, load: Load, advance: Callable[[float], None]) -> dict[str, Any]:
    """Return the figures. ``client`` is of an empty store, left empty; ``advance`` gets shares of the work."""
    history = RuleHistory(client, HistoryKeys(b"rules' history, measured"), HistoryLimits())
    kinds: dict[str, Value] = {"without value": 1, "number": 12.5, "text": "SG"}
    share = 1 / (len(kinds) * len(load.set_sizes) + len(load.set_sizes))
    memory: dict[str, dict[str, float]] = {kind: {} for kind in kinds}
    costs: dict[str, dict[str, float]] = {}
    write_us: dict[str, float] = {}
    for size in load.set_sizes:
        for kind, value in kinds.items():
            before = _memory(client)
            started = time.perf_counter()
            _fill(history, load.members, size, value)
            write_us[f"{kind}, sets of {size:,}"] = (time.perf_counter() - started) / load.members * 1e6
            memory[kind][f"sets of {size:,}"] = (_memory(client) - before) / load.members * 1e6 / 2**20
            _empty(client)
            advance(share)
        costs[f"sets of {size:,}"] = _decisions(history, size)
        _empty(client)
        advance(share)
    return {
        "name": "rule-history",
        "mb_per_million_members": memory,
        "us_per_write": write_us,
        "us_per_decision": costs,
        "reads_per_decision": {"queries": _CATALOGUES * len(_FUNCTIONS), "catalogues": _CATALOGUES},
        "machine": machine(),
    }


def _empty(client: Redis) -> None:
    client.execute_command("FLUSHDB", "SYNC")  # type: ignore[no-untyped-call] # as redis-py is


def _memory(client: Redis) -> int:
    found: Any = client.info("memory")
    return int(found["used_memory"])


def _fill(history: RuleHistory, members: int, size: int, value: Value) -> None:
    """Write sets of so many members each, an event of every entity after the other."""
    writes = (
        Write(CatalogueName("own", "measured"), f"entity {entity}", f"event {entity} {number}", value, at, _WINDOW)
        for entity in range(members // size)
        for number, at in enumerate(range(_BEGIN, _BEGIN + size * _GAP, _GAP))
    )
    for batch in _batches(writes):
        _known(history.exchange([Step(_MERCHANT, (), batch)]))


def _decisions(history: RuleHistory, size: int) -> dict[str, float]:
    """Return µs of a decision's reads, 60 of them over 20 catalogues of 4 entities, and of its 20 writes."""
    names = [
        (CatalogueName("own", f"catalogue {at}"), f"entity {at % _ENTITIES_OF_AN_EVENT}") for at in range(_CATALOGUES)
    ]
    for number in range(size):
        _known(history.exchange([Step(_MERCHANT, (), _writes(names, number))]))
    last = _BEGIN + size * _GAP
    queries = [
        Query(name, entity, function, _WINDOW, last, "an event") for name, entity in names for function in _FUNCTIONS
    ]
    reads, writes, cpu = [], [], []
    for number in range(_ROUNDS):
        started, busy = time.perf_counter(), time.process_time()
        _known(history.exchange([Step(_MERCHANT, queries)]))
        reads.append(time.perf_counter() - started)
        cpu.append(time.process_time() - busy)
        started = time.perf_counter()
        _known(history.exchange([Step(_MERCHANT, (), _writes(names, size + number))]))
        writes.append(time.perf_counter() - started)
    return {"read": _median(reads), "read_cpu": _median(cpu), "write": _median(writes)}


def _writes(names: Iterable[tuple[CatalogueName, str]], number: int) -> list[Write]:
    at = _BEGIN + number * _GAP
    return [Write(name, entity, f"event {number}", number / 8 + 2, at, _WINDOW) for name, entity in names]


def _batches(writes: Iterable[Write]) -> Iterable[list[Write]]:
    batch: list[Write] = []
    for write in writes:
        batch.append(write)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch


def _known(outcomes: list[Outcome] | Unanswered) -> None:
    if isinstance(outcomes, Unanswered):
        raise StoreFailed(outcomes.reason)


def _median(seconds: list[float]) -> float:
    return sorted(seconds)[len(seconds) // 2] * 1e6
