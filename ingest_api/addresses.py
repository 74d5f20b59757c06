"""The client's address: the peer's, or what a trusted proxy says about it."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address

from ingest_api.config import Network
from schemas.envelope import address_bytes

UNKNOWN_ADDRESS = b"\0" * 16


class ClientAddress:
    """Finds the client's address, 16 bytes, behind any number of trusted proxies."""

    def __init__(self, trusted: tuple[Network, ...]) -> None:
        self._trusted = trusted
        self._is_trusted = lru_cache(maxsize=4_096)(self._look_up)
        self._pack = lru_cache(maxsize=65_536)(_packed)

    def __call__(self, peer: str | None, forwarded: str | None) -> bytes:
        """Return the right-most address of X-Forwarded-For that is no trusted proxy's, if the peer is trusted.

        What stands further left was written by the client itself and proves nothing.
        """
        address = peer or ""
        if forwarded and self._is_trusted(address):
            for hop in map(str.strip, reversed(forwarded.split(",")[-16:])):
                if self._pack(hop) == UNKNOWN_ADDRESS:
                    break
                address = hop
                if not self._is_trusted(hop):
                    break
        return self._pack(address)

    def _look_up(self, text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        return any(address in network for network in self._trusted)


def _packed(text: str) -> bytes:
    try:
        return address_bytes(text)
    except ValueError:
        return UNKNOWN_ADDRESS
