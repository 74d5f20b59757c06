"""A disk that is full: a small file system of a process's own, or, where that is not allowed, a limit on its files."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.faults.harness import World

_MOUNT = 'mount -t tmpfs -o size="$1" tmpfs "$2" && cp -a "$3/." "$2" && shift 3 && exec "$@"'


@cache
def may_mount() -> bool:
    """Tell whether a process may have a file system of its own: Linux, with user namespaces or as root."""
    if shutil.which("unshare") is None:
        return False
    tried = ["unshare", "-rm", "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/tmp"]  # noqa: S108 - in its own namespace
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


class SmallDisk:
    """The disk under a folder of one process, ``ingest`` or ``flow``, that runs by ``tests/faults/process.py``.

    With a file system of its own, the process finds there what ``source`` holds; without, it works in ``source``.
    Start the process with ``wrap`` and with ``folder`` as the place to write.
    """

    def __init__(self, world: World, process: str, size: int, source: Path) -> None:
        self._world, self._process, self._size, self._source = world, process, size, source
        self.mounted = may_mount()
        self.folder = world.folder / f"disk-of-{process}" if self.mounted else source
        self.folder.mkdir(parents=True, exist_ok=True)
        source.mkdir(parents=True, exist_ok=True)

    @property
    def wrap(self) -> tuple[str, ...]:
        """Return the words before the process's command."""
        if not self.mounted:
            return ()
        return ("unshare", "-rm", "sh", "-c", _MOUNT, "sh", str(self._size), str(self.folder), str(self._source))

    def limit(self) -> None:
        """Let the disk have its size: a file system has it from the start."""
        if not self.mounted:
            self._world.fail(self._process, file_bytes=self._size // 2)

    def lift(self) -> None:
        """Lift the limit on files, which also stands in the way of emptying them; a full file system must not."""
        if not self.mounted:
            self._world.fail(self._process)

    def fill(self) -> None:
        """Take all room that is left."""
        if not self.mounted:
            self._world.fail(self._process, file_bytes=0)
            return
        with (self._seen_from_outside / "ballast").open("wb", buffering=0) as ballast:
            for size in (65_536, 4_096, 1):
                while self._fits(ballast.fileno(), size):
                    pass

    @staticmethod
    def _fits(descriptor: int, size: int) -> bool:
        try:
            return os.write(descriptor, bytes(size)) == size
        except OSError:
            return False

    def free(self) -> None:
        """Give the room back."""
        if self.mounted:
            (self._seen_from_outside / "ballast").unlink(missing_ok=True)
        self._world.fail(self._process)

    def keep(self) -> None:
        """Copy what the disk holds to ``source``; a file system of its own ends with the process."""
        if self.mounted:
            shutil.rmtree(self._source)
            shutil.copytree(self._seen_from_outside, self._source)

    @property
    def _seen_from_outside(self) -> Path:
        return Path(f"/proc/{self._world.child(self._process).pid}/root{self.folder}")
