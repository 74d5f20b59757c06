"""A real stack of a benchmark's own: Kafka, Valkey, ClickHouse, and the flow and the ingest tier as users start them.

    with Rig(keys) as rig:
        rig.flow()
        before = rig.cpu()
        ...
        spent = rig.cpu_since(before)       # processor seconds of each part, its children included

Everything lies in a directory that goes away.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple
from urllib.request import urlopen

import psutil
from clickhouse_driver import Client
from redis import Redis

from infra.bench.measure import RowsLost
from infra.clickhouse.migrate import migrate
from infra.cores import listed
from infra.settings import Settings
from infra.stack.child import ChildProcess
from infra.stack.local import LocalStack
from schemas.keys import KeyRing

_READY_SECONDS: Final = 120.0
_PARTS: Final = ("kafka", "redis", "clickhouse")


class Cores(NamedTuple):
    """How the cores are divided: the flow and Valkey have the first, all else the others."""

    flow: tuple[int, ...]
    others: tuple[int, ...]

    def stack(self) -> dict[str, str]:
        """Return the settings of the stack's parts."""
        others = listed(self.others)
        return {"redis_cores": listed(self.flow), "kafka_cores": others, "clickhouse_cores": others}


def divided_cores() -> Cores | None:
    """Return the cores of this process divided; None where there is but one."""
    first, *others = sorted(os.sched_getaffinity(0))
    return Cores((first,), tuple(others)) if others else None


