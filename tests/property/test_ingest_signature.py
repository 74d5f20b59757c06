"""The signature of a request, and the client's address behind proxies."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_api.addresses import UNKNOWN_ADDRESS, ClientAddress
from ingest_api.errors import ApiError, Code
from ingest_api.signature import sign_body, verify_body
from schemas.envelope import address_bytes

KEY, NOW, SKEW = b"k" * 32, 1_790_000_000_000, 300_000


@given(st.binary(max_size=500), st.binary(min_size=32, max_size=32), st.integers(-SKEW, SKEW))
@settings(max_examples=60)
def test_what_is_signed_verifies(body: bytes, key: bytes, off: int) -> None:
    verify_body(key, sign_body(key, NOW + off, body), body, NOW, SKEW)


@given(st.binary(min_size=1, max_size=200), st.data())
@settings(max_examples=100)
def test_any_changed_bit_is_noticed(body: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(body) * 8 - 1))
    changed = bytearray(body)
    changed[at // 8] ^= 1 << (at % 8)
    with pytest.raises(ApiError) as raised:
        verify_body(KEY, sign_body(KEY, NOW, body), bytes(changed), NOW, SKEW)
    assert raised.value.code is Code.SIGNATURE_INVALID


@given(st.text(max_size=120))
@settings(max_examples=100)
def test_any_header_is_refused_plainly(header: str) -> None:
    with pytest.raises(ApiError) as raised:
        verify_body(KEY, header, b"body", NOW, SKEW)
    assert raised.value.code in {Code.SIGNATURE_MISSING, Code.SIGNATURE_INVALID}


@given(st.integers(0, 9), st.binary(max_size=20))
@settings(max_examples=30)
def test_time_is_part_of_what_is_signed(digit: int, body: bytes) -> None:
    header = sign_body(KEY, NOW, body).replace(f"t={NOW}", f"t={NOW + 1 + digit}")
    with pytest.raises(ApiError) as raised:
        verify_body(KEY, header, body, NOW, SKEW)
    assert raised.value.code is Code.SIGNATURE_INVALID


@pytest.mark.parametrize("off", [-SKEW - 1, SKEW + 1])
def test_an_old_or_future_signature_is_stale(off: int) -> None:
    with pytest.raises(ApiError) as raised:
        verify_body(KEY, sign_body(KEY, NOW + off, b"body"), b"body", NOW, SKEW)
    assert raised.value.code is Code.SIGNATURE_STALE


@given(st.one_of(st.none(), st.text(max_size=60)), st.ip_addresses())
@settings(max_examples=100)
def test_only_a_trusted_proxy_is_believed(forwarded: str | None, peer: object) -> None:
    find = ClientAddress((ip_network("10.0.0.0/8"),))
    if ip_address(str(peer)) in ip_network("10.0.0.0/8"):
        return
    assert find(str(peer), forwarded) == address_bytes(str(peer))


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.7, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.7, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "nonsense, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
    ],
)
def test_the_nearest_untrusted_hop_is_the_client(peer: str, forwarded: str, expected: str) -> None:
    assert ClientAddress((ip_network("10.0.0.0/8"),))(peer, forwarded) == address_bytes(expected)


def test_a_peer_without_address_is_unknown() -> None:
    assert ClientAddress(())(None, "203.0.113.9") == UNKNOWN_ADDRESS
