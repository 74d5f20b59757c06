"""The framing of a body of events."""

import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

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
