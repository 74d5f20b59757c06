"""What is shown of a payload: clear headers and sizes; never what somebody typed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from infra.letter_payload import payload_view, redacted
from schemas.dead_letter import DeadLetter, PayloadFormat, Reason
from schemas.envelope import Attested, wrap
from schemas.keys import KeyRing
from tests.wire import (
    ADDRESS,
    CANARY_CARD,
    CANARY_EMAIL,
    CANARY_IBAN,
    CANARY_PHONE,
    CANARY_URL,
    NOW,
    RING,
    header,
    payload,
    record,
    sealed,
)

CANARIES = (CANARY_CARD, CANARY_EMAIL, CANARY_IBAN, CANARY_PHONE, "CANARYSECRET")
ATTESTED = Attested("shop-1", "order-9", CANARY_EMAIL, "tok_1", "payment")


def letter(data: bytes, form: PayloadFormat = "envelope") -> DeadLetter:
    return DeadLetter(
        reason=Reason.UNKNOWN_KEY, stage="decode", detail="d", topic="events.raw", partition=0, offset=7,
        received_at=NOW, first_failed_at=NOW, payload=data, payload_format=form, payload_sha256="0" * 64,
    )  # fmt: skip


def holds_none(view: dict[str, Any]) -> bool:
    shown = json.dumps(view, ensure_ascii=False)
    return not any(canary in shown for canary in CANARIES)


def test_of_a_sealed_event_the_clear_header_and_sizes_are_shown_and_names_only_by_length() -> None:
    head = header(3, key_id=9)
    event = sealed(3, payload(), head=head)
    view = payload_view(letter(wrap(ATTESTED, NOW, ADDRESS, event)))
    assert view["envelope"] == {
        "version": 1, "received_at": NOW, "event_type": "payment", "merchant_bytes": 6, "transaction_bytes": 7,
        "linked_id_bytes": len(CANARY_EMAIL), "card_token_bytes": 5, "event_type_bytes": 7,
    }  # fmt: skip
    assert view["sealed"]["bytes"] == len(event)
    shown = view["sealed"]["header"]
    assert (shown["version"], shown["key_id"], shown["sequence"]) == (1, 9, 3)
    assert shown["event_id"] == head.event_id.hex()
    assert holds_none(view)
    assert "opened" not in view


@pytest.mark.parametrize("version", [0, 2, 255])
def test_the_header_of_a_version_that_this_build_does_not_open_is_shown(version: int) -> None:
    whole = bytearray(wrap(ATTESTED, NOW, ADDRESS, sealed(1, payload())))
    whole[whole.index(b"CG", 32) + 2] = version
    assert payload_view(letter(bytes(whole)))["sealed"]["header"]["version"] == version


@pytest.mark.parametrize("data", [b"", b"CE", b"x" * 200, b"CE\x01" + b"\xff" * 40, record(0)[:60]])
def test_what_is_no_whole_envelope_is_said_and_not_printed(data: bytes) -> None:
    view = payload_view(letter(data), RING)
    assert view["bytes"] == len(data)
    assert view["opened"]["fails"].startswith("decode.")


def test_an_opened_event_is_redacted_in_texts_and_names() -> None:
    signals = {"page.url": CANARY_URL, "page.title": f"for {CANARY_EMAIL}", "page.referrer": CANARY_IBAN}
    view = payload_view(letter(wrap(ATTESTED, NOW, ADDRESS, sealed(4, payload(signals)))), RING)
    opened = view["opened"]
    assert holds_none(view)
    assert opened["signals"]["page.title"] == "for [redacted email]"
    assert opened["names"] == {
        "merchant": "shop-1", "transaction": "order-9", "linked_id": "[redacted email]", "card_token": "tok_1"
    }  # fmt: skip
    assert opened["signals"]["screen.width"] == 1920
    assert opened["activity"]


def test_a_card_in_pieces_of_several_texts_is_redacted() -> None:
    signals = {"page.title": "4111 1111", "page.referrer": "1111 1111"}
    opened = payload_view(letter(wrap(ATTESTED, NOW, ADDRESS, sealed(4, payload(signals)))), RING)["opened"]
    assert "1111" not in opened["signals"]["page.title"] + opened["signals"]["page.referrer"]


def test_without_the_key_an_event_stays_closed_and_the_reason_is_said() -> None:
    view = payload_view(letter(record(0)), KeyRing({2: b"\x22" * 32}))
    assert view["opened"]["fails"] == "decode.unknown_key"


@pytest.mark.parametrize("form", ["scored", "redacted"])
def test_json_payloads_are_redacted_and_ids_are_kept(form: PayloadFormat) -> None:
    event_id = "4111111111111111" * 2
    data = msgspec.json.encode({"event_id": event_id, "rules": [CANARY_CARD, {"x": CANARY_PHONE}], CANARY_EMAIL: 1})
    view = payload_view(letter(data, form))
    assert holds_none(view)
    assert view["json"]["event_id"] == event_id


def test_rows_for_clickhouse_are_shown_by_table_and_column_with_bytes_as_sizes() -> None:
    row = {"events": {"transaction": ("|O", CANARY_EMAIL.encode()), "velocity_bytes": ("|O", b"\xff\x00\x01")}}
    view = payload_view(letter(msgspec.msgpack.encode(row), "rows"))
    assert view["tables"] == {
        "events": {"transaction": ["|O", "[redacted email]"], "velocity_bytes": ["|O", {"bytes": 3}]}
    }


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"\x91" * 100_000])
@pytest.mark.parametrize("form", ["scored", "rows"])
def test_payloads_that_cannot_be_read_are_said_to_be(data: bytes, form: PayloadFormat) -> None:
    view = payload_view(letter(data, form))
    shown = view["tables" if form == "rows" else "json"]
    assert isinstance(shown, int) or "unreadable" in shown


def test_long_texts_are_cut_and_say_how_long_they_are() -> None:
    assert redacted("word " * 1_000) == "word " * 100 + "… (5000 characters)"


def test_a_letter_keeps_its_own_digest() -> None:
    assert payload_view(replace(letter(b"x"), payload_sha256="ab"))["sha256"] == "ab"
