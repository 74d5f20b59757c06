"""What the local stack makes up on its first start: keys, the demo merchants' API keys, a certificate for localhost."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import secrets as random
import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from infra.stack.child import StackError
from infra.stack.files import write_atomically

MERCHANTS = {"demo-shop": "Demo shop", "other-shop": "Other shop"}
_CERTIFICATE_DAYS = 825
_RENEW_DAYS = 30


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets of one home; their only copy is ``<home>/secrets.json``."""

    master_keys: dict[int, str]
    api_keys: dict[str, str]
    redis_password: str
    clickhouse_password: str

    def api_key(self, merchant: str = "demo-shop") -> str:
        """Return the API key of one of the local stack's merchants."""
        try:
            return self.api_keys[merchant]
        except KeyError:
            raise StackError(f"There is no merchant {merchant} here; known: {', '.join(self.api_keys)}.") from None

    def __repr__(self) -> str:
        """Show nothing, so that no log ever does."""
        return "Secrets(***)"


def secrets_path(home: Path) -> Path:
    """Where a home keeps its secrets."""
    return home / "secrets.json"


def load_secrets(home: Path) -> Secrets:
    """Read the secrets of a home that has been started once."""
    path = secrets_path(home)
    try:
        found = json.loads(path.read_text("utf-8"))
        return Secrets(
            {int(number): key for number, key in found["master_keys"].items()},
            dict(found["api_keys"]),
            found["redis_password"],
            found["clickhouse_password"],
        )
    except FileNotFoundError:
        raise StackError(f"{path} does not exist: run `clickgoose up` first.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StackError(f"{path} is damaged: restore it, or start afresh with `clickgoose down --purge`.") from None


def is_private(path: Path) -> bool:
    """Tell whether only its owner may read a file."""
    return not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def ensure_secrets(home: Path) -> Secrets:
    """Return the home's secrets; make them, the merchants' file and the certificate where they are missing."""
    if not secrets_path(home).exists():
        fresh = {
            "master_keys": {"1": random.token_hex(32)},
            "api_keys": {merchant: f"cg_{random.token_urlsafe(24)}" for merchant in MERCHANTS},
            "redis_password": random.token_urlsafe(24),
            "clickhouse_password": random.token_urlsafe(24),
        }
        write_atomically(secrets_path(home), json.dumps(fresh, indent=1))
    if not is_private(secrets_path(home)):
        secrets_path(home).chmod(0o600)
    found = load_secrets(home)
    if not merchants_path(home).exists():
        write_atomically(merchants_path(home), json.dumps(_merchants(found), indent=1))
    _ensure_certificate(home / "tls")
    return found


def merchants_path(home: Path) -> Path:
    """Where a home lists its merchants."""
    return home / "merchants.json"


def _merchants(secrets: Secrets) -> dict[str, dict[str, object]]:
    """List the merchants with digests of their keys, never the keys."""
    return {
        merchant: {"name": name, "api_key_sha256": [hashlib.sha256(secrets.api_key(merchant).encode()).hexdigest()]}
        for merchant, name in MERCHANTS.items()
    }


def certificate_paths(home: Path) -> tuple[Path, Path]:
    """Where a home keeps its certificate and the key of it."""
    return home / "tls" / "cert.pem", home / "tls" / "key.pem"


def _ensure_certificate(directory: Path) -> None:
    """Make a certificate for localhost unless there is one that holds for a while yet."""
    certificate, key = directory / "cert.pem", directory / "key.pem"
    if key.exists() and _still_valid(certificate):
        return
    secret = ec.generate_private_key(ec.SECP256R1())
    encoded = secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_atomically(key, encoded)
    write_atomically(certificate, _self_signed(secret).public_bytes(serialization.Encoding.PEM), 0o644)


def _still_valid(certificate: Path) -> bool:
    """Tell whether a certificate is there and far from its end."""
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError):
        return False
    return found.not_valid_after_utc > datetime.now(UTC) + timedelta(days=_RENEW_DAYS)


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Sign a certificate for the loopback names."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "clickgoose local stack")])
    names = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ]
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=_CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    return builder.sign(key, hashes.SHA256())
