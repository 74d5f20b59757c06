"""A stack from its first start to its purge: durability, crashes, orphans, and one sentence for each obstacle."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import redis
from clickhouse_driver import Client
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType

from infra.stack.child import ChildProcess, StackError
from infra.stack.home import read_state
from infra.stack.local import LocalStack
from infra.stack.secrets import load_secrets
from infra.topics import RAW, TOPICS, ensure_topics
from tests.stack_fixture import Namespace
from tests.waiting import PATIENCE

pytestmark = pytest.mark.stack
CLI = [sys.executable, "-c", "from infra.cli import main; main()"]


def clickgoose(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CLICKGOOSE_")}
    return subprocess.run(
        [*CLI, *arguments], capture_output=True, text=True, timeout=2 * PATIENCE, env={**clean, **env}, check=False
    )


def until(true: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "not within time"
        time.sleep(0.05)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home that nothing runs in when the test is over."""
    yield tmp_path / "home"
    clickgoose("down", "--home", str(tmp_path / "home"))


def read_all(bootstrap: str, topic: str) -> list[bytes | None]:
    """Return the values of a topic's partition 0."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "g", "enable.auto.commit": False})
    low, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), PATIENCE)
    consumer.assign([TopicPartition(topic, 0, low)])
    found = [message.value() for message in consumer.consume(high - low, PATIENCE)]
    consumer.close()
    return found


def test_a_stack_lives_dies_and_comes_back(home: Path) -> None:
    place = str(home)
    assert clickgoose("up", "--detach", "--home", place).returncode == 0
    state = read_state(home)
    addresses = state["settings"]
    client = Client.from_url(addresses["clickhouse"]["url"])
    client.execute("CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
    client.execute("INSERT INTO t VALUES", [(n,) for n in range(1000)])
    client.disconnect()
    producer = Producer({"bootstrap.servers": addresses["kafka"]["bootstrap"]})
    producer.produce("events.raw", b"kept", partition=0)
    assert producer.flush(PATIENCE) == 0
    with redis.Redis.from_url(addresses["redis"]["url"]) as cache:
        cache.set("kept", "yes")
        time.sleep(1.1)  # Valkey is told to write its file every second

    second = clickgoose("up", "--home", place)
    assert second.returncode == 1 and "already runs" in second.stderr and second.stderr.count("\n") == 1
    status = json.loads(clickgoose("status", "--json", "--home", place).stdout)
    assert status["ready"] and "***" in status["parts"]["redis"]["address"]
    _kill_supervisor_and_see_all_die(state)

    assert clickgoose("up", "--detach", "--home", place).returncode == 0
    again = read_state(home)["settings"]
    assert again == addresses
    client = Client.from_url(again["clickhouse"]["url"])
    assert client.execute("SELECT count(), sum(a) FROM t") == [(1000, 499_500)]
    client.disconnect()
    assert read_all(again["kafka"]["bootstrap"], "events.raw") == [b"kept"]
    with redis.Redis.from_url(again["redis"]["url"]) as cache:
        assert cache.get("kept") == b"yes"

    assert clickgoose("down", "--purge", "--home", place).returncode == 0
    assert not home.exists()
    assert clickgoose("status", "--home", place).returncode == 1


def _kill_supervisor_and_see_all_die(state: dict[str, object]) -> None:
    """Kill the supervisor as a crash would; nothing that it started may live on."""
    supervisor = psutil.Process(state["pid"])
    family = supervisor.children(recursive=True)
    assert len(family) >= 6
    supervisor.kill()
    until(lambda: not any(member.is_running() for member in family))


def test_what_a_child_starts_dies_with_the_supervisor(tmp_path: Path) -> None:
    script = f"""
