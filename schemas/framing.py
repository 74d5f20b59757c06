"""Framing: many sealed events in one HTTP body, each behind its length (u32, little-endian)."""

from __future__ import annotations

import struct
from collections.abc import Iterable

FRAMES_CONTENT_TYPE = "application/vnd.clickgoose.events"
_LENGTH = struct.Struct("<I")
_MAX_LENGTH = 0xFFFF_FFFF


class FramingError(ValueError):
    """A body that is no sequence of frames; ``kind`` is one of empty, truncated, too_many, too_long."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def pack_frames(frames: Iterable[bytes]) -> bytes:
    """Return the body for these frames, in order. FramingError("too_long") where one has 4 GiB or more."""
    parts: list[bytes] = []
    for frame in frames:
        if len(frame) > _MAX_LENGTH:
            raise FramingError("too_long")
        parts += (_LENGTH.pack(len(frame)), frame)
    return b"".join(parts)


def unpack_frames(body: bytes, max_frames: int) -> list[bytes]:
    """Return the frames of a body, between 1 and ``max_frames`` of them; FramingError otherwise.

    A frame is a slice of the body, so the memory used is bounded by the body's size whatever the lengths claim.
    """
    frames: list[bytes] = []
    at, end, head = 0, len(body), _LENGTH.size
    while at < end:
        if len(frames) == max_frames:
            raise FramingError("too_many")
        if end - at < head:
            raise FramingError("truncated")
        start = at + head
        at = start + _LENGTH.unpack_from(body, at)[0]
        if at > end:
            raise FramingError("truncated")
        frames.append(body[start:at])
    if not frames:
        raise FramingError("empty")
    return frames
