"""decode: which reason wins, what is read where, and that hostile bytes always end as a value."""

from __future__ import annotations

import pickle
import struct

import numpy as np
import pytest

from flows.stages.decode import Decode
from schemas.dead_letter import Reason
from schemas.envelope import ENVELOPE_BYTES, Attested, address_text, wrap
from schemas.keys import KeyRing
from schemas.nested import Entry
from schemas.payload import decode_payloads
from schemas.sealed import HEADER_BYTES, MAX_BODY_BYTES, SEALED_MIN_BYTES, Codec
from tests.strategies import same, same_activity, same_signals, texts_of
from tests.wire import (
    ADDRESS,
    CATALOGUE,
    CODECS,
    HONEST,
    NOW,
    RING,
    enveloped,
    header,
    payload,
    raw_batch,
    record,
    sealed,
    with_plaintext,
)

DECODE = Decode(RING)


def reasons(*records: bytes) -> list[Reason | None]:
    """Return the reason of each record, None where it was read; all in one batch."""
    out = DECODE(raw_batch(records))
    found = {letter.offset: letter.reason for letter in out.errs}
    return [found.get(row) for row in range(len(records))]


def test_every_codec_gives_the_same_columns() -> None:
    out = DECODE(raw_batch([record(0, {}, codec) for codec in CODECS]))
    assert not out.errs
    raw, deflated, packed, nested = (out.oks.take(np.array([row])) for row in range(4))
    for other in (deflated, packed, nested):
        assert same_signals(other.signals, raw.signals)
    assert same_activity(deflated.activity, raw.activity)
    assert same_activity(packed.activity, raw.activity)


def test_the_event_is_read_from_header_and_envelope() -> None:
    event = DECODE(raw_batch([enveloped(5, sealed(5, payload()))])).oks.event
    head = header(5)
    assert event.event_id[0].tobytes() == head.event_id
    assert event.session_id[0].tobytes() == head.session_id
    assert event.device_id[0].tobytes() == head.device_id
    assert address_text(event.address[0].tobytes()) == "192.0.2.17"
    assert (event.key_id[0], event.sequence[0], event.occurred_at[0]) == (1, 5, NOW + 5000)
    assert event.received_at[0] == NOW + 5040
    assert (event.merchant, event.transaction, event.linked_id) == (("shop-1",), ("order-1",), ("",))
    assert event.card_token == ("",)


def test_records_with_and_without_a_card_token_are_read_side_by_side() -> None:
    old, new = Attested("shop-1", "order-1", "c-1"), Attested("shop-1", "order-1", "c-1", "card_7")
    records = [wrap(said, NOW, ADDRESS, sealed(row, payload())) for row, said in enumerate((old, new, old))]
    out = DECODE(raw_batch(records))
    assert not out.errs
    assert out.oks.event.card_token == ("", "card_7", "")
    assert out.oks.event.linked_id == ("c-1",) * 3


def test_names_of_any_length_and_script_are_read() -> None:
    names = Attested("h\u00e4ndler" * 20, "", "\u5ba2" * 85, "card_7", "sign_up")
    event = DECODE(raw_batch([wrap(names, NOW, ADDRESS, sealed(0, payload())), record(1)])).oks.event
    read = (event.merchant[0], event.transaction[0], event.linked_id[0], event.card_token[0], event.event_type[0])
    assert read == names
    broken = bytearray(record(2))
    broken[ENVELOPE_BYTES] = 0xFF
    assert DECODE(raw_batch([bytes(broken)])).oks.event.merchant == ("\ufffdhop-1",)


@pytest.mark.parametrize("odd", ["zero\0inside", "\0", "h\u00e4ndler", "a" * 255, ""])
def test_names_are_read_whatever_those_beside_them_hold(odd: str) -> None:
    said = [
        Attested("shop-1", "order-1", "c-1", "card_7", "login"),
        Attested("shop-2", odd, "c-2", odd, ""),
        Attested("", "", "", "", ""),
        Attested(odd, "order-4", odd, "card_9", "payment"),
    ]
    records = [wrap(names, NOW, ADDRESS, sealed(row, payload())) for row, names in enumerate(said)]
    event = DECODE(raw_batch(records)).oks.event
    columns = (event.merchant, event.transaction, event.linked_id, event.card_token, event.event_type)
    assert list(zip(*columns, strict=True)) == said


def test_names_of_good_records_are_read_beside_what_is_no_record() -> None:
    records = [record(0), b"no record", record(4)]
    event = DECODE(raw_batch(records)).oks.event
    assert (event.merchant, event.transaction) == (("shop-1",) * 2, ("order-0", "order-1"))


def test_times_beyond_what_clocks_show_are_capped() -> None:
    late = enveloped(0, sealed(0, payload(), head=header(0, sent_at=2**64 - 1)), received_at=2**64 - 1)
    event = DECODE(raw_batch([late])).oks.event
    assert event.occurred_at.tolist() == event.received_at.tolist() == [2**62]


