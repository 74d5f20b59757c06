"""Room on a disk that is kept for getting rid of what is on it: deleting rows of a database writes before it frees."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_CHUNK = bytes(1 << 16)


class Reserve:
    """A file that does nothing but take room, until the room is needed. Not for use by two threads at once."""

    def __init__(self, path: Path, size: int) -> None:
        """``size`` in bytes. Nothing is taken yet."""
        self._path, self._size = path, size
        self._held = False

    def take(self) -> bool:
        """Take the room unless it is held; False where the disk has too little left."""
        if not self._held:
            try:
                self._write()
            except OSError:
                self.release()
            else:
                self._held = True
        return self._held

    def _write(self) -> None:
        with self._path.open("wb") as file:
            for at in range(0, self._size, len(_CHUNK)):
                file.write(_CHUNK[: self._size - at])
            file.flush()
            os.fsync(file.fileno())

    def release(self) -> bool:
        """Give the room back; False where it was not held."""
        held, self._held = self._held, False
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        return held
