"""The ingest envelope: addresses, names and times in front of opaque bytes."""

from __future__ import annotations

import numpy as np
import pytest

from schemas.envelope import (
    ENVELOPE_BYTES,
    ENVELOPE_DTYPE,
    NAME_LENGTHS,
    Attested,
    address_bytes,
    address_text,
    sealed_start,
    wrap,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:0DB8:0000::0001", "2001:db8::1"),
        ("::", "::"),
    ],
)
def test_addresses_are_16_bytes_and_read_back(text: str, shown: str) -> None:
    packed = address_bytes(text)
    assert len(packed) == 16
    assert address_text(packed) == shown


@pytest.mark.parametrize("text", ["", "192.0.2", "192.0.2.256", "localhost", "1.2.3.4/8"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        address_bytes(text)


def test_an_envelope_reads_back_as_one_structured_row() -> None:
    said = Attested("h\u00e4ndler", "order-1", "", "card_7", "login")
    record = wrap(said, 1_790_000_000_123, address_bytes("2001:db8::9"), b"sealed")
    row = np.frombuffer(record[:ENVELOPE_BYTES], ENVELOPE_DTYPE)[0]
    assert ENVELOPE_DTYPE.itemsize == ENVELOPE_BYTES
    assert (row["magic"], row["version"], row["received_at"]) == (b"CE", 1, 1_790_000_000_123)
    assert address_text(row["address"].tobytes()) == "2001:db8::9"
    assert [row[name] for name in NAME_LENGTHS] == [8, 7, 0, 6, 5]
    assert record[ENVELOPE_BYTES:] == "h\u00e4ndlerorder-1card_7login".encode() + b"sealed"
    assert record[sealed_start(record) :] == b"sealed"


def test_a_record_without_a_card_token_has_the_bytes_that_it_had_before_there_were_any() -> None:
    before = (
        bytes.fromhex("43450100a36c50c4a001000000000000000000000000ffffc00002110407000073686f706f726465722d31") + b"s"
    )
    assert wrap(Attested("shop", "order-1"), 1_790_000_000_163, address_bytes("192.0.2.17"), b"s") == before


def test_names_may_have_255_bytes_and_no_more() -> None:
    wrap(Attested("m" * 255, "t" * 255, "\u00e4" * 127, "c" * 255), 0, b"\0" * 16, b"")
    with pytest.raises(ValueError, match="at most 255 bytes"):
        wrap(Attested("m", "\u00e4" * 128, ""), 0, b"\0" * 16, b"")
