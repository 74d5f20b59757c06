"""The ingest tier on real Kafka and Valkey: nothing accepted is lost, whatever is away or killed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from redis.asyncio import Redis

from flows.sinks.encoded import EncodedParcel
from flows.sinks.redis_results import RedisResults, connect
from infra.stack.secrets import _ensure_certificate
from ingest_api.app import create_app
from schemas.dead_letter import Reason
from schemas.envelope import ENVELOPE_BYTES
from schemas.result import pending_key, result_key
from tests.ingest_kit import KEYS, Page, bearer, config, event_id, open_page, running
from tests.scored_parcels import encoded_parcel

pytestmark = pytest.mark.stack
TOPIC = "events.raw"
ROOT = Path(__file__).parent.parent.parent
MASTER = "33" * 32


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Tail:
    """Reads what is appended to the topic from now on."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "tail", "enable.auto.commit": False})
        partitions = self._consumer.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
        ends = [TopicPartition(TOPIC, p, self._end(p)) for p in partitions]
        self._consumer.assign(ends)
        self.seen: list[tuple[bytes, bytes]] = []

    def _end(self, partition: int) -> int:
        """Return the end of a partition; a topic that was just made may take a moment to have leaders."""
        deadline = time.monotonic() + 20
        while True:
            try:
                end: int = self._consumer.get_watermark_offsets(TopicPartition(TOPIC, partition), timeout=5)[1]
                return end
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def read(self, wanted: set[str], seconds: float = 20.0) -> list[str]:
        """Return the event ids seen, in order per device, as soon as all wanted ones are there."""
        end = time.monotonic() + seconds
        while not wanted <= set(self.ids()) and time.monotonic() < end:
            for message in self._consumer.consume(500, 0.1):
                assert message.error() is None
                self.seen.append((message.key(), message.value()))
        return self.ids()

    def ids(self) -> list[str]:
        """Return the event ids seen so far."""
        found = []
        for _, value in self.seen:
            at = ENVELOPE_BYTES + value[28] + value[29] + value[30]
            found.append(event_id(value[at:]))
        return found

    def close(self) -> None:
        """Leave."""
        self._consumer.close()


@pytest.fixture
def tail(stack: Any) -> Iterator[Tail]:
    """Return a reader of what follows."""
    reader = Tail(stack.bootstrap)
    yield reader
    reader.close()


@dataclass
class Child:
    """An ingest process as the supervisor starts it."""

    directory: Path
    bootstrap: str
    redis_url: str
    tls: bool = False
    process: subprocess.Popen[bytes] | None = None
    extra: dict[str, str] = field(default_factory=dict)

    def start(self) -> str:
        """Start it; return its URL when it serves."""
        merchants = {
            name: {"name": name, "api_key_sha256": [hashlib.sha256(key.encode()).hexdigest()]}
            for name, key in KEYS.items()
        }
        self.directory.mkdir(exist_ok=True)
        (self.directory / "merchants.json").write_text(json.dumps(merchants))
        port_file = self.directory / "url"
        port_file.unlink(missing_ok=True)
        env = {
            **os.environ,
            "CLICKGOOSE_HOME": str(self.directory),
            "CLICKGOOSE_KAFKA__BOOTSTRAP": self.bootstrap,
            "CLICKGOOSE_REDIS__URL": self.redis_url,
            "CLICKGOOSE_MASTER_KEYS": json.dumps({"1": MASTER}),
            "CLICKGOOSE_MERCHANTS_FILE": str(self.directory / "merchants.json"),
            "CLICKGOOSE_INGEST__TLS": str(self.tls).lower(),
            "CLICKGOOSE_INGEST__PRODUCE_TIMEOUT_MS": "1000",
            **self.extra,
        }
        command = "from infra.cli import main; main()"
        argv = [sys.executable, "-c", command, "ingest", "serve", "--port", "0", "--port-file", str(port_file)]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, env=env, cwd=ROOT, stdout=log, stderr=log)
        end = time.monotonic() + 30
        while not port_file.exists():
            assert self.process.poll() is None and time.monotonic() < end, (self.directory / "log").read_text()
            time.sleep(0.05)
        return port_file.read_text().strip()

    def end(self, how: signal.Signals) -> int:
        """Send a signal and return the exit code."""
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(20)


