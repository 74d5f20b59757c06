"""One running system that the fault tests share, and what each asserts: the account, the counts, the results."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import numpy as np
import psutil
from confluent_kafka import Message
from redis import Redis

from infra.account import Account, read_start, wait_settled
from infra.stack.child import ChildProcess, StackError
from infra.topic_reader import TopicReader
from schemas.dead_letter import decode_dead_letter
from schemas.result import SHARED_COUNTS, result_key
from schemas.stored_results import rejection_in, unpacked
from tests.e2e.system import STILL_SECONDS, System
from tests.faults.layout import lay_out
from tests.faults.load import Appending, Browsers, ids_of, joined, write_told
from tests.faults.oracle import expected, shown
from tests.faults.slow import Relay
from tests.faults.table import Line

Results = dict[str, list[dict[str, Any]]]  # by event id
Load = TypeVar("Load", Appending, Browsers)
PROCESS = Path(__file__).with_name("process.py")
EPOCH_SECONDS = "0.5"
PATIENT = "5000"  # ms: a busy machine is no reason to go on without shared counts; a store that is away refuses at once
SECONDS = 180.0  # only where a machine is very busy
KEPT_LOGS = Path(__file__).parents[2] / "build" / "faults"
_SHOWN = "SELECT lower(hex(event_id)), decision, round(score, 3) FROM events FINAL"
_OWN = {"ledger"}  # what a second result of an event may show otherwise than the first


@dataclass(frozen=True, slots=True)
class Form:
    """How much is done: the same faults in both forms."""

    name: str
    kills: int  # of the flow
    kills_of_a_part: int  # of each other process; a supervisor restarts it at most five times in five minutes
    away_seconds: float
    events: int  # of a usual load


SHORT = Form("short", 2, 1, 2.0, 150)
WHOLE = Form("whole", 20, 3, 20.0, 600)
FORMS = {form.name: form for form in (SHORT, WHOLE)}


class World:
    """The stack, the ingest tier and the flow, which reaches ClickHouse through a relay."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.folder = Path(tempfile.mkdtemp(prefix="clickgoose-faults-"))
        self.system = System(self.folder)
        self.faults_of_ingest = self.folder / "ingest.faults"
        self.faults_of_flow = self.folder / "flow.faults"
        self._closing = ExitStack()
        self._turns = itertools.count()

    def __enter__(self) -> Self:
        """Start everything."""
        with ExitStack() as closing:
            closing.callback(shutil.rmtree, self.folder, ignore_errors=True)
            closing.enter_context(self.system)
            port = urlsplit(self.system.stack.clickhouse_url).port
            assert port is not None
            self.relay = closing.enter_context(Relay(port))
            self.start_ingest()
            self.start_flow()
            self._closing = closing.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything."""
        self._closing.close()

    def child(self, name: str) -> ChildProcess:
        """Return a running process by its name: kafka, redis, clickhouse, ingest, flow."""
        return self.system.stack.child(name)

    def start_flow(self, **more: Any) -> ChildProcess:
        """Start the flow, and return once it reads."""
        url = self.system.stack.clickhouse_url
        port = urlsplit(url).port
        env = {
            "CLICKGOOSE_FLOW__EPOCH_SECONDS": EPOCH_SECONDS,
            "CLICKGOOSE_CLICKHOUSE__URL": url.replace(f":{port}/", f":{self.relay.port}/"),
            "CLICKGOOSE_REDIS__SHARED_TIMEOUT_MS": PATIENT,
            "FAULTS_FILE": str(self.faults_of_flow),
        }
        return self.system.start_flow(PROCESS, **(env | more))

    def start_ingest(self, **more: Any) -> None:
        """Start the ingest tier, and return once it serves, at the same address as before."""
        env = {"FAULTS_FILE": str(self.faults_of_ingest), "CLICKGOOSE_INGEST__PRODUCE_TIMEOUT_MS": "1000"}
        self.url = self.system.start_ingest(PROCESS, True, **more, **env)

    def end(self, name: str) -> None:
        """Drain and stop the ingest tier or the flow, as SIGTERM does."""
        self.system.stack.remove(self.child(name))

    def kill(self, name: str) -> None:
        """kill -9 the ingest tier or the flow."""
        child = self.child(name)
        child.kill()
        self.system.stack.remove(child)

    def fail(self, process: str, **wanted: int) -> None:
        """Say what is wrong in a process from now on (``tests/faults/process.py``), and wait until it is."""
        obeyed = self._order(process, wanted)
        _wait(lambda: obeyed.exists() or not self.child(process).running, SECONDS, f"{process} did not obey {wanted}")

    def _order(self, process: str, wanted: Mapping[str, int]) -> Path:
        """Say what is wrong in a process from now on; return the file that is there once it is."""
        file = {"ingest": self.faults_of_ingest, "flow": self.faults_of_flow}[process]
        fresh, turn = file.with_suffix(".new"), next(self._turns)
        fresh.write_text(json.dumps({**wanted, "turn": turn}), "utf-8")
        fresh.replace(file)
        return file.with_name(f"{file.name}.{turn}")

    def mend(self) -> None:
        """End all faults, and lay the state out for one process: after a test that failed."""
        self.relay.hold_seconds = 0.0
        for process in ("ingest", "flow"):
            self._order(process, {})
            with suppress(StackError):
                self.kill(process)
        self.rebalance(1)
        self.start_ingest()
        self.start_flow()

    def rebalance(self, processes: int) -> list[int]:
        """Lay the state of a flow that has ended out for so many processes; return the partitions that moved."""
        return lay_out(self.system.stack.home / "flow", processes)

    def log(self, name: str) -> str:
        """Return what a process has logged so far."""
        return self.system.stack.log(name).read_text("utf-8", "replace")

    def keep_logs(self, name: str) -> None:
        """Copy what all processes have logged to where it outlives the system."""
        kept = KEPT_LOGS / re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        shutil.copytree(self.system.stack.home / "logs", kept, dirs_exist_ok=True)

    def memory(self, name: str) -> int:
        """Return the resident bytes of a process."""
        return int(psutil.Process(self.child(name).pid).memory_info().rss)


@dataclass(frozen=True, slots=True)
class Shown:
    """A record of ``events.scored``: when it was appended, and the place of its raw record."""

    at_ms: int
    place: tuple[int, int]
    result: dict[str, Any]

    @classmethod
    def of(cls, record: Message) -> Shown:
        """Return what a record shows."""
        result = json.loads(record.value() or b"")
        return cls(record.timestamp()[1], (result["origin"]["partition"], result["origin"]["offset"]), result)


@dataclass
class Case:
    """One fault: the loads that went through it, and what must be true once it is over."""

    world: World
    name: str
    random: Random = field(init=False)
    loads: list[Appending | Browsers] = field(default_factory=list)
    offered: int = 0
    line: Line | None = None

    def __post_init__(self) -> None:
        self.random = Random(self.name)
        bootstrap = self.world.system.stack.bootstrap
        self.start = read_start(bootstrap)
        self._reader = TopicReader(bootstrap, "events.scored", self.start["events.scored"])
        self._scored: list[Shown] = []
        self.flow_log = len(self.world.log("flow"))
        self.ingest_log = len(self.world.log("ingest"))

    def append(self, events: int | None = None, seconds: float = 0.0, part: str = "") -> Appending:
        """Begin to append a load to ``events.raw``, spread over about so many seconds."""
        events = events or self.world.form.events
        return self._begin(Appending(self.world.system, f"{self.name} {part}", events, seconds / events))

    def browse(self, events: int | None = None, seconds: float = 0.0, part: str = "", clock_ms: int = 0) -> Browsers:
        """Begin to send a load through the ingest tier, spread over at least so many seconds."""
        events = events or self.world.form.events
        name = f"{self.name} {part}"
        return self._begin(Browsers(self.world.system, self.world.url, name, events, seconds / events, clock_ms))

    def _begin(self, load: Load) -> Load:
        self.offered += load.offered
        self.loads.append(load)
        return load

    def results_of(self, *loads: Appending | Browsers) -> dict[str, dict[str, Any]]:
        """Return the results in ``events.scored`` of loads, by event id."""
        ids = {name for load in loads for name in ids_of(load)}
        return {one.result["event_id"]: one.result for one in self._shown() if one.result["event_id"] in ids}

    def _shown(self) -> list[Shown]:
        """Return what ``events.scored`` holds of the case; what was read before is not read again."""
        self._reader.read(lambda records: self._scored.extend(map(Shown.of, records)))
        return self._scored

    def wait_for_scores(self, *loads: Appending | Browsers, seconds: float = SECONDS) -> None:
        """Return once every event of some loads is in ``events.scored``."""
        due = sum(load.events for load in loads)
        _wait(lambda: len(self.results_of(*loads)) >= due, seconds, "not every event was scored")

    def wait_for_clickhouse(self, *loads: Appending | Browsers, seconds: float = SECONDS) -> None:
        """Return once ClickHouse shows every event of some loads."""
        due = {name for load in loads for name in ids_of(load)}
        _wait(lambda: due <= self._in_clickhouse().keys(), seconds, "not every event is in ClickHouse")

    def degraded(self, *loads: Appending | Browsers) -> int:
        """Return how many results of some loads say that the counts of what devices share are not known."""
        return sum(SHARED_COUNTS in result["degraded"] for result in self.results_of(*loads).values())

    def latency_ms(self, load: Appending | Browsers) -> float:
        """Return the 99th percentile of a load's time from the raw record to its result in ``events.scored``."""
        raw = {_place(record): record.timestamp()[1] for record in self._since("events.raw")}
        ids = ids_of(load)
        found = [one.at_ms - raw[one.place] for one in self._shown() if one.result["event_id"] in ids]
        assert found, "the load has no results"
        return float(np.percentile(found, 99))

    def wait_for_results(self, more: int = 1, seconds: float = SECONDS) -> None:
        """Return once ``events.scored`` has so many more records."""
        self.world.system.wait_for_more("events.scored", more, seconds)

    def said_by(self, name: str) -> str:
        """Return what the flow or the ingest tier has logged since the case began."""
        return self.world.log(name)[{"flow": self.flow_log, "ingest": self.ingest_log}[name] :]

    def wait_until_said(self, name: str, *sentences: str, seconds: float = SECONDS) -> None:
        """Return once the flow or the ingest tier has logged one of some sentences since the case began."""
        _wait(lambda: any(one in self.said_by(name) for one in sentences), seconds, f"{name} did not say {sentences}")

    def settle(self, seconds: float = 2 * SECONDS, dead: Mapping[str, int] | None = None) -> Account:
        """Wait for the loads and the account, assert all that is promised, and note the table's line.

        ``dead`` gives how many events must have died, by reason.
        """
        with joined(*self.loads):
            pass
        over = time.monotonic()
        browsers = [load for load in self.loads if isinstance(load, Browsers)]
        told = write_told(self.world.folder / "told.hex", browsers)
        account = wait_settled(self.world.system.stack.settings, self.start, seconds, told, still_seconds=STILL_SECONDS)
        recovery = time.monotonic() - over
        self.line = Line(
            self.name, self.offered, account.accepted, account.scored, account.dead_lettered, account.deduplicated,
            account.lost, account.duplicated_for_users, round(recovery, 1),
        )  # fmt: skip
        assert account.problems == []
        assert account.waiting == {}
        assert account.accepted == account.scored + account.dead_lettered + account.deduplicated
        assert (account.lost, account.duplicated_for_users) == (0, 0)
        assert account.dead_by_reason == (dead or {})
        assert account.accepted >= self.offered
        self._check_results()
        return account

    def close(self) -> None:
        """Let go of what reads results."""
        self._reader.close()

    def _check_results(self) -> None:
        """Every event has one result wherever users look, and its counts are the oracle's."""
        system = self.world.system
        raw = system.records("events.raw", self.start["events.raw"])
        letters = [decode_dead_letter(record.value() or b"") for record in self._since("events.dead_letter")]
        dead = frozenset((one.partition, one.offset) for one in letters if not one.reason.startswith("sink."))
        due = expected(raw, dead)
        said = self._results(due)
        assert due.keys() == said.keys()
        wrong = {name: (found, due[name]) for name, one in said.items() if (found := shown(one[0])) != due[name]}
        assert not wrong, (
            f"{len(wrong)} of {len(due)} events have other counts than the oracle: {list(wrong.items())[:2]}"
        )
        self._check_redis(said)
        self._check_clickhouse(said)

    def _since(self, topic: str) -> list[Message]:
        return self.world.system.records(topic, self.start[topic])

    def _results(self, due: Mapping[str, Any]) -> Results:
        """Return the different results of each event in ``events.scored``: one, or a degraded one beside a full one.

        An event that is scored again while the store of shared counts is away, or was when it came first, has another
        result: the first stands, and it says that it is degraded, or the other does.
        """
        said: Results = {name: [] for name in due}
        for one in self._shown():
            result = {key: value for key, value in one.result.items() if key not in _OWN}
            known = said.get(result["event_id"])  # None: of an earlier case, written again
            if known is not None and result not in known:
                known.append(result)
        for name, results in said.items():
            whole = [result for result in results if SHARED_COUNTS not in result["degraded"]]
            assert len(whole) <= 1 and len(results) <= 2, f"{name} has different results: {_differing(results)}"
        return {name: results for name, results in said.items() if results}

    def _check_redis(self, said: Results) -> None:
        names = list(said)
        with Redis.from_url(self.world.system.stack.redis_url) as client:
            values = client.mget([result_key(said[name][0]["merchant"], name) for name in names])
        for name, value in zip(names, values, strict=True):
            assert value is not None and rejection_in(value) is None, f"Redis has no result of {name}"
            assert _said(unpacked(value)) in said[name], f"Redis shows another result of {name} than events.scored"

    def _check_clickhouse(self, said: Results) -> None:
        found = self._in_clickhouse()
        missing = said.keys() - found.keys()
        assert not missing, f"ClickHouse lacks {len(missing)} events"
        wrong = [name for name, results in said.items() if not any(_shows(found[name], one) for one in results)]
        assert not wrong, f"ClickHouse shows other results of {len(wrong)} events than events.scored"

    def _in_clickhouse(self) -> dict[str, tuple[str, float]]:
        """Return decision and score of the case's events, by event id."""
        starts = " OR ".join(f'(partition = {p} AND "offset" >= {at})' for p, at in self.start["events.raw"].items())
        rows = self.world.system.clickhouse(f"{_SHOWN} WHERE {starts}")
        found = {name: (decision, score) for name, decision, score in rows}
        assert len(rows) == len(found), "ClickHouse shows an event twice"
        return found


def _wait(true: Callable[[], bool], seconds: float, otherwise: str) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"{otherwise} within {seconds} s"
        time.sleep(0.1)


def _said(value: bytes) -> dict[str, Any]:
    """Return what a result says, but for what is each writing's own."""
    return {key: one for key, one in json.loads(value).items() if key not in _OWN}


def _differing(results: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    return {
        key: [one.get(key) for one in results]
        for key in results[0]
        if any(one.get(key) != results[0][key] for one in results)
    }


def _shows(row: tuple[str, float], result: Mapping[str, Any]) -> bool:
    return row[0] == result["decision"] and abs(row[1] - result["score"]) < 0.01


def _place(record: Message) -> tuple[int, int]:
    return record.partition() or 0, record.offset() or 0


@contextmanager
def case(world: World, name: str, note: Any) -> Iterator[Case]:
    """Run one fault; its line is noted also where an assertion fails, and the next one finds everything running.

    Where one fails, the logs of all processes are kept under ``build/faults``.
    """
    one = Case(world, name)
    try:
        yield one
    except BaseException:
        world.keep_logs(name)
        world.mend()
        raise
    finally:
        for load in one.loads:
            load.thread.join()
        one.close()
        if one.line is not None:
            note("fault", asdict(one.line))
