"""Laws of decode: no bytes make it raise, and every row ends in exactly one place."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from flows.stages.decode import Decode
from flows.stages.normalize import Normalize
from flows.stages.verify_mask import VerifyMask
from schemas.sealed import Codec
from tests.wire import BAD, CODECS, RING, enveloped, header, raw_batch, record, sealed, with_plaintext

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
