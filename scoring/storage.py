"""Storage of registries: files under one root, a directory here or an object store that is injected.

Nothing of models is imported here: the ingest tier looks at registries of rules without loading what scores.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Protocol


class RegistryError(ValueError):
    """A registry, or what lies in it, cannot be used; the text is one sentence that says why and what to do."""


class StorageAway(RegistryError):
    """The storage did not answer: it may later."""


class Stored(NamedTuple):
    """A file as it was read."""

    data: bytes
    tag: str  # changes when the file does


class Storage(Protocol):
    """Files under a root, by names as ``goose-1a2b3c4d/model.onnx``. StorageAway where it cannot be asked."""

    @property
    def address(self) -> str:
        """Return where it is, for people."""
        ...

    def folders(self) -> tuple[str, ...]:
        """Return the names of the folders in the root, in order."""
        ...

    def read(self, name: str) -> Stored | None:
        """Return a file, or none where there is none."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole."""
        ...

    def replace(self, name: str, data: bytes, tag: str | None) -> bool:
        """Write a file where it still has this tag (none: where there is none still); else return False."""
        ...

    def directory(self, version: str) -> Path | None:
        """Return where a version lies as a directory already, or none where it must be fetched."""
        ...


class DirectoryStorage:
    """A directory of this host, or one that is mounted."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def address(self) -> str:
        """Return the path."""
        return str(self._root)

    def folders(self) -> tuple[str, ...]:
        """Return the names of the folders in the root, in order."""
        with told(self._root):
            return tuple(sorted(path.name for path in self._root.iterdir() if path.is_dir()))

    def read(self, name: str) -> Stored | None:
        """Return a file, or none where there is none."""
        with told(self._root / name):
            try:
                data = (self._root / name).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return Stored(data, sha256(data).hexdigest())

    def write(self, name: str, data: bytes) -> None:
        """Write a file beside and move it in place."""
        path = self._root / name
        with told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, data)

    def replace(self, name: str, data: bytes, tag: str | None) -> bool:
        """Compare and write under a lock of the root: other writers wait."""
        path = self._root / name
        with told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._root, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                present = self.read(name)
                if (present.tag if present else None) != tag:
                    return False
                write_whole(path, data)
            finally:
                os.close(lock)
        return True

    def directory(self, version: str) -> Path | None:
        """Return the version's directory."""
        return self._root / version


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside and move it in place: no reader and no crash meets half of it."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what a disk refuses into one sentence."""
    try:
        yield
    except OSError as error:
        raise RegistryError(f"{error.filename or path}: {error.strerror or error}; choose another place") from error
