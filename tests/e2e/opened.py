"""Events as they lie in ``events.raw``, opened with the keys: what a page really sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.catalogue import load_catalogue
from schemas.envelope import ENVELOPE_BYTES, sealed_start
from schemas.keys import KeyRing
from schemas.nested import nested_of
from schemas.payload import decode_payloads
from schemas.sealed import HEADER_BYTES, NONCE_BYTES, Codec, Header, read_header, unpack_body

_CATALOGUE = load_catalogue()


@dataclass(frozen=True, slots=True)
class Opened:
    """One event: whose it is, its clear header, its body, and what that says."""

    transaction: str
    header: Header
    body: bytes
    signals: dict[str, Any]
    entries: list[dict[str, Any]]

    def values(self, code: int) -> list[float]:
        """Return the values of the entries with a log code."""
        return [entry["value"] for entry in self.entries if entry["code"] == code]


def split_record(value: bytes) -> tuple[str, bytes]:
    """Return transaction and sealed event of a record of ``events.raw``."""
    merchant, transaction = value[28], value[29]
    start = ENVELOPE_BYTES + merchant
    return value[start : start + transaction].decode(), value[sealed_start(value) :]


def body_of(sealed: bytes, ring: KeyRing) -> bytes:
    """Open a sealed event that is known to be whole, and return its unpacked body."""
    header = read_header(sealed)
    assert header is not None
    key = ring.derive(header.key_id, header.session_id, "seal")
    assert key is not None
    nonce, packed = sealed[HEADER_BYTES : HEADER_BYTES + NONCE_BYTES], sealed[HEADER_BYTES + NONCE_BYTES :]
    codec, body = unpack_body(AESGCM(key).decrypt(nonce, packed, sealed[:HEADER_BYTES]))
    assert codec is not Codec.NESTED_JSON, "the agent sends vectors"
    return body


def open_records(values: Iterable[bytes], ring: KeyRing, transaction: str | None = None) -> list[Opened]:
    """Open records, all or those of one transaction, in the order in which the page sealed them."""
    found = []
    for value in values:
        whose, sealed = split_record(value)
        if transaction is not None and whose != transaction:
            continue
        header = read_header(sealed)
        assert header is not None
        body = body_of(sealed, ring)
        signals, activity, good = decode_payloads([body], _CATALOGUE)
        assert good.all(), "the body is not laid out as the schema says"
        event = nested_of(signals, activity, 0, _CATALOGUE)
        found.append(Opened(whose, header, body, event["signals"], event["activity"]))
    return sorted(found, key=lambda event: (event.header.session_id, event.header.sequence))


def once(events: Iterable[Opened]) -> list[Opened]:
    """Leave out what was sent again: one event for each event id."""
    return list({event.header.event_id: event for event in events}.values())
