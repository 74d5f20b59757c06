"""The form of clickgoose's own data files: a head that says what is in it and its digest, and a packed body.

::

    magic, 4 bytes | form u8 | u32 length of the description | description, JSON | packed body

little-endian. The description has the kind, the version, source and licence of the data, the rows and the SHA-256 of
the body before it was packed. How a body is packed and what is in it, its own module says.
"""

from __future__ import annotations

import hashlib
import lzma
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import msgspec

Content = TypeVar("Content")
_HEAD = struct.Struct("<4sBI")
_FORM = 1
MOST_BYTES = 1 << 28  # of a body: a damaged length never fills the memory
REMEDY = "install clickgoose again, or make it with `clickgoose data update`."


class DataFileError(ValueError):
    """A data file is missing or cannot be used; says which, and what to do."""


class Described(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a file says of itself."""

    kind: str
    version: str
    source: str
    licence: str
    rows: tuple[int, int]
    sha256: str
    covers: tuple[str, ...] = ()  # of classes of networks: those of which the file has all that its sources know


class Form(NamedTuple):
    """One form of files: its first bytes, and how a body is packed and unpacked."""

    magic: bytes
    pack: Callable[[bytes], bytes]
    unpack: Callable[[bytes], bytes]


class Unpacker(Protocol):
    """What zlib and lzma have in common."""

    @property
    def eof(self) -> bool:
        """Tell whether the end was reached."""

    @property
    def unused_data(self) -> bytes:
        """Return what follows the end."""


def whole(unpacker: Unpacker, body: bytes) -> bytes:
    """Return the body; ValueError where the packed bytes were cut off or something follows them."""
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError("cut off, or too long")
    return body


def pack_data_file(form: Form, described: Described, body: bytes) -> bytes:
    """Return a file's bytes; the description's digest is filled in."""
    said = msgspec.json.encode(msgspec.structs.replace(described, sha256=hashlib.sha256(body).hexdigest()))
    return _HEAD.pack(form.magic, _FORM, len(said)) + said + form.pack(body)


def read_data_file(path: Path, kind: str, form: Form, content: Callable[[Described, bytes], Content]) -> Content:
    """Return what a file holds; DataFileError where it is missing, damaged or of another kind."""
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise DataFileError(f"The data file {path} cannot be read ({error.strerror}); {REMEDY}") from None
    try:
        described, body = _opened(packed, form)
        if described.kind != kind:
            raise ValueError("another kind")
        return content(described, body)
    except (ValueError, msgspec.MsgspecError, struct.error, zlib.error, lzma.LZMAError, EOFError):
        raise DataFileError(f"The data file {path} is damaged or of another version; {REMEDY}") from None


def _opened(packed: bytes, form: Form) -> tuple[Described, bytes]:
    magic, number, length = _HEAD.unpack_from(packed)
    if (magic, number) != (form.magic, _FORM):
        raise ValueError("no such file")
    start = _HEAD.size + length
    described = msgspec.json.decode(packed[_HEAD.size : start], type=Described)
    body = form.unpack(packed[start:])
    if hashlib.sha256(body).hexdigest() != described.sha256:
        raise ValueError("another digest")
    return described, body