@contextlib.contextmanager
def child(directory: Path, bootstrap: str, redis_url: str, **changes: Any) -> Iterator[Child]:
    """Return a process that is gone afterwards."""
    one = Child(directory / "home", bootstrap, redis_url, **changes)
    try:
        yield one
    finally:
        if one.process is not None and one.process.poll() is None:
            one.process.kill()
            one.process.wait(10)


@contextlib.asynccontextmanager
async def in_process(tmp_path: Path, stack: Any, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Serve a tier in this process, on the real parts."""
    changes = {"bootstrap": stack.bootstrap, "redis_url": stack.redis_url, **changes}
    async with running(create_app(config(tmp_path, **changes))) as client:
        yield client


async def send_all(page: Page, events: list[bytes]) -> set[str]:
    """Send events one by one; return their reasons."""
    reasons = set()
    for sealed in events:
        answer = await page.send(sealed)
        assert answer.status_code == 200, answer.text
        reasons |= {one["reason"] for one in answer.json()["results"]}
    return reasons


async def test_what_is_acknowledged_is_in_kafka_once_and_in_order(tmp_path: Path, stack: Any, tail: Tail) -> None:
    # A patient producer: on a busy machine Kafka may take longer than two seconds, and the spool would step in.
    async with in_process(tmp_path, stack, produce_timeout_ms=30_000) as client:
        page = await open_page(client)
        sent = [page.event(os.urandom(2_000)) for _ in range(40)]
        assert (await client.get("/readyz")).json() == {"status": "ready", "kafka": "ok", "spool": "ok", "redis": "ok"}
        answer = await page.send(*sent)
        assert {one["reason"] for one in answer.json()["results"]} == {"appended"}
        wanted = [event_id(one) for one in sent]
        assert await asyncio.to_thread(tail.read, set(wanted)) == wanted
        assert {key for key, _ in tail.seen} == {page.device_id}


async def test_the_mark_expires_and_scores_stay_with_their_tenant(tmp_path: Path, stack: Any) -> None:
    async with in_process(tmp_path, stack) as client, Redis.from_url(stack.redis_url) as redis:
        page = await open_page(client)
        sealed = page.event()
        await page.send(sealed)
        name = event_id(sealed)
        assert 0 < await redis.ttl(pending_key("demo-shop", name)) <= 120
        path = f"/v1/events/{name}/score"
        assert (await client.get(path, headers=bearer(KEYS["demo-shop"]))).status_code == 202
        await redis.set(result_key("demo-shop", name), b'{"score":1}', ex=60)
        assert (await client.get(path, headers=bearer(KEYS["demo-shop"]))).content == b'{"score":1}'
        theirs = await client.get(path, headers=bearer(KEYS["other-shop"]))
        nothing = await client.get(f"/v1/events/{os.urandom(16).hex()}/score", headers=bearer(KEYS["other-shop"]))
        assert (theirs.status_code, theirs.content) == (nothing.status_code, nothing.content)
        assert theirs.status_code == 404


def dead_lettered(merchant: str, name: str) -> EncodedParcel:
    """Return a parcel that holds nothing but the letter of one event."""
    item = encoded_parcel(0, dead=1)
    letter = replace(item.parcel.errs[0], merchant=merchant, event_id=name, reason=Reason.NOT_AUTHENTIC)
    return replace(item, parcel=replace(item.parcel, errs=(letter,)))


async def test_a_dead_lettered_event_is_rejected_until_its_result_is_there(tmp_path: Path, stack: Any) -> None:
    async with in_process(tmp_path, stack) as client:
        sink = RedisResults(connect(stack.redis_url), 60)
        page = await open_page(client)
        sealed = page.event(b"no event at all")
        await page.send(sealed)
        name = event_id(sealed)
        path = f"/v1/events/{name}/score"
        poll = asyncio.create_task(client.get(path + "?wait=10", headers=bearer(KEYS["demo-shop"])))
        await asyncio.sleep(0.05)
        assert not poll.done()
        await asyncio.to_thread(sink.write, [dead_lettered("demo-shop", name)])
        answer = await asyncio.wait_for(poll, 5)
        assert answer.status_code == 200
        assert answer.json() == {"event_id": name, "status": "rejected", "reason": "decode.not_authentic"}
        sink.close()


async def test_a_long_poll_wakes_within_20_ms_of_the_write(tmp_path: Path, stack: Any) -> None:
    async with in_process(tmp_path, stack) as client, Redis.from_url(stack.redis_url) as redis:
        delays = []
        for _ in range(9):
            name = os.urandom(16).hex()
            path = f"/v1/events/{name}/score?wait=10"
            poll = asyncio.create_task(client.get(path, headers=bearer(KEYS["demo-shop"])))
            await asyncio.sleep(0.05)
            await redis.set(result_key("demo-shop", name), b"{}", ex=60)
            written = time.perf_counter()
            assert (await poll).status_code == 200
            delays.append(time.perf_counter() - written)
        assert sorted(delays)[4] < 0.020, delays


async def test_limits_are_shared_by_all_processes_through_redis(tmp_path: Path, stack: Any) -> None:
    limit = {"session_events_per_minute": 10}
    async with in_process(tmp_path / "a", stack, **limit) as one, in_process(tmp_path / "b", stack, **limit) as two:
        page = await open_page(one)
        twin = Page(two, page.opened, page.device_id)
        assert (await page.send(*(page.event() for _ in range(6)))).status_code == 200
        refused = await twin.send(*(page.event() for _ in range(6)))
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60


async def test_a_hanging_kafka_is_bridged_by_the_spool(tmp_path: Path, stack: Any, tail: Tail) -> None:
    pid = stack.child("kafka").pid
    async with in_process(tmp_path, stack) as client:
        page = await open_page(client)
        sent = [page.event() for _ in range(12)]
        assert await send_all(page, sent[:4]) == {"appended"}
        os.kill(pid, signal.SIGSTOP)
        try:
            assert await send_all(page, sent[4:8]) == {"spooled"}
            ready = (await client.get("/readyz")).json()
            assert (ready["status"], ready["kafka"], ready["spool"]) == ("degraded", "away", "ok")
        finally:
            os.kill(pid, signal.SIGCONT)
        await send_all(page, sent[8:])
        wanted = [event_id(one) for one in sent]
        seen = await asyncio.to_thread(tail.read, set(wanted))
        assert list(dict.fromkeys(seen)) == wanted  # a record may come twice, never out of order
        for _ in range(200):
            if await send_all(page, [page.event()]) == {"appended"}:
                break
            await asyncio.sleep(0.05)
        else:
            pytest.fail("the tier did not go back to Kafka")


async def test_nothing_is_lost_when_the_process_is_killed_with_a_filled_spool(
    tmp_path: Path, stack: Any, tail: Tail
) -> None:
    with child(tmp_path, f"127.0.0.1:{free_port()}", stack.redis_url) as process:
        async with httpx.AsyncClient(base_url=process.start(), timeout=20) as client:
            page = await open_page(client)
            sent = [page.event(os.urandom(500)) for _ in range(30)]
            assert await send_all(page, sent[:15]) == {"spooled"}
        assert process.end(signal.SIGKILL) == -signal.SIGKILL
        async with httpx.AsyncClient(base_url=process.start(), timeout=20) as client:
            page.client = client
            assert await send_all(page, sent[15:]) == {"spooled"}
        assert process.end(signal.SIGKILL) == -signal.SIGKILL
        process.bootstrap = stack.bootstrap
        process.start()
        wanted = [event_id(one) for one in sent]
        seen = await asyncio.to_thread(tail.read, set(wanted))
        assert list(dict.fromkeys(seen)) == wanted
        assert process.end(signal.SIGTERM) == 0


async def test_sigterm_drains_and_ends_well(tmp_path: Path, stack: Any, tail: Tail) -> None:
    with child(tmp_path, stack.bootstrap, stack.redis_url) as process:
        async with httpx.AsyncClient(base_url=process.start(), timeout=20) as client:
            page = await open_page(client)
            path = f"/v1/events/{os.urandom(16).hex()}/score?wait=30"
            poll = asyncio.create_task(client.get(path, headers=bearer(KEYS["demo-shop"])))
            sending = asyncio.create_task(page.send(page.event()))
            first = await sending
            stopped = time.monotonic()
            code = await asyncio.to_thread(process.end, signal.SIGTERM)
            assert code == 0, (process.directory / "log").read_text()
            assert time.monotonic() - stopped < 8
            assert (await poll).status_code == 404
        accepted = {one["event_id"] for one in first.json()["results"] if one["status"] == "ok"}
        assert accepted <= set(await asyncio.to_thread(tail.read, accepted))
        text = (process.directory / "log").read_text()
        assert page.opened["token"] not in text and "Traceback" not in text


async def test_a_producer_with_a_fatal_error_is_replaced(tmp_path: Path, stack: Any, tail: Tail) -> None:
    app = create_app(config(tmp_path, bootstrap=stack.bootstrap, redis_url=stack.redis_url))
    async with running(app) as client:
        page = await open_page(client)
        sent = [page.event() for _ in range(20)]
        await send_all(page, sent[:10])
        appender: Any = app.parts.delivery.appender
        broken = appender._producer
        appender._on_error(KafkaError(KafkaError._FATAL, fatal=True))
        await send_all(page, sent[10:])
        await asyncio.sleep(0.3)
        assert appender._producer is not broken
        wanted = [event_id(one) for one in sent]
        assert list(dict.fromkeys(await asyncio.to_thread(tail.read, set(wanted)))) == wanted


async def test_without_redis_events_go_on_and_scores_say_503(tmp_path: Path, stack: Any, tail: Tail) -> None:
    async with in_process(tmp_path, stack, redis_url=f"redis://127.0.0.1:{free_port()}/0") as client:
        page = await open_page(client)
        sealed = page.event()
        assert await send_all(page, [sealed]) == {"appended"}
        answer = await client.get(f"/v1/events/{event_id(sealed)}/score", headers=bearer(KEYS["demo-shop"]))
        assert answer.status_code == 503
        assert event_id(sealed) in await asyncio.to_thread(tail.read, {event_id(sealed)})


async def test_one_https_round_trip(tmp_path: Path, stack: Any) -> None:
    directory = tmp_path / "home" / "tls"
    directory.mkdir(parents=True)
    _ensure_certificate(directory)
    with child(tmp_path, stack.bootstrap, stack.redis_url, tls=True) as process:
        url = process.start()
        assert url.startswith("https://127.0.0.1:")
        trust = ssl.create_default_context(cafile=str(directory / "cert.pem"))
        async with httpx.AsyncClient(base_url=url, verify=trust, timeout=20) as client:
            page = await open_page(client)
            assert page.opened["endpoint"] == f"{url}/v1/events"
            answer = await page.send(page.event())
            assert answer.json()["results"][0]["reason"] == "appended"
            assert "server" not in answer.headers
        assert process.end(signal.SIGTERM) == 0


async def test_a_start_that_cannot_work_is_one_sentence(tmp_path: Path) -> None:
    env = {**os.environ, "CLICKGOOSE_HOME": str(tmp_path / "nowhere"), "CLICKGOOSE_INGEST__TLS": "false"}
    command = [sys.executable, "-c", "from infra.cli import main; main()", "ingest", "serve"]
    done = await asyncio.to_thread(
        lambda: subprocess.run(command, env=env, cwd=ROOT, capture_output=True, timeout=60, check=False)
    )
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.decode().strip().count("\n") == 0 and b"clickgoose up" in done.stderr


async def test_the_tours_of_the_guide_work_as_printed(tmp_path: Path, stack: Any) -> None:
    guide = (
        (ROOT / "docs" / "api.md").read_text("utf-8").replace("wait=10", "wait=0").replace('"wait": 10', '"wait": 0')
    )
    shell, python = (guide.split(f"```{kind}\n")[1].split("```")[0] for kind in ("sh", "python"))
    with child(tmp_path, stack.bootstrap, stack.redis_url, tls=True) as process:
        (process.directory / "tls").mkdir(parents=True)
        _ensure_certificate(process.directory / "tls")
        found = {"settings": {"ingest": {"url": process.start()}}}
        (process.directory / "stack.json").write_text(json.dumps(found))
        (process.directory / "secrets.json").write_text(json.dumps({"api_keys": KEYS}))
        (tmp_path / ".clickgoose").symlink_to(process.directory)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
        for argv in (["sh", "-e", "-c", shell], [sys.executable, "-c", python]):
            done = await asyncio.to_thread(
                lambda argv=argv: subprocess.run(
                    argv, cwd=tmp_path, env=env, capture_output=True, timeout=60, check=False
                )
            )
            assert done.returncode == 0, done.stderr.decode()
            assert b"appended" in done.stdout and b"pending" in done.stdout, done.stdout
