"""malformed: clients that send what cannot be scored, one way for each reason of the taxonomy that a client can cause.

Some ways change the signals, some the body before it is sealed, some the plaintext, some the sealed bytes. The ingest
tier refuses a few at the door (``at_the_door``); the others end in the dead-letter backup with ``reason``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import msgspec

from infra.traffic.craft import Craft
from infra.traffic.signals import Signals
from infra.traffic.visits import FRAUD, Campaign
from schemas.dead_letter import Reason
from schemas.sealed import MAX_BODY_BYTES, Codec, Header, pack_body

DAY_MS = 86_400_000
# Numbers that the industry publishes for tests, and names and lines that nobody has.
TEST_CARD, TEST_EMAIL, TEST_PHONE = "4111 1111 1111 1111", "jane.canary@example.com", "+1 415 555 0132"
TEST_IBAN, TEST_AADHAAR, TEST_CODE = "DE89 3704 0044 0532 0130 00", "9999 4105 7058", "cvv=739"

BodyChange = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Spoil:
    """One way to spoil an event, and the reason that it is refused for."""

    reason: Reason
    signals: Signals | None = None  # over the honest ones
    codec: Codec = Codec.RAW
    body: BodyChange | None = None
    plaintext: BodyChange | None = None  # of the body to what is encrypted
    header: Callable[[Header], Header] | None = None  # sealed under the changed header
    sealed: BodyChange | None = None
    wrong_key: bool = False
    at_the_door: str | None = None  # the reason that the ingest tier drops it for


def _bomb(_body: bytes) -> bytes:
    """A gigabyte, as it says, in a few bytes."""
    return bytes((Codec.DEFLATE_RAW,)) + struct.pack("<I", 1 << 30) + b"\xed\xc1\x01\x0d" + b"\0" * 64


def _understated(body: bytes) -> bytes:
    """A compressed body that unpacks to more than it says."""
    packed = pack_body(body * 40, Codec.DEFLATE_RAW)
    return packed[:1] + struct.pack("<I", len(body)) + packed[5:]


def _torn(body: bytes) -> bytes:
    return pack_body(body, Codec.LZ4)[:-40]


def _unknown_signal(_body: bytes) -> bytes:
    return msgspec.json.encode({"signals": {"navigator.shoe_size": 43}, "activity": []})


def _not_json(_body: bytes) -> bytes:
    return b'{"signals": {"screen.width": 19'


def _flip(sealed: bytes) -> bytes:
    return sealed[:-20] + bytes((sealed[-20] ^ 0x40,)) + sealed[-19:]


def _version(sealed: bytes) -> bytes:
    return sealed[:2] + b"\x07" + sealed[3:]


def _old(header: Header) -> Header:
    return header._replace(sent_at=max(0, header.sent_at - DAY_MS - 3_600_000))


SPOILS: Mapping[str, Spoil] = {
    "wrong_mark": Spoil(Reason.BAD_HEADER, sealed=lambda sealed: b"XX" + sealed[2:], at_the_door="bad_header"),
    "cut_in_header": Spoil(Reason.BAD_HEADER, sealed=lambda sealed: sealed[:60], at_the_door="bad_header"),
    "unknown_version": Spoil(Reason.UNKNOWN_VERSION, sealed=_version, at_the_door="bad_header"),
    "unknown_key": Spoil(
        Reason.UNKNOWN_KEY, header=lambda header: header._replace(key_id=4_000_000), at_the_door="unknown_key"
    ),
    "too_old": Spoil(Reason.TOO_LATE, header=_old, at_the_door="too_old"),
    "wrong_key": Spoil(Reason.NOT_AUTHENTIC, wrong_key=True),
    "altered": Spoil(Reason.NOT_AUTHENTIC, sealed=_flip),
    "cut_short": Spoil(Reason.NOT_AUTHENTIC, sealed=lambda sealed: sealed[:-33]),
    "unknown_codec": Spoil(Reason.UNKNOWN_CODEC, plaintext=lambda body: b"\x09" + body),
    "bomb": Spoil(Reason.TOO_LARGE, plaintext=_bomb),
    "oversize_said": Spoil(
        Reason.TOO_LARGE, plaintext=lambda body: b"\x02" + struct.pack("<I", MAX_BODY_BYTES + 1) + body[:200]
    ),
    "understated": Spoil(Reason.INFLATE_FAILED, plaintext=_understated),
    "torn": Spoil(Reason.INFLATE_FAILED, plaintext=_torn),
    "cut_body": Spoil(Reason.BAD_LAYOUT, body=lambda body: body[:-7]),
    "long_body": Spoil(Reason.BAD_LAYOUT, body=lambda body: body + b"\0" * 5),
    "unknown_signal": Spoil(Reason.BAD_NESTED, body=_unknown_signal, codec=Codec.NESTED_JSON),
    "not_json": Spoil(Reason.BAD_NESTED, body=_not_json, codec=Codec.NESTED_JSON),
    "card_in_title": Spoil(Reason.CARD_NUMBER, {"page.title": f"Pay with {TEST_CARD}"}),
    "email_in_error": Spoil(Reason.EMAIL, {"page.last_error": f"no such user: {TEST_EMAIL}"}),
    "phone_in_title": Spoil(Reason.PHONE, {"page.title": f"Call {TEST_PHONE}"}),
    "iban_in_title": Spoil(Reason.IBAN, {"page.title": f"Pay from {TEST_IBAN}"}),
    "aadhaar_in_title": Spoil(Reason.NATIONAL_ID, {"page.title": f"id {TEST_AADHAAR}"}),
    "card_code_in_error": Spoil(Reason.CARD_DETAILS, {"page.last_error": f"declined ({TEST_CODE})"}),
    "secret_in_url": Spoil(Reason.SECRET_IN_URL, {"page.url": "https://demo-shop.example/pay?session=canary-secret"}),
    "impossible_screen": Spoil(Reason.OUT_OF_RANGE, {"screen.width": 1e7}),
    "infinite": Spoil(Reason.NOT_FINITE, {"navigator.device_memory": float("inf")}),
}


def malformed(craft: Craft, at: int) -> Campaign:
    """Return one visit whose events are all spoilt in one way."""
    way = craft.random.choice(tuple(SPOILS))
    visit = craft.honest(craft.visitor(at))
    events = visit.events[:2]
    changes = SPOILS[way].signals
    if changes is not None:
        events = tuple(replace(event, changes={**event.changes, **changes}) for event in events)
    return [(0, replace(visit, kind="malformed", label=FRAUD, events=events, spoil=way, together=1))]
