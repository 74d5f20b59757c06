"""The server keeps the memory of bodies that come and go, instead of having it made anew by the system."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_FAULTS = """
import resource
from ingest_api.server import _keep_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        bodies = [bytes(1_000_000) + b"x" for _ in range(8)]
        bodies += [bytes(10_000) + b"x" for _ in range(200)]
        del bodies
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
usual = faults()
_keep_memory()
faults()
print(usual, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries are left as they are")
def test_what_is_freed_is_kept_for_what_comes_next() -> None:
    run = subprocess.run([sys.executable, "-c", _FAULTS], check=True, capture_output=True, text=True)
    usual, kept = map(int, run.stdout.split())
    assert kept < usual / 10
