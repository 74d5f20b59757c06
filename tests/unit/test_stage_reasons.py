"""Every reason of the closed set, produced where it arises: in its stage, in the guard around it, or at a sink."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from flows.parcel import Parcel
from flows.progress import Progress
from flows.run_stage import Monitor, run_stage
from flows.sinks.clickhouse import ClickHouse
from flows.sinks.destination import DestinationError
from flows.sinks.encoded import EncodedParcel
from flows.sinks.kafka import KafkaScored
from flows.sinks.redis_results import RedisResults
from flows.sinks.writer import Writer, WriterPolicy
from flows.stages.decode import Decode
from flows.stages.normalize import Normalize
from flows.stages.read_records import ReadRecords
from flows.stages.velocity import Velocity
from flows.stages.verify_mask import VerifyMask
from schemas.batches import RawBatch
from schemas.dead_letter import REASONS, DeadLetter, Reason, dead_letter_headers, decode_dead_letter, encode_dead_letter
from schemas.decision_record import DecisionRecord, encode_record
from schemas.stage import StageOut
from tests.scored_parcels import encoded_parcel
from tests.wire import (
    BAD,
    CANARY_AADHAAR,
    CANARY_CARD,
    CANARY_CODE,
    CANARY_EMAIL,
    CANARY_IBAN,
    CANARY_PHONE,
    LATENESS,
    RING,
    parcel,
    raw_batch,
    record,
)

CANARIES = {
    Reason.CARD_NUMBER: (CANARY_CARD, CANARY_CARD.replace(" ", "")),
    Reason.CARD_DETAILS: (CANARY_CODE,),
    Reason.IBAN: (CANARY_IBAN, CANARY_IBAN.replace(" ", "")),
    Reason.NATIONAL_ID: (CANARY_AADHAAR, CANARY_AADHAAR.replace(" ", "")),
    Reason.EMAIL: (CANARY_EMAIL, "jane.canary"),
    Reason.PHONE: (CANARY_PHONE, "23456789"),
    Reason.SECRET_IN_URL: ("CANARYSECRET",),
}
DECIDED = DecisionRecord(
    merchant="shop-1", event_id="e", event_type="payment", occurred_at=1, received_at=2, decision="allow", by="default"
)
Made = tuple[DeadLetter, bytes]  # and the record as it was received


def _by_stages(reason: Reason) -> Made:
    """Run a bad record between two good ones through the stages up to the one that refuses it."""
    bad = BAD[reason](1)
    batch: Any = raw_batch([record(0), bad, record(2)], partition=3, first=40)
    session = Velocity(lateness_ms=LATENESS).open(())
    for stage in (Decode(RING), VerifyMask(), Normalize(), session.apply):
        out: StageOut[Any] = stage(batch)
        if out.errs:
            (letter,) = out.errs
            assert len(out.oks) == 2
            return letter, bad
        batch = out.oks
    raise AssertionError(f"no stage refused the record of {reason}")


def _by_record(reason: Reason) -> Made:
    """Read what is no record between two records."""
    bad = b'{"version": 1}' if reason is Reason.BAD_RECORD else b'{"version": 9, "of": "a newer build"}'
    good = encode_record(DECIDED)
    batch = raw_batch([good, bad, good], partition=3, first=40)
    done = run_stage(ReadRecords(), parcel(batch), Monitor.silent())
    assert done.batch.records == (DECIDED, DECIDED)
    (letter,) = done.errs
    return letter, bad


class _Broken:
    name = "decode"

    def __call__(self, batch: RawBatch, /) -> StageOut[RawBatch]:
        if any(offset == 41 for offset in batch.origin.offset):
            raise ZeroDivisionError("4111 1111 1111 1111")
        return StageOut(batch)


def _by_bug(_reason: Reason) -> Made:
    batch = raw_batch([record(0), record(1), record(2)], partition=3, first=40)
    done: Parcel[RawBatch] = run_stage(_Broken(), parcel(batch), Monitor.silent())
    (letter,) = done.errs
    assert done.batch.origin.offset.tolist() == [40, 42]
    return letter, record(1)


class _Backup:
    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    def append(self, letters: Sequence[DeadLetter], /) -> None:
        self.letters += letters


class _Refusing:
    """A destination whose server is away, with the letters of the real one."""

    def __init__(self, real: Any) -> None:
        self.name, self.letters, self.probe = real.name, real.letters, real.probe

    def write(self, parcels: Sequence[EncodedParcel], /) -> None:
        raise DestinationError("connection refused")

    def close(self) -> None:
        """Nothing to let go of."""


def _by_sink(make: Callable[[], Any]) -> Callable[[Reason], Made]:
    def produce(_reason: Reason) -> Made:
        backup, destination, held = _Backup(), _Refusing(make()), threading.Event()
        policy = WriterPolicy(attempts=2, backoff_seconds=0.001, close_seconds=2.0)
        writer = Writer(destination, Progress([destination.name]), policy, (destination, backup), lambda _: held.set())
        item = encoded_parcel(1, partition=3, first=41)
        writer.put(item)
        assert held.wait(5)
        writer.close()
        (letter,) = backup.letters
        return letter, item.parcel.batch.values[0]

    return produce


def _by_kafka_refusal(_reason: Reason) -> Made:
    class Refuses:
        def append(self, records: Sequence[Any]) -> list[int]:
            return list(range(len(records)))

    backup, item = _Backup(), encoded_parcel(1, partition=3, first=41)
    KafkaScored(Refuses(), backup).write([item])  # type: ignore[arg-type]
    return backup.letters[0], item.parcel.batch.values[0]


CASES: dict[Reason, Callable[[Reason], Made]] = {
    **dict.fromkeys(BAD, _by_stages),
    **dict.fromkeys((Reason.BAD_RECORD, Reason.RECORD_VERSION), _by_record),
    Reason.BUG: _by_bug,
    Reason.SINK_CLICKHOUSE: _by_sink(lambda: ClickHouse("clickhouse://127.0.0.1:1/x")),
    Reason.SINK_REDIS: _by_sink(lambda: RedisResults(None, 60)),  # type: ignore[arg-type]
    Reason.SINK_KAFKA: _by_kafka_refusal,
}


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_arises_where_it_should_with_the_facts_that_a_redrive_needs(reason: Reason) -> None:
    letter, received = CASES[reason](reason)
    assert letter.reason is reason
    assert REASONS[reason].stage in ("any", letter.stage)
    assert (letter.topic, letter.partition, letter.offset) == ("events.raw", 3, 41)
    assert decode_dead_letter(encode_dead_letter(letter)) == letter
    assert letter.detail
    assert len(letter.detail) < 200
    if not reason.value.startswith("sink."):
        assert letter.payload_sha256 == hashlib.sha256(received).hexdigest()
    if letter.payload_format == "envelope":
        assert letter.payload == received


@pytest.mark.parametrize("reason", CANARIES)
def test_a_masking_letter_holds_the_value_nowhere_neither_plain_nor_encoded(reason: Reason) -> None:
    letter, received = _by_stages(reason)
    assert letter.payload_format == "redacted"
    written = encode_dead_letter(letter) + repr(dead_letter_headers(letter)).encode()
    held = (written, letter.payload, base64.b64decode(base64.b64encode(letter.payload)), repr(letter).encode())
    for canary in CANARIES[reason]:
        plain = canary.encode()
        forms = {plain, plain.hex().encode(), *(_base64_core(plain, shift) for shift in range(3))}
        for place in held:
            assert not any(form in place for form in forms)
    assert b"[redacted " in letter.payload
    assert received not in letter.payload


def _base64_core(plain: bytes, shift: int) -> bytes:
    """Return the part of the base64 text that does not depend on what stands around the value."""
    return base64.b64encode(b"\0" * shift + plain)[4:-4]


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason in BAD and reason not in CANARIES])
def test_a_letter_that_is_not_about_masking_keeps_the_payload_untouched(reason: Reason) -> None:
    letter, received = _by_stages(reason)
    assert letter.payload_format == "envelope"
    assert letter.payload == received


@pytest.mark.parametrize("reason", [Reason.BAD_ENVELOPE, Reason.BAD_HEADER])
def test_what_cannot_be_read_has_no_ids(reason: Reason) -> None:
    letter, _ = _by_stages(reason)
    assert letter.event_id is letter.merchant is None


@pytest.mark.parametrize("reason", [Reason.NOT_AUTHENTIC, Reason.UNKNOWN_KEY, Reason.EMAIL, Reason.TOO_LATE])
def test_what_can_be_read_has_its_ids(reason: Reason) -> None:
    letter, _ = _by_stages(reason)
    assert letter.merchant == "shop-1"
    assert letter.event_id is not None
    assert len(letter.event_id) == 32


def test_a_bug_is_named_by_its_class_and_never_by_its_text() -> None:
    letter, _ = _by_bug(Reason.BUG)
    assert letter.detail.startswith("the stage raised ZeroDivisionError, stack ")
