"""A registry's root in an object store: s3://bucket/path, gs://bucket/path or az://account/container/path.

Keys, region and endpoint are read by the library from its own environment variables (AWS_ACCESS_KEY_ID,
GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_KEY, ...) or the machine's identity, never from clickgoose's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from scoring.storage import RegistryError, StorageAway, Stored

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES = ("s3://", "gs://", "az://")
_TIMEOUT, _CONNECT_TIMEOUT = timedelta(seconds=30), timedelta(seconds=5)
_RETRIES = 3
_ALLOW_HTTP = ("AWS_ALLOW_HTTP", "GOOGLE_ALLOW_HTTP", "AZURE_ALLOW_HTTP")
_TOOK = re.compile(r" in [0-9.]+(ns|µs|ms|s)\b.*? - ")


def open_object_store(address: str) -> ObjectStore:
    """Return a client. RegistryError where the library is missing or the address is wrong. It does not connect yet."""
    if find_spec("obstore") is None:
        raise RegistryError(f"{address} needs obstore: pip install 'clickgoose[objects]'")
    from obstore.exceptions import BaseError  # noqa: PLC0415 - of an optional extra
    from obstore.store import from_url  # noqa: PLC0415

    try:
        return from_url(
            address,
            client_options={
                "timeout": _TIMEOUT,
                "connect_timeout": _CONNECT_TIMEOUT,
                # These options take the place of those that the library reads from the environment.
                "allow_http": any(os.environ.get(name, "").lower() in ("1", "true") for name in _ALLOW_HTTP),
            },
            retry_config={"max_retries": _RETRIES, "retry_timeout": _TIMEOUT},
        )
    except (BaseError, ValueError) as error:
        raise RegistryError(f"{address} is no address of an object store: {_first_line(error)}") from error


class ObjectStorage:
    """Files in an object store. A conditional write keeps two writers apart."""

    def __init__(self, address: str, store: ObjectStore) -> None:
        self._address = address.rstrip("/")
        self._store = store

    @property
    def address(self) -> str:
        """Return the address."""
        return self._address

    def folders(self) -> tuple[str, ...]:
        """Return the names of the folders in the root, in order."""
        with self._told():
            found = self._store.list_with_delimiter()
        return tuple(sorted(prefix.rstrip("/").rsplit("/", 1)[-1] for prefix in found["common_prefixes"]))

    def read(self, name: str) -> Stored | None:
        """Return an object, or none where there is none."""
        with self._told():
            try:
                found = self._store.get(name)
                return Stored(bytes(found.bytes()), found.meta["e_tag"] or "")
            except FileNotFoundError:
                return None

    def write(self, name: str, data: bytes) -> None:
        """Write an object."""
        with self._told():
            self._store.put(name, data)

    def replace(self, name: str, data: bytes, tag: str | None) -> bool:
        """Write an object on the condition that it still has this entity tag, or that there is none."""
        from obstore.exceptions import AlreadyExistsError, PreconditionError  # noqa: PLC0415 - of an optional extra

        with self._told():
            try:
                self._store.put(name, data, mode="create" if tag is None else {"e_tag": tag})
            except (AlreadyExistsError, PreconditionError):
                return False
        return True

    def directory(self, version: str) -> Path | None:
        """Return none: everything is fetched."""
        return None

    @contextmanager
    def _told(self) -> Iterator[None]:
        from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError  # noqa: PLC0415

        try:
            yield
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise RegistryError(
                f"{self._address} refuses these credentials; see docs/models.md for their names"
            ) from error
        except (BaseError, OSError, ValueError) as error:
            raise StorageAway(f"{self._address} does not answer: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    """Return what it says without how long that took, so that the same failure reads the same."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return _TOOK.sub(": ", line)[:250]
