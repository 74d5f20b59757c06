"""Records that are sent again: their form, what decode makes of them, and what their letters say."""

from __future__ import annotations

import numpy as np
import pytest

from flows.stages.decode import Decode
from schemas.batches import Recognized, Related
from schemas.dead_letter import Reason, dead_letters, decode_dead_letter, encode_dead_letter
from schemas.envelope import Attested, wrap
from schemas.redriven import RedrivenError, found_redriven, original_of, unwrap_redriven, wrap_redriven
from schemas.told import read_told, told_of
from tests.builders import counted, recognized, related
from tests.strategies import same
from tests.wire import RING, raw_batch, record

DECODE = Decode(RING)
BATCH = related([{}] * 3, velocity=[{"events_5m": 7, "places": [(52.5, 13.4, 5)]}] * 3, shared=[{"asn_events_1h": 9}])


def test_a_record_comes_out_as_it_went_in() -> None:
    value = wrap_redriven(3, b"told", record(1))
    assert unwrap_redriven(value) == found_redriven(value) == (3, b"told", record(1))
    assert original_of(value) == original_of(record(1)) == record(1)
    assert found_redriven(record(1)) is None


@pytest.mark.parametrize("attempt", [0, 256])
def test_an_attempt_that_does_not_fit_is_refused(attempt: int) -> None:
    with pytest.raises(ValueError, match="1 to 255 attempts"):
        wrap_redriven(attempt, b"", b"")


@pytest.mark.parametrize(
    "value",
    [b"CR", b"CR\x02\x01" + bytes(8), b"CR\x01\x00" + bytes(8), wrap_redriven(1, b"x" * 9, b"")[:-1],
     wrap_redriven(1, b"", wrap_redriven(1, b"", b"")),
     *(wrap_redriven(1, b"told", b"r")[:size] for size in range(2, 12))],
)  # fmt: skip
def test_what_is_no_redriven_record_is_refused_and_dead(value: bytes) -> None:
    with pytest.raises(RedrivenError):
        unwrap_redriven(value)
    assert original_of(value) == value
    out = DECODE(raw_batch([record(0), value, record(2)]))
    assert [(letter.reason, letter.offset, letter.payload) for letter in out.errs] == [(Reason.BAD_ENVELOPE, 1, value)]
    assert len(out.oks) == 2


def test_no_client_can_make_a_redriven_record() -> None:
    """Ingest puts its envelope before whatever a client sends, so the mark is never what a record begins with."""
    sent = wrap_redriven(1, told_of(BATCH, 0), record(1))
    for merchant in ("shop-1", "CR"):
        value = wrap(Attested(merchant, ""), 1_700_000_000_000, b"\0" * 16, sent)
        assert found_redriven(value) is None
        (letter,) = DECODE(raw_batch([value])).errs
        assert (letter.reason, letter.attempts, letter.told) == (Reason.BAD_HEADER, 1, b"")


def test_decode_reads_the_event_as_it_was_first_received_and_keeps_the_record() -> None:
    told = told_of(BATCH, 0)
    values = [record(0), wrap_redriven(2, told, record(1)), record(2)]
    found, plain = DECODE(raw_batch(values)).oks, DECODE(raw_batch([original_of(value) for value in values])).oks
    assert found.values == tuple(values)
    assert (found.event.attempt.tolist(), found.event.told) == ([0, 2, 0], (b"", told, b""))
    assert same(found.signals, plain.signals)
    assert same(found.activity, plain.activity)
    assert same(found.event.event_id, plain.event.event_id)
    assert plain.event.attempt.tolist() == [0, 0, 0]


def test_counts_of_another_layout_are_no_reason_to_count_again() -> None:
    value = wrap_redriven(1, told_of(BATCH, 0)[:-1], record(1))
    (letter,) = DECODE(raw_batch([value])).errs
    assert (letter.reason, letter.attempts) == (Reason.UNKNOWN_VERSION, 2)
    assert letter.told == told_of(BATCH, 0)[:-1]


@pytest.mark.parametrize("row", [0, 2])
def test_what_a_row_was_told_is_exact(row: int) -> None:
    one = np.array([row])
    for batch in (BATCH, recognized([{}] * 3)):
        told = read_told(told_of(batch, row))
        for name in ("velocity", "history", "session", "recognition"):
            assert same(getattr(told, name), getattr(batch, name).take(one))
        assert isinstance(batch, Related) == (told.shared is not None)
    assert same(read_told(told_of(BATCH, row)).shared, BATCH.shared.take(one))


def test_letters_carry_what_was_told_from_the_first_stage_that_has_it_all() -> None:
    assert isinstance(BATCH, Recognized)
    for batch, expected in ((counted([{}]), b""), (BATCH, told_of(BATCH, 0))):
        (letter,) = dead_letters(batch, [0], Reason.BUG, "enrich", "why")
        assert (letter.told, letter.attempts) == (expected, 1)
        assert decode_dead_letter(encode_dead_letter(letter)) == letter
        assert letter.redacted(b"").told == b""


def test_a_letter_of_a_build_before_reads_as_one_without_counts() -> None:
    (letter,) = dead_letters(raw_batch([record(0)]), [0], Reason.BUG, "decode", "why")
    before = encode_dead_letter(letter).replace(b',"told":""', b"")
    assert b"told" not in before
    assert decode_dead_letter(before) == letter
