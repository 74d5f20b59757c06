"""Merchants and their API keys, of which only digests are kept. Several digests per merchant, so that keys rotate."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

MAX_MERCHANT_BYTES = 64
_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_MERCHANT_BYTES - 1}}}")


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    api_key_sha256: list[str]


@dataclass(frozen=True, slots=True, repr=False)
class Merchants:
    """Known merchants: id -> digests (32 bytes each) of the API keys that are valid now."""

    digests: Mapping[str, tuple[bytes, ...]]

    @classmethod
    def load(cls, path: Path) -> Merchants:
        """Read ``{id: {"name": ..., "api_key_sha256": [hex, ...]}}``; ValueError says what is wrong."""
        try:
            found = msgspec.json.decode(path.read_bytes(), type=dict[str, _Entry])
            return cls({known: tuple(map(_digest, entry.api_key_sha256)) for known, entry in found.items()})
        except FileNotFoundError:
            raise ValueError(f"there is no merchants file {path}: run `clickgoose up`, which makes one") from None
        except (msgspec.MsgspecError, ValueError) as error:
            raise ValueError(f"the merchants file {path} cannot be used: {error}") from None

    def __post_init__(self) -> None:
        """Refuse ids that would not fit the envelope or a Redis key."""
        if bad := [known for known in self.digests if not _ID.fullmatch(known)]:
            raise ValueError(
                f"{len(bad)} merchant ids are not 1 to {MAX_MERCHANT_BYTES} letters, digits, '.', '_' or '-'"
            )

    def authenticate(self, api_key: str) -> str | None:
        """Return the merchant of an API key. All digests are compared, whichever matches."""
        digest = hashlib.sha256(api_key.encode("utf-8", "surrogatepass")).digest()
        found: str | None = None
        for merchant, known in self.digests.items():
            for one in known:
                if hmac.compare_digest(one, digest):
                    found = merchant
        return found

    def __contains__(self, merchant: object) -> bool:
        """Tell whether a merchant is known."""
        return merchant in self.digests


def _digest(text: str) -> bytes:
    digest = bytes.fromhex(text)
    if len(digest) != 32:
        raise ValueError("an API key digest is no SHA-256 in hex")
    return digest