def test_master_keys_rotate_by_their_id() -> None:
    both = [record(0), enveloped(1, sealed(1, payload(), head=header(1, key_id=2)))]
    assert reasons(*both) == [None, None]
    out = Decode(KeyRing({2: RING.masters[2]}))(raw_batch(both))
    assert [letter.reason for letter in out.errs] == [Reason.UNKNOWN_KEY]


def test_sessions_whose_ciphers_were_forgotten_are_read_as_before() -> None:
    batch = raw_batch([record(row % 16) for row in range(64)])  # eight sessions in turn
    stage = Decode(RING, sessions=2)
    for _ in range(2):
        assert same(stage(batch).oks, DECODE(batch).oks)


@pytest.mark.parametrize("size", [0, 1, 2, 31, 32, 40, 70, 150])
def test_a_record_cut_anywhere_is_dead_with_a_reason(size: int) -> None:
    names = len(b"shop-1order-0")
    expected = Reason.BAD_ENVELOPE if size < ENVELOPE_BYTES + names else Reason.BAD_HEADER
    expected = expected if size < ENVELOPE_BYTES + names + SEALED_MIN_BYTES else Reason.NOT_AUTHENTIC
    assert reasons(record(0), record(1)[:size], record(2)) == [None, expected, None]


@pytest.mark.parametrize(
    ("at", "byte", "reason"),
    [
        (0, 0, Reason.BAD_ENVELOPE),
        (2, 9, Reason.BAD_ENVELOPE),
        (28, 255, Reason.NOT_AUTHENTIC),  # a longer merchant: the sealed event does not start where it did
        (45, 0, Reason.BAD_HEADER),
        (47, 9, Reason.UNKNOWN_VERSION),
        (48, 1, Reason.BAD_HEADER),  # flags of a later version
        (49, 5, Reason.UNKNOWN_KEY),
        (60, 1, Reason.NOT_AUTHENTIC),
        (101, 1, Reason.NOT_AUTHENTIC),
    ],
)
def test_each_changed_byte_has_its_reason(at: int, byte: int, reason: Reason) -> None:
    changed = bytearray(record(1))
    changed[at] ^= byte or changed[at]
    found = reasons(bytes(changed))[0]
    assert found is (Reason.BAD_HEADER if at == 28 else reason)


@pytest.mark.parametrize(
    ("plaintext", "reason"),
    [
        (b"\x04x", Reason.UNKNOWN_CODEC),
        (b"\x00", Reason.BAD_LAYOUT),
        (b"\x00" + b"x" * (MAX_BODY_BYTES + 1), Reason.TOO_LARGE),
        (b"\x03" + b" " * (MAX_BODY_BYTES + 1), Reason.TOO_LARGE),
        (b"\x02" + struct.pack("<I", 10) + b"x", Reason.INFLATE_FAILED),
        (b"\x03{}", Reason.BAD_NESTED),
        (b"\x03", Reason.BAD_NESTED),
    ],
)
def test_each_plaintext_has_its_reason(plaintext: bytes, reason: Reason) -> None:
    assert reasons(with_plaintext(0, plaintext)) == [reason]


def test_details_of_nested_events_say_where_and_not_what() -> None:
    (letter,) = DECODE(raw_batch([with_plaintext(0, b'\x03{"signals":{"screen.width":"CANARY4111"}}')])).errs
    assert letter.detail == "nested event: screen.width must be a number"


def test_an_event_of_the_largest_body_is_read() -> None:
    body = payload(
        {"page.title": "x" * 60_000, "page.last_error": "y" * 60_000}, [Entry(203, t) for t in range(10_000)]
    )
    assert len(body) > 200_000
    for codec in (Codec.RAW, Codec.LZ4, Codec.DEFLATE_RAW):
        assert reasons(enveloped(0, sealed(0, body, codec))) == [None]


def test_a_pickled_stage_reads_as_before_and_carries_no_cipher() -> None:
    copy = pickle.loads(pickle.dumps(DECODE))  # noqa: S301 - our own bytes
    assert same(copy(raw_batch([record(0)])).oks, DECODE(raw_batch([record(0)])).oks)
    assert "AESGCM" not in str(pickle.dumps(DECODE))


def test_absent_signals_stay_absent() -> None:
    signals = DECODE(raw_batch([record(0, dict.fromkeys(HONEST), codec) for codec in CODECS])).oks.signals
    assert np.isnan(signals.numbers).all()
    assert not signals.known.any()
    assert not signals.categories.any()
    assert all(column == [None] * 4 for column in texts_of(signals))


def test_the_body_is_that_of_the_sealed_event() -> None:
    expected, activity, good = decode_payloads([payload()], CATALOGUE)
    out = DECODE(raw_batch([record(0)])).oks
    assert good.all()
    assert same_signals(out.signals, expected)
    assert same_activity(out.activity, activity)
    assert HEADER_BYTES == 68
