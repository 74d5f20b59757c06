"""The sealed event: header and body, every codec, and every way in which a body can lie about its size."""

from __future__ import annotations

import struct
import zlib

import lz4.block
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.sealed import (
    HEADER_BYTES,
    HEADER_DTYPE,
    MAX_BODY_BYTES,
    NONCE_BYTES,
    SEALED_MIN_BYTES,
    BodyError,
    Codec,
    Header,
    pack_body,
    read_header,
    seal,
    unpack_body,
)

HEADER = Header(7, b"s" * 16, b"d" * 16, b"e" * 16, 3, 1_790_000_000_000)
KEY, NONCE = b"k" * 32, b"n" * 12
PACKED = (Codec.DEFLATE_RAW, Codec.LZ4)


def kind_of(plaintext: bytes, limit: int = MAX_BODY_BYTES) -> str:
    with pytest.raises(BodyError) as caught:
        unpack_body(plaintext, limit)
    return caught.value.kind


def test_the_header_has_68_bytes_and_reads_back() -> None:
    assert len(HEADER.pack()) == HEADER_BYTES == HEADER_DTYPE.itemsize == 68
    assert read_header(seal(HEADER, b"x", KEY, NONCE)) == HEADER


@pytest.mark.parametrize("codec", Codec)
def test_a_sealed_event_opens_under_its_key_with_its_header(codec: Codec) -> None:
    sealed = seal(HEADER, b"body" * 50, KEY, NONCE, codec)
    start = HEADER_BYTES + NONCE_BYTES
    plaintext = AESGCM(KEY).decrypt(sealed[HEADER_BYTES:start], sealed[start:], sealed[:HEADER_BYTES])
    assert unpack_body(plaintext) == (codec, b"body" * 50)


@pytest.mark.parametrize("at", [0, 3, 4, 8, 30, 50, 57, 62, 70, 85, -1])
def test_any_changed_byte_is_noticed(at: int) -> None:
    sealed = bytearray(seal(HEADER, b"body", KEY, NONCE))
    sealed[at] ^= 1
    start = HEADER_BYTES + NONCE_BYTES
    with pytest.raises(InvalidTag):
        AESGCM(KEY).decrypt(bytes(sealed[HEADER_BYTES:start]), bytes(sealed[start:]), bytes(sealed[:HEADER_BYTES]))


def test_read_header_gives_none_for_what_is_no_sealed_event_of_this_version() -> None:
    sealed = seal(HEADER, b"", KEY, NONCE)
    assert len(sealed) == SEALED_MIN_BYTES
    assert read_header(sealed) == HEADER
    assert read_header(sealed[:-1]) is None
    for at, byte in ((0, 0), (1, 0), (2, 2), (3, 1)):
        other = bytearray(sealed)
        other[at] = byte
        assert read_header(bytes(other)) is None


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("size", [0, 1, 255, 5_000])
def test_every_codec_gives_the_body_back(codec: Codec, size: int) -> None:
    body = bytes(index * 7 % 251 for index in range(size))
    assert unpack_body(pack_body(body, codec)) == (codec, body)


@pytest.mark.parametrize("codec", Codec)
def test_the_limit_itself_is_allowed_and_one_byte_more_is_not(codec: Codec) -> None:
    assert unpack_body(pack_body(b"x" * 100, codec), limit=100)[1] == b"x" * 100
    assert kind_of(pack_body(b"x" * 101, codec), limit=100) == "too_large"


@pytest.mark.parametrize("codec", PACKED)
def test_a_size_over_the_limit_is_refused_before_a_byte_is_unpacked(codec: Codec) -> None:
    assert kind_of(bytes((codec,)) + struct.pack("<I", MAX_BODY_BYTES + 1)) == "too_large"
    assert kind_of(bytes((codec,)) + struct.pack("<I", 0xFFFFFFFF) + b"x") == "too_large"


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize("declared", [0, 1, 100, MAX_BODY_BYTES])
def test_a_bomb_that_unpacks_to_more_than_it_declares_is_refused(declared: int) -> None:
    bomb = b"\0" * (50 * MAX_BODY_BYTES)
    size = struct.pack("<I", declared)
    assert kind_of(b"\x01" + size + raw_deflate(bomb)) == "inflate_failed"
    assert kind_of(b"\x02" + size + lz4.block.compress(bomb, store_size=False)) == "inflate_failed"


@pytest.mark.parametrize("codec", PACKED)
@pytest.mark.parametrize("rest", [b"", b"\xff", b"\0" * 40, b"\x78\x9c" + b"\xff" * 30])
def test_what_does_not_unpack_to_its_size_is_refused(codec: Codec, rest: bytes) -> None:
    assert kind_of(bytes((codec,)) + struct.pack("<I", 1000) + rest) == "inflate_failed"
    packed = pack_body(b"some body" * 20, codec)
    assert kind_of(packed[:-3]) == "inflate_failed"
    assert kind_of(packed[:1] + struct.pack("<I", 181) + packed[5:]) == "inflate_failed"
    assert kind_of(packed[:4]) == "inflate_failed"


def test_zlib_and_gzip_framings_are_not_raw_deflate() -> None:
    body = b"body" * 40
    assert kind_of(b"\x01" + struct.pack("<I", len(body)) + zlib.compress(body)) == "inflate_failed"


@pytest.mark.parametrize("plaintext", [b"", b"\x04abc", b"\xff"])
def test_an_unknown_codec_is_named_so(plaintext: bytes) -> None:
    assert kind_of(plaintext) == "unknown_codec"


def test_deflate_from_zlib_is_read_so_that_browsers_can_use_compression_streams() -> None:
    body = bytes(range(256)) * 8
    assert unpack_body(b"\x01" + struct.pack("<I", len(body)) + raw_deflate(body)) == (Codec.DEFLATE_RAW, body)
