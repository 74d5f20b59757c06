"""The local stack in one object, for the command line, ``make run`` and the tests alike.

    with LocalStack(home) as stack:
        stack.bootstrap, stack.clickhouse_url, stack.redis_url     # addresses
        stack.settings                                             # Settings with those addresses
        stack.add(ChildProcess("ingest", [...], log=stack.log("ingest"), probe=...), ready_seconds=30)

The parts are children of the calling process and die with it.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from confluent_kafka import KafkaException

from infra.settings import Settings
from infra.stack import probes
from infra.stack.child import ChildProcess, StackError
from infra.stack.files import need_space, told_plainly, write_atomically
from infra.stack.home import Holder, HomeLock
from infra.stack.parts import BUILDERS, Part, Site
from infra.stack.ports import HOST, Ports, is_free
from infra.stack.secrets import Secrets, certificate_paths, ensure_secrets, merchants_path
from infra.stack.watch import Watch
from infra.topics import ensure_topics

Say = Callable[[str], None]
_ATTEMPTS = 3
_EXTERNAL_SECONDS = 10.0
_LEAST_FREE_MIB = 256


def say_on_stderr(sentence: str) -> None:
    """Tell progress where it does not mix with results."""
    sys.stderr.write(sentence + "\n")


class LocalStack:
    """Kafka, Valkey and the ClickHouse engine of one home."""

    def __init__(self, home: Path, *, say: Say = say_on_stderr, **overrides: Any) -> None:
        """Overrides are settings by section, as ``stack={"kafka": "tansu"}``."""
        self.home = home.absolute()
        self._say, self._overrides = say, overrides
        self._lock = HomeLock(self.home)
        self._parts: dict[str, Part] = {}
        self._extra: list[ChildProcess] = []
        self._cancel = threading.Event()
        self._watch = Watch(say, self._publish)
        self._inputs: Settings | None = None
        self._started_at = ""
        self.secrets: Secrets | None = None

    def __enter__(self) -> LocalStack:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and return when all parts answer; on failure nothing stays behind."""
        self._lock.take()
        try:
            with told_plainly(self.home):
                self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        """Start the parts side by side."""
        need_space(self.home, _LEAST_FREE_MIB)
        self._state.unlink(missing_ok=True)
        self._inputs = Settings(home=self.home, **self._overrides)
        self.secrets = ensure_secrets(self.home)
        site = Site(self.home, self._inputs, self.secrets, Ports(self.home / "ports.json"), self._say, self._cancel)
        with ThreadPoolExecutor(len(BUILDERS)) as pool:
            started = [pool.submit(self._start_part, name, site) for name in BUILDERS]
            failed = [one for one in wait(started, return_when=FIRST_EXCEPTION).done if one.exception() is not None]
            if failed:  # what the others have yet to do is of no use
                self._cancel.set()
        if failed:
            failed[0].result()
        try:
            said = ensure_topics(self.bootstrap, self._inputs.kafka)
        except KafkaException as error:
            why = error.args[0].str()
            raise StackError(
                f"Kafka at {self.bootstrap} did not take the topics: {why}; see {self.log('kafka')}."
            ) from error
        for sentence in said:
            self._say(sentence)
        self._ingest_port = self._inputs.ingest.port or site.ports.choose("ingest")
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._publish()
        self._watch.start()

    def _start_part(self, name: str, site: Site) -> None:
        """Start one part; if somebody took its port in between, take another."""
        for attempt in range(_ATTEMPTS):
            part = BUILDERS[name](site)
            self._parts[name] = part
            if part.child is None:
                self._await_external(part)
                return
            try:
                part.child.start()
                part.child.wait_ready(site.settings.stack.ready_seconds, self._cancel)
            except StackError:
                part.child.stop()
                if attempt + 1 == _ATTEMPTS or is_free(part.child.port or 0):
                    raise
                continue
            self._watch.add(part.child, site.settings.stack.ready_seconds)
            return

    @staticmethod
    def _await_external(part: Part) -> None:
        """Give somebody else's part a little time to answer."""
        end = time.monotonic() + _EXTERNAL_SECONDS
        while not probes.PROBES[part.name](part.address):
            if time.monotonic() > end:
                raise StackError(
                    f"{part.name} at {mask(part.address)} does not answer within {_EXTERNAL_SECONDS:.0f} s."
                )
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop what was started, last first, each within bounded time. Harmless if nothing runs."""
        if not self._lock.held:
            return
        self._watch.stop()
        with contextlib.suppress(OSError):
            self._state.unlink(missing_ok=True)
        order = [*reversed(self._extra), *(self._child(name) for name in ("clickhouse", "redis", "kafka"))]
        for child in order:
            if child is not None:
                child.stop()
        self._lock.release()

    def cancel(self) -> None:
        """Make a start that goes on in another thread give up soon."""
        self._cancel.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the stack cannot go on; false if the time was over first."""
        return self._watch.over.wait(seconds)

    @property
    def failed(self) -> str | None:
        """Why the stack cannot go on, in one sentence; nothing as long as it can."""
        return self._watch.failed

    def add(self, child: ChildProcess, ready_seconds: float = 30.0, restart: bool = True) -> ChildProcess:
        """Start a further process, wait until it is ready, and look after it with the others."""
        self._extra.append(child)
        child.start()
        child.wait_ready(ready_seconds)
        if restart:
            self._watch.add(child, ready_seconds)
        self._publish()
        return child

    def remove(self, child: ChildProcess) -> None:
        """Stop a process that was added."""
        self._watch.remove(child)
        child.stop()
        self._extra = [other for other in self._extra if other is not child]
        self._publish()

    def child(self, name: str) -> ChildProcess:
        """Return the process of a part or an added one by its name."""
        found = self._child(name) or next((child for child in self._extra if child.name == name), None)
        if found is None:
            raise StackError(f"The stack runs no process named {name}.")
        return found

    def _child(self, name: str) -> ChildProcess | None:
        part = self._parts.get(name)
        return part.child if part else None

    def log(self, name: str) -> Path:
        """Return where the log of a process belongs."""
        return self.home / "logs" / f"{name}.log"

    @property
    def bootstrap(self) -> str:
        """Kafka's address."""
        return self._parts["kafka"].address

    @property
    def clickhouse_url(self) -> str:
        """ClickHouse's address, with the password."""
        return self._parts["clickhouse"].address

    @property
    def redis_url(self) -> str:
        """Valkey's address, with the password."""
        return self._parts["redis"].address

    @property
    def settings(self) -> Settings:
        """The settings that any process of this home reads now."""
        return Settings(home=self.home)

    def env(self) -> dict[str, str]:
        """Return what a child process needs in its environment to find this stack."""
        return {"CLICKGOOSE_HOME": str(self.home), "PYTHONPATH": str(Path(__file__).parent.parent.parent)}

    @property
    def _state(self) -> Path:
        return self.home / "stack.json"

    def _publish(self) -> None:
        """Tell other processes where everything is."""
        me = Holder.of_this_process()
        children = [part.child for part in self._parts.values() if part.child] + self._extra
        state = {
            "pid": me.pid,
            "created": me.created,
            "started_at": self._started_at,
            "settings": self._published_settings(),
            "parts": {name: {"kind": part.kind} for name, part in self._parts.items()},
            "processes": {
                child.name: {"pid": child.pid, "port": child.port, "log": str(child.log)} for child in children
            },
        }
        write_atomically(self._state, json.dumps(state, indent=1))

    def _published_settings(self) -> dict[str, Any]:
        """Return the settings that come from the running stack; secrets stay where they are."""
        certificate, key = certificate_paths(self.home)
        inputs = self._inputs
        scheme = "https" if inputs is None or inputs.ingest.tls else "http"
        return {
            "kafka": {"bootstrap": self.bootstrap},
            "clickhouse": {"url": self.clickhouse_url},
            "redis": {"url": self.redis_url},
            "ingest": {
                "port": self._ingest_port,
                "url": f"{scheme}://{HOST}:{self._ingest_port}",
                "tls_certificate": str(certificate),
                "tls_key": str(key),
            },
            "merchants_file": str(merchants_path(self.home)),
        }


def mask(address: str) -> str:
    """Hide the password of an address."""
    scheme, mark, rest = address.partition("://")
    credentials, at, host = rest.rpartition("@")
    if not (mark and at):
        return address
    return f"{scheme}://{credentials.split(':')[0]}:***@{host}"
