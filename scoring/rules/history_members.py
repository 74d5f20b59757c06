"""Members of the rules' history as bytes: which event it is, and what catalogues of its stream keep of it.

A member is an id (16 bytes), and a payload unless there is nothing to keep but that the event was: how many values
there are (2 bytes), for each the catalogue's slot (4 bytes) and a kind (0 number, 1 text), then for each 8 bytes (an
IEEE 754 double in network order, or the first ones of a text's cipher), then the rest of each cipher behind its length
(2 bytes). Values are in the order of their slots. So what is asked most, numbers and whether texts differ, is at fixed
places.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final, NamedTuple

ID: Final = 16
NUMBER, TEXT = 0, 1
_COUNT: Final = struct.Struct(">H")
_DOUBLE: Final = struct.Struct(">d")
_SLOT: Final = 4
_HEAD: Final = ID + _COUNT.size
_ENTRY: Final = _SLOT + 1
_KINDS: Final = (bytes([NUMBER]), bytes([TEXT]))
_LAYOUTS: Final = 1_024


class Kept(NamedTuple):
    """A value as it is kept: a number (then ``cipher`` is empty) or a text's cipher."""

    number: float
    cipher: bytes = b""


def payload(values: Iterable[tuple[bytes, Kept]]) -> bytes:
    """Return what stands behind the id; ``values`` with their slots, each slot once. Empty where there are none."""
    ordered = sorted(values)
    if not ordered:
        return b""
    heads, fixed, rest = [_COUNT.pack(len(ordered))], [], []
    for slot, (number, cipher) in ordered:
        heads.append(slot + _KINDS[bool(cipher)])
        fixed.append(cipher[:8] if cipher else _DOUBLE.pack(number))
        if cipher:
            rest.append(_COUNT.pack(len(cipher) - 8) + cipher[8:])
    return b"".join(heads + fixed + rest)


class Layout(NamedTuple):
    """How members of one row of slots and kinds are read."""

    places: dict[bytes, int]  # by slot: which of the fixed values it is
    kinds: tuple[int, ...]
    unpack: Callable[[bytes], tuple[Any, ...]]  # a member's fixed values: doubles, or 8 bytes of a cipher
    head: bytes  # what members of this layout have behind the id
    rest: int  # where the rest of the ciphers begins


def layout_of(member: bytes) -> Layout:
    """Return how a member is read."""
    if len(member) == ID:
        return NOTHING
    return _layout(member[ID : _HEAD + _ENTRY * _COUNT.unpack_from(member, ID)[0]])


def cipher_of(layout: Layout, member: bytes, place: int) -> bytes:
    """Return the whole cipher of a text."""
    at = layout.rest
    for _ in range(sum(layout.kinds[:place])):
        at += _COUNT.size + _COUNT.unpack_from(member, at)[0]
    mark = layout.unpack(member)[place]
    first = at + _COUNT.size
    return bytes(mark) + member[first : first + _COUNT.unpack_from(member, at)[0]]


@lru_cache(_LAYOUTS)
def _layout(head: bytes) -> Layout:
    count = _COUNT.unpack_from(head)[0]
    first = _COUNT.size
    entries = [head[at : at + _ENTRY] for at in range(first, first + _ENTRY * count, _ENTRY)]
    kinds = tuple(entry[_SLOT] for entry in entries)
    form = f">{ID + len(head)}x" + "".join("8s" if kind else "d" for kind in kinds)
    places = {entry[:_SLOT]: place for place, entry in enumerate(entries)}
    return Layout(places, kinds, struct.Struct(form).unpack_from, head, struct.calcsize(form))


NOTHING: Final = Layout({}, (), lambda _: (), b"", ID)