class Rig:
    """The stack and what was started on it. ``keys`` open the events that are measured with.

    ``settings`` are those of the processes that are started on the stack, ``partitions`` those of its topics. Unless
    ``cores`` divides them, every part may run on every core.
    """

    def __init__(
        self,
        keys: KeyRing,
        settings: Mapping[str, str] | None = None,
        *,
        partitions: int | None = None,
        cores: Cores | None = None,
    ) -> None:
        self.keys, self._settings, self.cores = keys, dict(settings or {}), cores
        self._of_stack: dict[str, dict[str, object]] = {}
        self.partitions = partitions or Settings().kafka.partitions
        if partitions is not None:
            self._settings["CLICKGOOSE_KAFKA__PARTITIONS"] = str(partitions)
            self._of_stack["kafka"] = {"partitions": partitions}
        if cores is not None:
            self._settings["CLICKGOOSE_FLOW__CORES"] = listed(cores.flow)
            self._of_stack["stack"] = dict(cores.stack())
        self._closing = ExitStack()
        self._children: dict[str, ChildProcess] = {}

    def __enter__(self) -> Rig:
        try:
            self._folder = Path(self._closing.enter_context(tempfile.TemporaryDirectory(prefix="clickgoose-bench-")))
            self.stack = LocalStack(self._folder / "home", say=lambda sentence: None, **self._of_stack)
            self.stack.start()
            self._closing.callback(self.stack.stop)
            migrate(self.stack.clickhouse_url)
        except BaseException:
            self._closing.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    @property
    def env(self) -> dict[str, str]:
        """Return the environment of a process on this stack."""
        masters = json.dumps({number: master.hex() for number, master in self.keys.masters.items()})
        return {**self.stack.env(), "CLICKGOOSE_MASTER_KEYS": masters, **self._settings}

    def flow(self, processes: int = 1) -> ChildProcess:
        """Start the flow, unless it runs, and wait until it reads."""
        if "flow" in self._children:
            return self._children["flow"]
        return self._start("flow", "flow", "run", "--processes", str(processes), "--ready-file", str(self.file("flow")))

    def ingest(self, name: str = "ingest") -> str:
        """Start a process of the ingest tier and return its address."""
        spool = self._folder / f"{name}.spool"
        if name not in self._children:
            self._start(
                name, "ingest", "serve", "--port", "0", "--port-file", str(self.file(name)), "--spool", str(spool)
            )  # fmt: skip
        return self.file(name).read_text("utf-8").strip()

    def bare(self) -> str:
        """Start a bare FastAPI endpoint beside it and return its address."""
        self._run("bare", "infra.bench.bare", str(self.file("bare")))
        return self.file("bare").read_text("utf-8").strip()

    @property
    def api_key(self) -> str:
        """Return the API key of a merchant's server."""
        if self.stack.secrets is None:
            raise AssertionError("the stack has started")
        return self.stack.secrets.api_key()

    def _start(self, name: str, *words: str) -> ChildProcess:
        return self._run(name, "infra.cli", *words)

    def _run(self, name: str, module: str, *words: str) -> ChildProcess:
        child = ChildProcess(
            name,
            [sys.executable, "-m", module, *words],
            log=self.stack.log(name),
            env=self.env,
            grace=40.0,
            probe=self.file(name).exists,
        )
        child.start()
        self._closing.callback(child.stop)
        child.wait_ready(_READY_SECONDS)
        self._children[name] = child
        return child

    def file(self, name: str) -> Path:
        """Return what a process writes once it serves: the metrics ports of a flow, the address of an ingest tier."""
        return self._folder / f"{name}.ready"

    def figure(self, series: str, *labels: str) -> float:
        """Return the sum of a metric's series in the flow's processes that have all of the labels."""
        found = 0.0
        for port in self.file("flow").read_text("ascii").split():
            try:
                with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
                    lines = answer.read().decode().splitlines()
            except OSError as error:
                why = self._children["flow"].hint()
                raise RowsLost(f"the flow does not answer ({type(error).__name__}). {why}") from None
            wanted = [line for line in lines if line.startswith(series) and all(label in line for label in labels)]
            found += sum(float(line.rsplit(" ", 1)[1]) for line in wanted)
        return found

    def batch_mean(self) -> float:
        """Return how many rows a batch of the flow had in the mean."""
        count, rows = self.figure("clickgoose_batch_rows_count"), self.figure("clickgoose_batch_rows_sum")
        return round(rows / max(count, 1.0), 1)

    def cpu(self) -> dict[str, float]:
        """Return the processor seconds of each part so far; ``load`` is this process."""
        spent = {name: _seconds(family) for name, family in self._families().items()}
        own = psutil.Process().cpu_times()
        return {**spent, "load": own.user + own.system}

    def cpu_since(self, before: Mapping[str, float]) -> dict[str, float]:
        """Return what each part has spent since."""
        return {name: spent - before.get(name, 0.0) for name, spent in self.cpu().items()}

    def rss_mb(self, name: str) -> float:
        """Return the resident memory of a part now, in MiB."""
        family = [psutil.Process()] if name == "load" else self._families()[name]
        return round(sum(one.memory_info().rss for one in family) / 2**20, 1)

    def _families(self) -> dict[str, list[psutil.Process]]:
        parts = {name: self.stack.child(name) for name in _PARTS} | self._children
        mains = {name: psutil.Process(child.pid or 0) for name, child in parts.items()}
        return {name: [main, *main.children(recursive=True)] for name, main in mains.items()}

    def asked(self, query: str) -> int:
        """Return the number that ClickHouse answers."""
        client = Client.from_url(self.stack.clickhouse_url)
        try:
            return int(client.execute(query)[0][0])
        finally:
            client.disconnect()

    def count_keys(self, pattern: str) -> int:
        """Return how many keys of a form Redis holds."""
        with Redis.from_url(self.stack.redis_url) as client:
            return sum(1 for _ in client.scan_iter(pattern, count=10_000))

    def ended(self) -> list[str]:
        """Return who no longer runs."""
        return [name for name, child in self._children.items() if not child.running]


def _seconds(family: Sequence[psutil.Process]) -> float:
    """Return what processes have spent; what children had that have ended, their parents know."""
    spent = 0.0
    for one in family:
        with suppress(psutil.NoSuchProcess):  # a child that ends meanwhile
            times = one.cpu_times()
            spent += times.user + times.system + times.children_user + times.children_system
    return spent
