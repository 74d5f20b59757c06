"""Storages of registries by their address, and who it is that changes them."""

from __future__ import annotations

import getpass
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

from infra.object_storage import SCHEMES, ObjectStorage, open_object_store
from scoring.rollout import Author
from scoring.storage import DirectoryStorage, RegistryError, Storage


def storage_of(address: str, what: str) -> Storage:
    """Return the storage at a root. RegistryError where it is none; ``what``: what lies there, as ``models``."""
    if address.startswith(SCHEMES):
        return ObjectStorage(address, open_object_store(address))
    plain = address.removeprefix("file://")
    if "://" in plain:
        raise RegistryError(f"{address} is no root of {what}: name a directory, or one of {', '.join(SCHEMES)}")
    return DirectoryStorage(Path(plain))


def author() -> Author:
    """Return who runs this, and the time."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        user = f"uid {os.getuid()}"
    return Author(f"{user}@{socket.gethostname()}", datetime.now(UTC).isoformat(timespec="seconds"))
