"""Keys: derived, never stored; one purpose cannot stand for another."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from schemas.keys import KeyRing

MASTER, SESSION = bytes(range(32)), bytes(range(100, 116))


def hkdf(master: bytes, salt: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256 and 32 bytes out, from its definition."""
    extracted = hmac.new(salt, master, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def test_keys_are_hkdf_of_master_session_and_purpose() -> None:
    ring = KeyRing({7: MASTER})
    for purpose in ("seal", "sign", "token"):
        assert ring.derive(7, SESSION, purpose) == hkdf(MASTER, SESSION, b"clickgoose/1/" + purpose.encode())


def test_the_seal_key_of_fixed_inputs_is_frozen() -> None:
    key = KeyRing({7: MASTER}).derive(7, SESSION, "seal")
    assert key is not None
    assert key.hex() == "af06b058d8475e9e7e15412a76adc4170f314eb7ce5c8216461f1a68f0a012a0"


def test_purposes_sessions_and_masters_give_different_keys() -> None:
    ring = KeyRing({1: MASTER, 2: MASTER[::-1]})
    keys = {
        ring.derive(master, session, purpose)
        for master in (1, 2)
        for session in (SESSION, SESSION[::-1])
        for purpose in ("seal", "sign", "token")
    }
    assert len(keys) == 12


def test_new_sessions_use_the_highest_key_id_and_unknown_ids_give_none() -> None:
    ring = KeyRing({3: MASTER, 11: MASTER[::-1]})
    assert ring.current == 11
    assert ring.derive(4, SESSION, "seal") is None


def test_an_unusable_ring_is_refused_in_one_sentence_without_the_key() -> None:
    with pytest.raises(ValueError, match="no master key: set CLICKGOOSE_MASTER_KEYS"):
        KeyRing({})
    with pytest.raises(ValueError, match="master key 5 has 5 bytes; it needs exactly 32") as caught:
        KeyRing({5: b"short"})
    assert "b'short'" not in str(caught.value)


def test_the_ring_does_not_show_its_keys() -> None:
    assert MASTER.hex() not in repr(KeyRing({1: MASTER}))
    assert repr(MASTER) not in repr(KeyRing({1: MASTER}))
