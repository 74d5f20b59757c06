"""Signatures: ``manifest.sig`` is Ed25519 (RFC 8032) over the bytes of ``manifest.json``, which names all digests.

OpenSSL can check it too: ``openssl pkeyutl -verify -rawin -pubin -inkey public.pem -in manifest.json -sigfile
manifest.sig``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

SIGNATURE_FILE = "manifest.sig"
TRUSTED_KEYS_FILE = "trusted_keys"
_ID_DIGITS = 12


class BadKey(ValueError):
    """A key cannot be used; the text is one sentence."""


class BadSignature(ValueError):
    """A manifest is not signed by a trusted key; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs manifests with a private key."""

    key: Ed25519PrivateKey

    @classmethod
    def new(cls) -> Signer:
        """Return one with a key of its own, from the system's source of randomness."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, pem: bytes) -> Signer:
        """Read a private key. BadKey where it is none of Ed25519, or has a password."""
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise BadKey(
                "this is no PEM of a private key without a password; make one: `clickgoose model keygen`"
            ) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise BadKey("this private key is not of Ed25519; make one with `clickgoose model keygen`")
        return cls(key)

    def pem(self) -> bytes:
        """Return the private key as PEM (PKCS 8), without a password."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def public_text(self) -> str:
        """Return the public key as ``trusted_keys`` wants it: 32 bytes in base64."""
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return base64.b64encode(raw).decode()

    def sign(self, manifest: bytes) -> bytes:
        """Return the signature, 64 bytes."""
        return self.key.sign(manifest)


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose models may score: public keys in base64."""

    keys: tuple[str, ...] = ()
    required: bool = True

    def __post_init__(self) -> None:
        """Refuse a key that is none: BadKey."""
        for text in self.keys:
            _public_key(text)

    def signed_by(self, manifest: bytes, signature: bytes | None) -> str | None:
        """Return the id of the trusted key that signed, or none."""
        for text in self.keys if signature else ():
            try:
                _public_key(text).verify(signature or b"", manifest)
            except InvalidSignature:
                continue
            return key_id(text)
        return None

    def check(self, version: str, manifest: bytes, signature: bytes | None) -> None:
        """Refuse a manifest that no trusted key signed, where that is required: BadSignature."""
        if not self.required or self.signed_by(manifest, signature):
            return
        if signature is None:
            raise BadSignature(
                f"model {version} is not signed: run `clickgoose model sign {version} --key FILE`, "
                "or allow that with CLICKGOOSE_MODELS__REQUIRE_SIGNATURE=false"
            )
        known = ", ".join(map(key_id, self.keys)) or "none"
        raise BadSignature(
            f"the signature of model {version} is of no trusted key, or its manifest was changed (trusted: {known}): "
            "add the signer's public key to CLICKGOOSE_MODELS__TRUSTED_KEYS, or sign it again"
        )


ANYBODY = Trust(required=False)
"""For models that came with the program, or were just made here."""


def key_id(public_text: str) -> str:
    """Return a short name of a public key: the first digits of its SHA-256."""
    return hashlib.sha256(base64.b64decode(public_text)).hexdigest()[:_ID_DIGITS]


def read_keys(lines: Iterable[str]) -> tuple[str, ...]:
    """Return the keys of a ``trusted_keys`` file: one a line, a comment may follow; lines that begin with # are not."""
    words = (line.split(maxsplit=1) for line in lines)
    return tuple(word[0] for word in words if word and not word[0].startswith("#"))


def _public_key(text: str) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error) as error:
        raise BadKey(f"{text[:12]!r} is no public key: `clickgoose model keygen` prints one, 44 characters") from error
