"""Pages that send to the ingest tier: sessions opened over HTTP, and requests with sealed events, made beforehand."""

from __future__ import annotations

import base64
import hmac
import http.client
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from infra.bench.measure import RowsLost
from infra.traffic.api import sign
from schemas.envelope import sealed_start
from schemas.framing import FRAMES_CONTENT_TYPE, pack_frames
from schemas.keys import KeyRing
from schemas.sealed import HEADER_BYTES, NONCE_BYTES, Header, read_header

# What a benchmark sends comes from one address and one merchant; limits are for those who share a tier.
NO_LIMITS: Final = {
    f"CLICKGOOSE_INGEST__{name}": "100000000"
    for name in ("SESSION_EVENTS_PER_MINUTE", "MERCHANT_EVENTS_PER_SECOND", "ADDRESS_REQUESTS_PER_MINUTE")
} | {"CLICKGOOSE_INGEST__TLS": "false"}

_LETTERS: Final = str.maketrans("0123456789", "ghijklmnop")


class Page(NamedTuple):
    """What a page holds of its session."""

    key_id: int
    session_id: bytes
    token: str
    cipher: AESGCM
    sign_key: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """One request: what goes over the wire, and the ids of its events in hexadecimal."""

    wire: bytes
    event_ids: tuple[str, ...]


def open_pages(url: str, api_key: str, count: int) -> list[Page]:
    """Open so many sessions as a merchant's server does, each of a transaction of its own."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
    pages = []
    for number in range(count):
        name = os.urandom(6).hex().translate(_LETTERS)  # digits in a row might be taken for the number of a card
        body = json.dumps({"transaction": f"bench-{name}-{number}"})
        connection.request("POST", "/v1/sessions", body, headers)
        with connection.getresponse() as answer:
            said = answer.read()
        if answer.status != 201:
            raise RowsLost(f"a session was answered with {answer.status}: {said[:200]!r}")
        opened = json.loads(said)
        cipher = AESGCM(base64.b64decode(opened["seal_key"]))
        sign_key = base64.b64decode(opened["sign_key"])
        pages.append(Page(opened["key_id"], bytes.fromhex(opened["session_id"]), opened["token"], cipher, sign_key))
    connection.close()
    return pages


def requests_of(records: Sequence[bytes], keys: KeyRing, pages: Sequence[Page], together: int) -> list[Request]:
    """Return the records' events sealed anew for the pages in turn, ``together`` a request; each is a new event."""
    ciphers: dict[bytes, AESGCM] = {}
    cuts = [records[first : first + together] for first in range(0, len(records), together)]
    return [_request(pages[number % len(pages)], cut, keys, ciphers) for number, cut in enumerate(cuts)]


def _request(page: Page, records: Sequence[bytes], keys: KeyRing, ciphers: dict[bytes, AESGCM]) -> Request:
    now = int(time.time() * 1000)
    events = [_sealed_anew(record, keys, page, now, ciphers) for record in records]
    body = pack_frames([sealed for _, sealed in events])
    head = (
        "POST /v1/events HTTP/1.1\r\nHost: clickgoose\r\n"
        f"Authorization: Bearer {page.token}\r\nContent-Type: {FRAMES_CONTENT_TYPE}\r\n"
        f"X-Clickgoose-Signature: {sign(page.sign_key, now, body)}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return Request(head.encode() + body, tuple(event_id.hex() for event_id, _ in events))


def _sealed_anew(
    record: bytes, keys: KeyRing, page: Page, now: int, ciphers: dict[bytes, AESGCM]
) -> tuple[bytes, bytes]:
    sealed = record[sealed_start(record) :]
    old = read_header(sealed)
    if old is None:
        raise ValueError("a record holds no sealed event")
    if old.session_id not in ciphers:
        ciphers[old.session_id] = AESGCM(keys.derive(old.key_id, old.session_id, "seal") or b"")
    clear, nonce = sealed[:HEADER_BYTES], sealed[HEADER_BYTES : HEADER_BYTES + NONCE_BYTES]
    body = ciphers[old.session_id].decrypt(nonce, sealed[HEADER_BYTES + NONCE_BYTES :], clear)
    event_id, fresh = os.urandom(16), os.urandom(NONCE_BYTES)
    header = Header(page.key_id, page.session_id, _device(old.device_id, page), event_id, old.sequence, now).pack()
    return event_id, header + fresh + page.cipher.encrypt(fresh, body, header)


def _device(device_id: bytes, page: Page) -> bytes:
    """Return a device of this page's visitor: the same for the same device and session."""
    return hmac.digest(page.session_id, device_id, sha256)[:16]


def refusal(whole: bytes, events: int) -> str | None:
    """Say what is wrong with an answer, if not all of its events were taken."""
    head, _, body = whole.partition(b"\r\n\r\n")
    if b" 200 " not in head[:16]:
        return f"a request was answered with {head[:40]!r}: {body[:200]!r}"
    taken = body.count(b'"ok"')
    return None if taken == events else f"{events} events were sent, {taken} accepted: {body[:200]!r}"
