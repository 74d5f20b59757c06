"""The registry of the settings: where models lie, and whose are taken."""

from __future__ import annotations

import hashlib
from pathlib import Path

from infra.object_storage import SCHEMES
from infra.settings import Settings
from infra.storages import storage_of
from scoring.model import MODELS, ModelError
from scoring.registry import Registry
from scoring.signing import TRUSTED_KEYS_FILE, BadKey, Signer, Trust, read_keys
from scoring.storage import DirectoryStorage


def registry_of(settings: Settings, root: str | None = None) -> Registry:
    """Return the registry of the settings, or at another root. ModelError where an address or a key is wrong."""
    address = root or settings.models.root or str(MODELS)
    storage = storage_of(address, "models")
    cache = None if isinstance(storage, DirectoryStorage) else _cache(settings, storage.address)
    return Registry(storage, trust_of(settings, shipped=_is_shipped(address)), cache)


def trust_of(settings: Settings, *, shipped: bool) -> Trust:
    """Return whose models are taken. Models that came with the program are its own files: they need no signature."""
    wanted = settings.models.require_signature
    try:
        keys = read_keys((MODELS / TRUSTED_KEYS_FILE).read_text("utf-8").splitlines())
    except FileNotFoundError:
        keys = ()
    try:
        return Trust((*settings.models.trusted_keys, *keys), (not shipped) if wanted is None else wanted)
    except BadKey as error:
        raise ModelError(f"CLICKGOOSE_MODELS__TRUSTED_KEYS: {error}") from error


def signer_of(file: Path | None) -> Signer | None:
    """Return the signer of a key file, or none where none is named. ModelError where it cannot be used."""
    if file is None:
        return None
    try:
        return Signer.from_pem(file.read_bytes())
    except (OSError, BadKey) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ModelError(f"{file} cannot be used to sign: {reason}") from error


def _cache(settings: Settings, address: str) -> Path:
    """Return a directory of this address's own."""
    return (settings.models.cache or settings.home / "models") / hashlib.sha256(address.encode()).hexdigest()[:16]


def _is_shipped(address: str) -> bool:
    return not address.startswith(SCHEMES) and Path(address.removeprefix("file://")).resolve() == MODELS.resolve()
