"""Registry: versions of models under one root, whose they are, and which of them score.

A root holds ``<version>/`` for each model and ``rollout.json``. Where it is, a storage knows: a directory here, or an
object store that is injected. A version is never changed once it is there; only its signature may be added.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from scoring.model import MANIFEST_FILE, Manifest, Model, ModelError, check_fit, decode_manifest, digest
from scoring.rollout import ROLLOUT_FILE, Rollout, decode, encode, is_version
from scoring.signing import ANYBODY, SIGNATURE_FILE, BadSignature, Signer, Trust
from scoring.storage import Storage, StorageAway, told, write_whole

Transition = Callable[[Rollout | None], Rollout]


class RolloutConflict(ModelError):
    """Somebody else changed the roll-out between reading and writing it."""


class Registry:
    """What `clickgoose model` and the flow ask for models."""

    def __init__(self, storage: Storage, trust: Trust = ANYBODY, cache: Path | None = None) -> None:
        """Take a storage; ``cache`` is where versions are kept that do not lie in a directory."""
        self._storage = storage
        self._trust = trust
        self._cache = cache

    @property
    def address(self) -> str:
        """Return where it is, for people."""
        return self._storage.address

    @property
    def trust(self) -> Trust:
        """Return whose models are taken."""
        return self._trust

    def versions(self) -> tuple[str, ...]:
        """Return the names of all versions, bad ones too."""
        found = (name for name in self._storage.folders() if is_version(name))
        return tuple(name for name in found if self._storage.read(f"{name}/{MANIFEST_FILE}"))

    def manifest(self, version: str, *, trusted: bool = True) -> Manifest:
        """Return a version's manifest. ModelError where it is missing, damaged or, if it must be, not signed."""
        if trusted:
            return self._manifest(version, self._trust)[0]
        return decode_manifest(self._read(version, MANIFEST_FILE), f"{self.address}/{version}")

    def problem(self, version: str) -> str | None:
        """Return why a version cannot be used by this build, by its manifest alone, or none."""
        try:
            check_fit(self.manifest(version))
        except ModelError as error:
            return str(error)
        return None

    def signed_by(self, version: str) -> str | None:
        """Return the id of the trusted key that signed the version, or none."""
        manifest = self._storage.read(f"{version}/{MANIFEST_FILE}")
        signature = self._storage.read(f"{version}/{SIGNATURE_FILE}")
        return self._trust.signed_by(manifest.data, signature.data if signature else None) if manifest else None

    def signature_of(self, version: str) -> str | None:
        """Return the id of the key that signed, none where nobody did. ModelError where no trusted key did."""
        signature = self._storage.read(f"{version}/{SIGNATURE_FILE}")
        if signature is None:
            return None
        with _as_model_error():
            replace(self._trust, required=True).check(version, self._read(version, MANIFEST_FILE), signature.data)
        return self.signed_by(version)

    def path(self, version: str, *, trusted: bool = True) -> Path:
        """Return a local directory of the version; from an object store, fetched and checked. Else ModelError."""
        try:
            manifest, data, signature = self._manifest(version, self._trust if trusted else ANYBODY)
        except StorageAway:
            kept = self._kept(version)
            if kept is None or not (kept / MANIFEST_FILE).is_file():
                raise
            return kept
        local = self._storage.directory(version)
        if local is not None:
            return local
        kept = self._kept(version)
        if kept is None:
            raise ModelError(f"{self.address} is not a directory, and no cache was named to fetch {version} into")
        if not _complete(kept, manifest, data):
            self._fetch(version, kept, manifest, data)
        if signature is not None:
            write_whole(kept / SIGNATURE_FILE, signature)
        return kept

    def load(self, version: str) -> Model:
        """Return a version with every check done: signature, digests, fit, golden rows. ModelError where one fails."""
        model = Model.load(self.path(version), self._trust)
        if model.version != version:
            raise ModelError(f"{self.address}/{version} calls itself {model.version}; name the directory so")
        return model

    def rollout(self) -> Rollout:
        """Return which versions score. ModelError where it is missing or damaged."""
        found = self.read_rollout()[0]
        if found is None:
            raise ModelError(
                f"no model is live: {self.address}/{ROLLOUT_FILE} is not there; run `clickgoose model promote VERSION`"
            )
        return found

    def read_rollout(self) -> tuple[Rollout | None, str | None]:
        """Return the roll-out and its tag; none of both where there is none. ModelError where it is damaged."""
        stored = self._storage.read(ROLLOUT_FILE)
        if stored is None:
            return None, None
        try:
            rollout = decode(stored.data)
        except ValueError as error:
            raise ModelError(f"{self.address}/{ROLLOUT_FILE} cannot be used: {error}") from error
        return rollout, stored.tag

    def keep_rollout(self, rollout: Rollout) -> None:
        """Note a roll-out in the cache, for a start while the object store is away."""
        if self._cache is not None:
            with told(self._cache):
                self._cache.mkdir(parents=True, exist_ok=True)
                write_whole(self._cache / ROLLOUT_FILE, encode(rollout))

    def kept_rollout(self) -> Rollout | None:
        """Return the roll-out that was noted last, or none."""
        try:
            return decode((self._cache / ROLLOUT_FILE).read_bytes()) if self._cache else None
        except (OSError, ValueError):
            return None

    def change(self, transition: Transition) -> Rollout:
        """Change the roll-out. RolloutConflict where another writer came between; ModelError where it is refused."""
        before, tag = self.read_rollout()
        try:
            after = transition(before)
        except ModelError:
            raise
        except ValueError as error:
            raise ModelError(str(error)) from error
        if after != before and not self._storage.replace(ROLLOUT_FILE, encode(after), tag):
            raise RolloutConflict(
                f"somebody else changed {self.address}/{ROLLOUT_FILE} meanwhile: "
                "look at `clickgoose model list`, and run this again"
            )
        return after

    def sign(self, version: str, signer: Signer) -> None:
        """Sign a version's manifest."""
        with _as_model_error():
            manifest = self._read(version, MANIFEST_FILE)
        decode_manifest(manifest, f"{self.address}/{version}")
        self._storage.write(f"{version}/{SIGNATURE_FILE}", signer.sign(manifest))

    def publish(self, directory: Path) -> str:
        """Put a model directory into the registry, its manifest last. ModelError where it is bad, or differs."""
        model = Model.load(directory, self._trust)
        version, manifest = model.version, (directory / MANIFEST_FILE).read_bytes()
        present = self._storage.read(f"{version}/{MANIFEST_FILE}")
        if present is not None and present.data != manifest:
            raise ModelError(f"{self.address} has another {version} already: a version is never changed; train again")
        names = [*model.manifest.files, *((SIGNATURE_FILE,) if (directory / SIGNATURE_FILE).is_file() else ())]
        for name in (*names, MANIFEST_FILE):
            self._storage.write(f"{version}/{name}", (directory / name).read_bytes())
        return version

    def _manifest(self, version: str, trust: Trust) -> tuple[Manifest, bytes, bytes | None]:
        """Return a manifest, its bytes and its signature, once it is trusted."""
        with _as_model_error():
            data = self._read(version, MANIFEST_FILE)
            signature = self._storage.read(f"{version}/{SIGNATURE_FILE}")
            trust.check(version, data, signature.data if signature else None)
        return decode_manifest(data, f"{self.address}/{version}"), data, signature.data if signature else None

    def _read(self, version: str, name: str) -> bytes:
        stored = self._storage.read(f"{version}/{name}") if is_version(version) else None
        if stored is None:
            raise ModelError(f"there is no {version}/{name} in {self.address}; see `clickgoose model list`")
        return stored.data

    def _kept(self, version: str) -> Path | None:
        return self._cache / version if self._cache is not None else self._storage.directory(version)

    def _fetch(self, version: str, kept: Path, manifest: Manifest, data: bytes) -> None:
        """Write a version beside, compare every digest, then move it in place."""
        with told(kept):
            kept.parent.mkdir(parents=True, exist_ok=True)
            beside = Path(tempfile.mkdtemp(dir=kept.parent, prefix=f".{version}."))
            try:
                for name, expected in manifest.files.items():
                    content = self._read(version, name)
                    if digest(content) != expected:
                        raise ModelError(
                            f"{self.address}/{version}/{name} is not the file that the manifest names (SHA-256): "
                            "upload it again"
                        )
                    (beside / name).write_bytes(content)
                (beside / MANIFEST_FILE).write_bytes(data)
                if kept.exists():
                    shutil.rmtree(kept)
                beside.rename(kept)
            except BaseException:
                shutil.rmtree(beside, ignore_errors=True)
                raise


def _complete(directory: Path, manifest: Manifest, data: bytes) -> bool:
    """Return whether a directory holds this very version."""
    try:
        return (directory / MANIFEST_FILE).read_bytes() == data and all(
            digest((directory / name).read_bytes()) == expected for name, expected in manifest.files.items()
        )
    except OSError:
        return False


@contextmanager
def _as_model_error() -> Iterator[None]:
    """Turn a refused signature into a refused model."""
    try:
        yield
    except BadSignature as error:
        raise ModelError(str(error)) from error
