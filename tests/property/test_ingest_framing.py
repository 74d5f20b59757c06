"""The framing of a body of events, and of a beacon around it."""

import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest_api.bodies import MAX_SIGNATURE, MAX_TOKEN, Beacon, read_beacon
from ingest_api.errors import ApiError, Code
from schemas.framing import FramingError, pack_frames, unpack_frames

FRAMES = st.lists(st.binary(max_size=300), min_size=1, max_size=20)


@given(FRAMES)
@settings(max_examples=100)
def test_frames_survive_the_way(frames: list[bytes]) -> None:
    assert unpack_frames(pack_frames(frames), len(frames)) == frames


@given(st.binary(max_size=400), st.integers(1, 10))
@example(b"", 1)
@example(struct.pack("<I", 0xFFFF_FFFF), 1)
@settings(max_examples=200)
def test_any_bytes_give_frames_or_one_kind_of_error(body: bytes, most: int) -> None:
    try:
        frames = unpack_frames(body, most)
    except FramingError as error:
        assert error.kind in {"empty", "truncated", "too_many"}
    else:
        assert 1 <= len(frames) <= most
        assert pack_frames(frames) == body


@given(FRAMES, st.data())
@settings(max_examples=100)
def test_a_cut_body_is_never_taken_for_the_whole(frames: list[bytes], data: st.DataObject) -> None:
    body = pack_frames(frames)
    cut = body[: data.draw(st.integers(0, len(body) - 1))]
    try:
        assert unpack_frames(cut, len(frames)) == frames[: len(unpack_frames(cut, len(frames)))]
    except FramingError as error:
        assert error.kind in {"empty", "truncated"}


def test_more_frames_than_allowed_are_refused() -> None:
    with pytest.raises(FramingError) as raised:
        unpack_frames(pack_frames([b"a", b"b", b"c"]), 2)
    assert raised.value.kind == "too_many"


def test_a_frame_of_4_gib_is_refused() -> None:
    class Huge(bytes):
        def __len__(self) -> int:
            return 1 << 32

    with pytest.raises(FramingError) as raised:
        pack_frames([Huge()])
    assert raised.value.kind == "too_long"


TEXT = st.text(st.characters(max_codepoint=127), min_size=1, max_size=80)


@given(TEXT, TEXT, st.binary(max_size=200))
@settings(max_examples=60)
def test_the_parts_of_a_beacon_survive_the_way(token: str, signature: str, frames: bytes) -> None:
    head = b"".join(struct.pack("<H", len(text)) + text.encode("ascii") for text in (token, signature))
    assert read_beacon(head + frames) == Beacon(token, signature, frames)


@given(st.binary(max_size=300))
@example(struct.pack("<H", MAX_TOKEN) + b"t" * MAX_TOKEN + struct.pack("<H", MAX_SIGNATURE) + b"s" * MAX_SIGNATURE)
@example(b"\x01\x00t\x01\x00")
@settings(max_examples=150)
def test_any_bytes_are_a_beacon_within_bounds_or_one_error(body: bytes) -> None:
    try:
        token, signature, frames = read_beacon(body)
    except ApiError as error:
        assert error.code is Code.INVALID_BEACON
    else:
        assert 1 <= len(token) <= MAX_TOKEN and 1 <= len(signature) <= MAX_SIGNATURE
        assert len(token) + len(signature) + len(frames) + 4 == len(body)
