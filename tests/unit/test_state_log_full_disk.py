"""The state log on a disk that is really full: 2 MiB, a file system of a child process's own where that is allowed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from flows.state_log import StateLog, StateWriteFailed
from schemas.stage import Snapshot
from schemas.velocity import SLICES
from tests.full_disk import full_disk

_ON_A_SMALL_DISK = 'mount -t tmpfs -o size=2m tmpfs "$1" && exec "$2" "$3" "$1"'


@cache
def may_mount() -> bool:
    """Tell whether a child may have a file system of its own."""
    if shutil.which("unshare") is None:
        return False
    tried = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


def test_a_full_disk_stops_the_offsets_and_nothing_else_and_the_log_mends_itself(tmp_path: Path) -> None:
    command = [sys.executable, __file__, str(tmp_path)]
    if may_mount():
        command = ["unshare", "-rm", "sh", "-c", _ON_A_SMALL_DISK, "sh", str(tmp_path), sys.executable, __file__]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "cannot be written" in found["said"]
    assert ("No space left on device" in found["said"]) is may_mount()
    assert found["while_full"] == {"newest": 10, "wants_whole": False}
    assert found["refused_to_open"] == may_mount()
    assert found["short_outage"] == [["whole", "late 20", "late 21", "late 30"], 30]
    assert found["asked_while_full"] is False or not may_mount()
    assert found["long_outage"] == [["everything", "and on"], 50]


def main(directory: Path) -> None:
    """Fill the disk, twice, and tell what the log did."""
    found: dict[str, Any] = {}
    page = 8_192  # a frame of a few bytes finds room in the last page of its file
    with opened(directory) as log:
        log.append(Snapshot(b"whole", 0, SLICES), 10)
        log.mark(10)
        with full(directory):
            found["said"] = refused(log, b"late 20", 20, page)
            refused(log, b"late 21", 21, page)
            found["while_full"] = {"newest": log.newest_offset, "wants_whole": log.wants_whole()}
        log.append(Snapshot(b"late 30", 0, 0), 30)
        log.mark(30)
    found["short_outage"] = what_is_in(directory)
    with full(directory):
        found["refused_to_open"] = not may_open(directory / "another")
    with opened(directory) as log:
        with full(directory):
            refused(log, b"lost", 40, 3 << 20)  # more than may wait
            found["asked_while_full"] = False
            for _ in range(5):
                assert refused(log, b"lost too", 41, 0)
                found["asked_while_full"] |= log.wants_whole()
        assert log.wants_whole()
        log.append(Snapshot(b"everything", 0, SLICES), 42)
        log.append(Snapshot(b"and on", 0, 0), 50)
        log.mark(50)
    found["long_outage"] = what_is_in(directory)
    print(json.dumps(found))  # noqa: T201 - the parent reads it


def opened(directory: Path) -> StateLog:
    log = StateLog(directory, 0, kept=1 << 20)
    log.load()
    return log


def may_open(directory: Path) -> bool:
    try:
        StateLog(directory, 0).close()
    except StateWriteFailed:
        return False
    return True


def refused(log: StateLog, name: bytes, offset: int, size: int) -> str | None:
    """Append a snapshot with so many bytes that do not compress, and return what is said; None where it is taken."""
    try:
        log.append(Snapshot(name + b"|" + os.urandom(size), 0, 0), offset)
    except StateWriteFailed as error:
        return str(error)
    return None


def what_is_in(directory: Path) -> tuple[list[str], int | None]:
    with StateLog(directory, 0) as log:
        found = log.load()
        assert not found.problems
        return [data.partition(b"|")[0].decode() for data in found.snapshots], found.next_offset


class full:  # noqa: N801 - read as a word
    """Take all room on the disk; where there is none of our own, let no file grow."""

    def __init__(self, directory: Path) -> None:
        self._ballast = directory / "ballast"
        self._limit = full_disk(directory.joinpath("segment-00000000000000000001.log").stat().st_size)
        self._small = os.statvfs(directory).f_blocks * os.statvfs(directory).f_frsize == 2 << 20

    def __enter__(self) -> None:
        if not self._small:
            self._limit.__enter__()
            return
        with self._ballast.open("wb", buffering=0) as file:
            for size in (65_536, 4_096, 1):
                while self._fits(file.fileno(), size):
                    pass

    def __exit__(self, *_: object) -> None:
        if not self._small:
            self._limit.__exit__(None, None, None)
        self._ballast.unlink(missing_ok=True)

    @staticmethod
    def _fits(descriptor: int, size: int) -> bool:
        try:
            return os.write(descriptor, bytes(size)) == size
        except OSError:
            return False


if __name__ == "__main__":
    main(Path(sys.argv[1]))
