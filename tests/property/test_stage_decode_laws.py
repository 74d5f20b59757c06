"""Laws of decode: no bytes make it raise, and every row ends in exactly one place."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.stages.decode import Decode
from flows.stages.normalize import Normalize
from flows.stages.verify_mask import VerifyMask
from schemas.payload import decode_payloads
from schemas.sealed import Codec
from tests.strategies import CATALOGUE, same, same_activity, same_signals
from tests.wire import BAD, CODECS, RING, enveloped, header, payload, raw_batch, record, sealed, with_plaintext

DECODE, VERIFY, NORMALIZE = Decode(RING), VerifyMask(), Normalize()
GOOD = [record(row, {}, CODECS[row % 4]) for row in range(8)] + [make(9) for make in BAD.values()]
CHANGES = st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), max_size=3)


def changed(data: bytes, changes: list[tuple[float, int]], cut: float) -> bytes:
    """Return the bytes with some of them changed, and cut."""
    out = bytearray(data)
    for place, byte in changes:
        out[int(place * (len(out) - 1))] ^= byte
    return bytes(out[: round(cut * len(out))])


MUTATED = st.builds(changed, st.sampled_from(GOOD), CHANGES, st.sampled_from((1.0, 1.0, 1.0, 0.9, 0.1)))
PLAIN = st.builds(lambda codec, body: bytes((codec,)) + body, st.integers(0, 4), st.binary(max_size=80))
OPENED = st.builds(with_plaintext, st.integers(0, 7), PLAIN)
NESTED = st.binary(max_size=60).map(lambda body: enveloped(0, sealed(0, body, Codec.NESTED_JSON, header(0))))


@settings(max_examples=120, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=300), MUTATED, OPENED, NESTED, st.sampled_from(GOOD)), max_size=8))
def test_any_records_are_decoded_checked_and_normalised_or_dead(records: list[bytes]) -> None:
    batch = raw_batch(records)
    for stage in (DECODE, VERIFY, NORMALIZE):
        out = stage(batch)  # type: ignore[operator]
        assert len(out.oks) + len(out.errs) == len(batch)
        dead, kept = {letter.offset for letter in out.errs}, set(out.oks.origin.offset.tolist())
        assert len(dead) == len(out.errs)
        assert not dead & kept
        batch = out.oks


def drawn(random: Random) -> bytes:
    """Return a record, mostly a good one, else one that is changed somewhere or has a changed payload."""
    chance, base = random.random(), random.choice(GOOD)
    if chance < 0.6:
        return record(random.randrange(200), {}, random.choice(CODECS))
    if chance < 0.8:
        places = [(random.random(), random.randrange(1, 256)) for _ in range(random.randrange(3))]
        return changed(base, places, random.choice((1.0, 1.0, 0.9, 0.1)))
    plain = changed(b"\0" + payload(), [(random.random() ** 4, random.randrange(1, 256))], 1.0)
    return with_plaintext(random.randrange(8), plain)


@pytest.mark.parametrize("rows", [1, 4, 64, 256])
def test_a_batch_of_any_size_gives_what_its_records_give_alone(rows: int) -> None:
    random = Random(rows)
    records = [drawn(random) for _ in range(rows)]
    whole: Any = raw_batch(records)
    alone: list[Any] = [raw_batch([value], first=at) for at, value in enumerate(records)]
    for stage in (DECODE, VERIFY, NORMALIZE):
        out = stage(whole)
        parts = [stage(part) for part in alone]
        assert [*out.errs] == [letter for part in parts for letter in part.errs]
        whole, alone = out.oks, [part.oks for part in parts if len(part.oks)]
        assert not alone or same(whole, type(whole).concat(alone))


@pytest.mark.parametrize("rows", [1, 4, 64, 256])
def test_payloads_of_a_batch_are_laid_out_as_the_format_says(rows: int) -> None:
    random = Random(rows)
    bodies = [changed(payload(), [(random.random() ** 4, 1)] * random.randrange(2), 1.0) for _ in range(rows)]
    out = DECODE(raw_batch([with_plaintext(at, b"\0" + body) for at, body in enumerate(bodies)]))
    good = out.oks.origin.offset.tolist()
    signals, activity, all_good = decode_payloads([bodies[row] for row in good], CATALOGUE)
    assert all_good.all()
    assert same_signals(out.oks.signals, signals)
    assert same_activity(out.oks.activity, activity)
    _, _, is_good = decode_payloads(bodies, CATALOGUE)
    assert is_good.nonzero()[0].tolist() == good
