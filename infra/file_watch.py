"""The watch of a file that people change while a process runs: what it says is taken whole, or not at all."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
log = logging.getLogger("clickgoose.files")
_Mark = tuple[int, int, int, int, int]  # changes whenever a file does


class FileWatch(Generic[T]):
    """Gives what a file says, from another thread where it was started; what cannot be used never takes its place.

    ``parse`` raises ValueError with one sentence. A change is taken when the file has not changed between two looks,
    so that one that is still being written is not. ``taken`` and ``refused`` are told of each change, on the watch's
    thread. OSError or ValueError where the file cannot be used at the start.
    """

    def __init__(
        self,
        path: Path,
        parse: Callable[[bytes], T],
        taken: Callable[[T], None],
        refused: Callable[[str], None],
        seconds: float = 0.2,
    ) -> None:
        self._path = path
        self._parse = parse
        self._tell_taken = taken
        self._tell_refused = refused
        self._seconds = seconds
        self._mark = self._seen = _mark_of(path)
        self._value = parse(path.read_bytes())
        self._said = ""  # why the newest change was refused
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self) -> T:
        """Return what the file said when it was last good."""
        return self._value

    def start(self) -> None:
        """Look again and again in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name=f"watch-{self._path.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def look(self) -> bool:
        """Look once. Return whether something new was taken."""
        mark = _mark_of(self._path)
        settled, self._seen = mark == self._seen, mark
        if mark == self._mark or not settled:
            return False
        try:
            data = self._path.read_bytes()
            if _mark_of(self._path) != mark:
                return False  # it changed while it was read
            value = self._parse(data)
        except OSError as error:  # it may be readable at the next look
            self._refuse(f"{self._path} cannot be read ({error.strerror or error})")
            return False
        except ValueError as error:
            self._mark = mark
            self._refuse(str(error))
            return False
        self._value, self._mark, self._said = value, mark, ""
        self._tell_taken(value)
        return True

    def _refuse(self, sentence: str) -> None:
        if sentence != self._said:
            self._said = sentence
            self._tell_refused(sentence)

    def _run(self) -> None:
        while not self._closing.wait(self._seconds):
            try:
                self.look()
            except Exception:  # a bug of ours must not end the watch
                log.exception("the watch of %s failed; what was taken before goes on", self._path)


def _mark_of(path: Path) -> _Mark | None:
    """Return what changes with a file, None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
