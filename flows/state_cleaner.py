"""Deleting segments that no resume needs any more, once what makes them needless is durable.

fsync takes as long as the disk does, so it is waited for in a thread: the worker goes on scoring and appending.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from flows.state_segments import sync_directory, sync_file


class Cleaner:
    """One deletion at a time; what it could not delete is to be given to it again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._thread: threading.Thread | None = None
        self._deleted = 0
        self._error: OSError | None = None

    @property
    def busy(self) -> bool:
        """Return whether a deletion is under way."""
        return self._thread is not None and self._thread.is_alive()

    def deleted(self) -> int:
        """Return how many files went since this was last asked. Not while busy."""
        deleted, self._deleted = self._deleted, 0
        return deleted

    def check(self) -> None:
        """Raise the OSError of the last deletion, once. Not while busy."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def delete(self, needless: Sequence[Path], needed: Sequence[Path]) -> None:
        """Begin to make some files durable and then, the oldest first, to delete the others. Not while busy."""
        self._thread = threading.Thread(target=self._run, args=(needless, needed), name="state-cleaner", daemon=True)
        self._thread.start()

    def _run(self, needless: Sequence[Path], needed: Sequence[Path]) -> None:
        try:
            for path in needed:
                sync_file(path)
            sync_directory(self._directory)
            for path in needless:
                path.unlink()
                self._deleted += 1
        except OSError as error:
            self._error = error

    def wait(self) -> None:
        """Return when nothing is under way."""
        if self._thread is not None:
            self._thread.join()