import sys, time
from pathlib import Path
from infra.stack.child import ChildProcess
nested = "import subprocess as s, time; print(s.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)"
child = ChildProcess("c", [sys.executable, "-c", nested], log=Path({str(tmp_path / "c.log")!r}))
child.start()
print(child.pid, flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    until(lambda: (tmp_path / "c.log").exists() and (tmp_path / "c.log").read_text().strip())
    grandchild = psutil.Process(int((tmp_path / "c.log").read_text()))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until(lambda: not child.is_running() and not grandchild.is_running())


def test_a_child_is_killed_with_its_guard(tmp_path: Path) -> None:
    child = ChildProcess("c", ["sleep", "600"], log=tmp_path / "c.log")
    child.start()
    process = psutil.Process(child.pid)
    process.parent().kill()
    until(lambda: not process.is_running())
    child.stop()


def test_a_child_that_ignores_sigterm_is_killed_in_time(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    log = tmp_path / "c.log"
    child = ChildProcess("c", [sys.executable, "-c", code], log=log, probe=lambda: b"1" in log.read_bytes(), grace=0.3)
    child.start()
    child.wait_ready(PATIENCE)
    before = time.monotonic()
    child.stop()
    assert time.monotonic() - before < 30


def test_a_part_that_crashes_comes_back_with_all_that_was_acknowledged(stack: LocalStack, namespace: Namespace) -> None:
    client = namespace.clickhouse()
    client.execute("CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
    acknowledged = 0
    pid = stack.child("clickhouse").pid
    while acknowledged < 2_000:
        acknowledged += client.execute("INSERT INTO t VALUES", [(n,) for n in range(acknowledged, acknowledged + 100)])
    os.kill(pid or 0, signal.SIGKILL)
    until(lambda: stack.child("clickhouse").pid not in (None, pid) and stack.child("clickhouse").ready())
    found = namespace.clickhouse().execute("SELECT count(), uniqExact(a) FROM t")
    assert found == [(acknowledged, acknowledged)]
    until(lambda: read_state(stack.home)["processes"]["clickhouse"]["pid"] == stack.child("clickhouse").pid)


def test_topics_are_as_the_table_says(stack: LocalStack) -> None:
    assert ensure_topics(stack.bootstrap, stack.settings.kafka) == []
    fewer = stack.settings.kafka.model_copy(update={"partitions": 1})
    said = ensure_topics(stack.bootstrap, fewer)
    assert len(said) == len(TOPICS) and all("cannot lower" in sentence for sentence in said)


def test_raw_events_get_the_brokers_time_also_in_a_topic_that_was_there_before(stack: LocalStack) -> None:
    admin = AdminClient({"bootstrap.servers": stack.bootstrap})
    before = ConfigEntry("message.timestamp.type", "CreateTime", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, RAW, incremental_configs=[before])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(PATIENCE)
    ensure_topics(stack.bootstrap, stack.settings.kafka)
    (described,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, RAW)]).values()
    assert described.result(PATIENCE)["message.timestamp.type"].value == "LogAppendTime"


def test_secrets_stay_private(stack: LocalStack) -> None:
    secrets = load_secrets(stack.home)
    for name in ("secrets.json", "stack.json", "tls/key.pem"):
        assert (stack.home / name).stat().st_mode & 0o077 == 0
    merchants = (stack.home / "merchants.json").read_text()
    published = (stack.home / "stack.json").read_text()
    for secret in (secrets.api_key(), secrets.api_key("other-shop"), secrets.master_keys[1]):
        assert secret not in merchants and secret not in published
    assert stack.settings.master_keys[1].get_secret_value() == secrets.master_keys[1]


def test_a_port_in_use_is_one_sentence(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = clickgoose("up", "--home", str(home), CLICKGOOSE_STACK__REDIS_PORT=port)
    assert said.returncode == 1
    assert said.stderr.splitlines()[-1].startswith(f"error: Port {port} for redis is in use")
    assert "Traceback" not in said.stderr


def test_without_a_jdk(home: Path, tmp_path: Path) -> None:
    bare = {"PATH": str(tmp_path), "JAVA_HOME": ""}
    strict = clickgoose("up", "--detach", "--kafka", "apache", "--home", str(home), **bare)
    assert strict.returncode == 1 and "JDK 17" in strict.stderr
    fallback = clickgoose("up", "--detach", "--home", str(home), **bare)
    assert fallback.returncode == 0, fallback.stderr
    assert "keeps topics in memory only" in fallback.stderr
    assert clickgoose("down", "--home", str(home)).returncode == 0


def test_an_unusable_home_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        said = clickgoose("up", "--home", str(place))
        assert said.returncode == 1 and "not a directory" in said.stderr and said.stderr.count("\n") == 1


def test_an_address_that_does_not_answer_is_one_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.stack.local._EXTERNAL_SECONDS", 0.5)
    stack = LocalStack(home, say=lambda _: None, stack={"kafka": "tansu"}, redis={"url": "redis://127.0.0.1:1/0"})
    with pytest.raises(StackError, match="does not answer"):
        stack.start()
    assert not read_state(home)
    shutil.rmtree(home)
