"""Files of the home: written whole or not at all, secrets readable by their owner only."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.stack.child import StackError


def write_atomically(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Replace a file in one step, so that no reader and no crash meets half of it."""
    raw = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def need_space(home: Path, mebibytes: int) -> None:
    """Refuse to start on a disk that is nearly full: the parts would fail later, each in words of its own."""
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(place).free // 1024**2
    if free < mebibytes:
        raise StackError(
            f"Only {free} MiB are free at {place}, and the stack needs {mebibytes}: "
            "free some space, or choose another --home."
        )


@contextmanager
def told_plainly(home: Path) -> Iterator[None]:
    """Turn what a disk may refuse into one sentence."""
    try:
        yield
    except OSError as error:
        where = error.filename or home
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StackError(f"The disk of {where} is full: free some space, or choose another --home.") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StackError(f"{where} cannot be written: choose another --home or change its mode.") from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST):
            raise StackError(f"{where} is not a directory: choose another --home.") from error
        raise StackError(f"{where}: {error.strerror or error}.") from error
