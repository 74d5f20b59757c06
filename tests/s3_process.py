"""A server that speaks S3, as a process on loopback: moto's, with one bucket."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from infra.stack.ports import HOST, free_port

BUCKET = "models-of-tests"
_READY_SECONDS = 60.0


@contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """Run one, and give the environment with which clients find it."""
    port = free_port(set())
    address = f"http://{HOST}:{port}"
    argv = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", HOST, "-p", str(port)]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _make_bucket(address, process)
        yield {
            "AWS_ENDPOINT_URL": address,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
    finally:
        process.kill()
        process.wait()


def _make_bucket(address: str, process: subprocess.Popen[bytes]) -> None:
    """Make the bucket as soon as the server answers."""
    gives_up = time.monotonic() + _READY_SECONDS
    request = urllib.request.Request(f"{address}/{BUCKET}", method="PUT")  # noqa: S310 - our own server
    while True:
        try:
            with urllib.request.urlopen(request, timeout=5):  # noqa: S310
                return
        except (urllib.error.URLError, OSError):
            if process.poll() is not None or time.monotonic() > gives_up:
                raise
            time.sleep(0.05)
