"""Dead letters and results: records that read back, headers that say the same, reasons that are all explained."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from typing import get_args

import msgspec
import numpy as np
import pytest

from schemas.dead_letter import (
    REASONS,
    DeadLetter,
    Disposition,
    Fault,
    Reason,
    dead_letter_headers,
    dead_letters,
    decode_dead_letter,
    encode_dead_letter,
)
from schemas.result import (
    DECISIONS,
    Factor,
    Place,
    Result,
    SmartSignal,
    VelocityCounts,
    Versions,
    Windows,
    decode_rejected,
    decode_result,
    encode_rejected,
    encode_result,
    pending_key,
    result_key,
    session_key,
)
from tests.wire import NOW, raw_batch

LETTER = DeadLetter(
    reason=Reason.BAD_LAYOUT, stage="decode", detail="said what", topic="events.raw", partition=3, offset=2**40,
    received_at=NOW, first_failed_at=NOW + 5, payload=bytes(range(256)), payload_format="envelope",
    payload_sha256="ab" * 32, event_id="0f" * 16, merchant="shop",
)  # fmt: skip
RESULT = Result(
    event_id="0f" * 16, session_id="0e" * 16, device_id="0d" * 16, merchant="shop", transaction="order-1",
    occurred_at=NOW, received_at=NOW + 40, score=87.25, decision="deny",
    factors=[Factor("bot", "webdriver is set", 2.5)],
    smart_signals={
        "bot": SmartSignal(True, 0.9, "high", 1, ["webdriver"]),
        "headless": SmartSignal(None, None, "none", 1),
    },
    velocity=VelocityCounts(Windows(1, 2, 3)), versions=Versions("m1", 1, "0.1.0"), origin=Place("events.raw", 3, 9),
    ledger={"appended": 1, "decode": 2},
)  # fmt: skip


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_explained(reason: Reason) -> None:
    facts = REASONS[reason]
    assert reason.value.partition(".")[0] in ("decode", "mask", "normalize", "velocity", "record", "internal", "sink")
    assert facts.fault in get_args(Fault)
    assert facts.disposition in get_args(Disposition)
    assert facts.stage
    assert facts.meaning.endswith(".")
    assert facts.remedy.endswith(".")


def test_no_reason_is_explained_that_is_none() -> None:
    assert set(REASONS) == set(Reason)
    assert len({reason.value for reason in Reason}) == len(Reason)


@pytest.mark.parametrize("letter", [LETTER, replace(LETTER, event_id=None, merchant=None, attempts=3, payload=b"")])
def test_a_letter_reads_back(letter: DeadLetter) -> None:
    assert decode_dead_letter(encode_dead_letter(letter)) == letter


def test_a_letter_is_plain_json_with_the_payload_in_base64() -> None:
    record = json.loads(encode_dead_letter(LETTER))
    assert record["reason"] == "decode.bad_layout"
    assert base64.b64decode(record["payload"]) == LETTER.payload
    assert set(record) == set(DeadLetter.__slots__)


def test_a_record_of_an_unknown_reason_or_without_a_field_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_dead_letter(encode_dead_letter(LETTER).replace(b"decode.bad_layout", b"no.such"))
    with pytest.raises(msgspec.ValidationError):
        decode_dead_letter(b'{"reason":"decode.bad_layout"}')


def test_headers_say_what_the_record_says_without_the_payload() -> None:
    headers = {name.removeprefix("clickgoose."): value.decode() for name, value in dead_letter_headers(LETTER)}
    record = json.loads(encode_dead_letter(LETTER))
    assert headers.pop("disposition") == "poison"
    assert {name: str(record[name]) for name in headers} == headers
    assert "payload" not in headers
    assert "detail" not in headers
    empty = dict(dead_letter_headers(replace(LETTER, event_id=None, merchant=None)))
    assert empty["clickgoose.event_id"] == empty["clickgoose.merchant"] == b""


def test_a_redacted_letter_keeps_the_digest_of_what_was_received() -> None:
    letter = LETTER.redacted(b"{}")
    assert (letter.payload, letter.payload_format) == (b"{}", "redacted")
    assert letter.payload_sha256 == LETTER.payload_sha256
    assert (letter.reason, letter.offset, letter.event_id) == (LETTER.reason, LETTER.offset, LETTER.event_id)


def test_letters_of_a_batch_without_ids_carry_the_origin() -> None:
    batch = raw_batch([b"one", b"two"], partition=4, first=10)
    (letter,) = dead_letters(batch, np.array([1]), Reason.BAD_ENVELOPE, "decode", "why")
    assert (letter.topic, letter.partition, letter.offset) == ("events.raw", 4, 11)
    assert letter.received_at == batch.origin.appended_at[1]
    assert letter.first_failed_at == batch.origin.polled_at[1]
    assert letter.payload == b"two"
    assert letter.payload_sha256 == hashlib.sha256(b"two").hexdigest()
    assert letter.event_id is letter.merchant is None


def test_a_result_reads_back() -> None:
    assert decode_result(encode_result(RESULT)) == RESULT
    assert json.loads(encode_result(RESULT))["decision"] in DECISIONS


def test_a_signal_that_cannot_be_computed_is_null_and_not_false() -> None:
    record = json.loads(encode_result(RESULT))
    assert record["smart_signals"]["headless"] == {"result": None, "confidence": None, "level": "none", "version": 1}


def test_a_rejection_is_told_from_a_result() -> None:
    record = encode_rejected("0f" * 16, "mask.email")
    found = decode_rejected(record)
    assert found is not None
    assert (found.event_id, found.reason, found.status) == ("0f" * 16, "mask.email", "rejected")
    assert decode_rejected(encode_result(RESULT)) is None
    with pytest.raises(msgspec.ValidationError):
        decode_result(record)


def test_keys_hold_the_merchant_first_so_that_tenants_cannot_meet() -> None:
    assert result_key("shop", "aa") == "score:shop:aa"
    assert session_key("shop", "aa") == "session:shop:aa"
    assert pending_key("shop", "aa") == "pending:shop:aa"
