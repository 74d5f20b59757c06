"""The ingest tier as a process of its own: started, killed, drained, and used as the guide shows."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.stack.secrets import _ensure_certificate
from tests.ingest_kit import KEYS, bearer, event_id, open_page
from tests.ingest_process import ROOT, Tail, child, free_port, send_all, tail
from tests.waiting import PATIENCE

__all__ = ["tail"]
pytestmark = pytest.mark.stack


async def test_nothing_is_lost_when_the_process_is_killed_with_a_filled_spool(
    tmp_path: Path, stack: Any, tail: Tail
) -> None:
    nobody = {"CLICKGOOSE_INGEST__PRODUCE_TIMEOUT_MS": "1000"}
    with child(tmp_path, f"127.0.0.1:{free_port()}", stack.redis_url, extra=nobody) as process:
        async with httpx.AsyncClient(base_url=process.start(), timeout=PATIENCE) as client:
            page = await open_page(client)
            sent = [page.event(os.urandom(500)) for _ in range(30)]
            assert await send_all(page, sent[:15]) == {"spooled"}
        assert process.end(signal.SIGKILL) == -signal.SIGKILL
        async with httpx.AsyncClient(base_url=process.start(), timeout=PATIENCE) as client:
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
        async with httpx.AsyncClient(base_url=process.start(), timeout=PATIENCE) as client:
            page = await open_page(client)
            path = f"/v1/events/{os.urandom(16).hex()}/score?wait=30"
            poll = asyncio.create_task(client.get(path, headers=bearer(KEYS["demo-shop"])))
            sending = asyncio.create_task(page.send(page.event()))
            first = await sending
            stopped = time.monotonic()
            code = await asyncio.to_thread(process.end, signal.SIGTERM)
            assert code == 0, (process.directory / "log").read_text()
            assert time.monotonic() - stopped < 25  # the poll would have waited for 30
            assert (await poll).status_code == 404
        accepted = {one["event_id"] for one in first.json()["results"] if one["status"] == "ok"}
        assert accepted <= set(await asyncio.to_thread(tail.read, accepted))
        text = (process.directory / "log").read_text()
        assert page.opened["token"] not in text and "Traceback" not in text


async def test_one_https_round_trip(tmp_path: Path, stack: Any) -> None:
    directory = tmp_path / "home" / "tls"
    directory.mkdir(parents=True)
    _ensure_certificate(directory)
    with child(tmp_path, stack.bootstrap, stack.redis_url, tls=True) as process:
        url = process.start()
        assert url.startswith("https://127.0.0.1:")
        trust = ssl.create_default_context(cafile=str(directory / "cert.pem"))
        async with httpx.AsyncClient(base_url=url, verify=trust, timeout=PATIENCE) as client:
            page = await open_page(client)
            assert page.opened["endpoint"] == f"{url}/v1/events"
            answer = await page.send(page.event())
            assert answer.json()["results"][0]["reason"] == "appended"
            assert "server" not in answer.headers and "date" in answer.headers
            beacon = await page.send_beacon(page.beacon(page.event()))
            assert beacon.json()["results"][0]["reason"] == "appended"
            head, get = [await client.request(method, "/agent/clickgoose.js") for method in ("HEAD", "GET")]
            assert head.content == b"" and get.text
            assert head.headers["content-length"] == get.headers["content-length"]
            assert get.headers["content-encoding"] == "gzip" and get.http_version == "HTTP/1.1"
            files = (await client.get("/agent/manifest.json")).json()["files"]
            assert (await client.get(files["clickgoose.mjs"]["path"])).status_code == 200
        assert process.end(signal.SIGTERM) == 0


async def test_a_start_that_cannot_work_is_one_sentence(tmp_path: Path) -> None:
    env = {**os.environ, "CLICKGOOSE_HOME": str(tmp_path / "nowhere"), "CLICKGOOSE_INGEST__TLS": "false"}
    command = [sys.executable, "-c", "from infra.cli import main; main()", "ingest", "serve"]
    done = await asyncio.to_thread(
        lambda: subprocess.run(command, env=env, cwd=ROOT, capture_output=True, timeout=PATIENCE, check=False)
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
        env = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "CLICKGOOSE_HOME": ".clickgoose"}
        for argv in (["sh", "-e", "-c", shell], [sys.executable, "-c", python]):
            done = await asyncio.to_thread(
                lambda argv=argv: subprocess.run(
                    argv, cwd=tmp_path, env=env, capture_output=True, timeout=PATIENCE, check=False
                )
            )
            assert done.returncode == 0, done.stderr.decode()
            assert b"appended" in done.stdout and b"pending" in done.stdout, done.stdout
