"""A process that has loaded its compiled loops gives the compiler's pages back, and goes on working."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import numba, psutil
from infra.lean import let_go_of_compiler, load_loops
load_loops()
before = psutil.Process().memory_info().rss
let_go_of_compiler()
after = psutil.Process().memory_info().rss
load_loops()
assert numba.njit(lambda x: x + 1)(1) == 2  # what is needed again is read again
print((before - after) // 2**20)
"""


def test_the_compilers_pages_are_given_back_and_read_again_where_they_are_needed() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50
