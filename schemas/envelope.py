"""The ingest envelope: what the ingest tier attests about a sealed event, in front of its opaque bytes.

Layout, little-endian, 32 bytes and then five short UTF-8 strings and the sealed event::

    0  "CE" | 2 version u8 | 3 event_type length u8 | 4 received_at u64 ms | 12 address 16 bytes
    28 merchant length u8 | 29 transaction length u8 | 30 linked_id length u8 | 31 card_token length u8
    32 merchant | transaction | linked_id | card_token | event_type | sealed event

Bytes 31 and 3 were reserved and 0 before there were card tokens and event types: such a record reads as one without,
in the same version.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

import numpy as np

ENVELOPE_MAGIC = b"CE"
ENVELOPE_VERSION = 1
ENVELOPE_BYTES = 32
ENVELOPE_DTYPE = np.dtype(
    [
        ("magic", "S2"),
        ("version", "u1"),
        ("event_type_length", "u1"),
        ("received_at", "<u8"),
        ("address", "u1", (16,)),
        ("merchant_length", "u1"),
        ("transaction_length", "u1"),
        ("linked_id_length", "u1"),
        ("card_token_length", "u1"),
    ]
)
_PACK = struct.Struct("<2sBBQ16sBBBB")
NAME_LENGTHS = ("merchant_length", "transaction_length", "linked_id_length", "card_token_length", "event_type_length")
_EVENT_TYPE_LENGTH_AT = 3
_LENGTHS_AT = slice(28, 32)
MAX_NAME_BYTES = 255
EVENT_TYPE_FORM = r"^([a-z][a-z0-9_]{0,31})?$"


class Attested(NamedTuple):
    """What a session token says, the same for every event of a request."""

    merchant: str
    transaction: str
    linked_id: str = ""
    card_token: str = ""
    event_type: str = ""  # what the visit is for, in the merchant's words: payment, login, sign_up, pay_out


def address_bytes(text: str) -> bytes:
    """Return an address as 16 bytes, IPv4 mapped into IPv6 (RFC 4291); ValueError if it is none."""
    address = ip_address(text)
    if isinstance(address, IPv4Address):
        return b"\0" * 10 + b"\xff\xff" + address.packed
    return address.packed


def address_text(packed: bytes) -> str:
    """Return 16 bytes as an address, IPv4 unmapped."""
    address = IPv6Address(packed)
    return str(address.ipv4_mapped or address)


def wrap(attested: Attested, received_at: int, address: bytes, sealed: bytes) -> bytes:
    """Return the record for ``events.raw``. ValueError where a name has over 255 bytes."""
    names = [name.encode() for name in attested]
    if any(len(name) > MAX_NAME_BYTES for name in names):
        raise ValueError("merchant, transaction, linked_id, card_token and event_type may have at most 255 bytes each")
    *lengths, event_type = map(len, names)
    head = _PACK.pack(ENVELOPE_MAGIC, ENVELOPE_VERSION, event_type, received_at, address, *lengths)
    return b"".join((head, *names, sealed))


def sealed_start(record: bytes) -> int:
    """Return where the sealed event starts in a record that has a whole envelope."""
    return ENVELOPE_BYTES + record[_EVENT_TYPE_LENGTH_AT] + sum(record[_LENGTHS_AT])
