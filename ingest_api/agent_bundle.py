"""The browser agent as it is served: the committed bundle, read, packed and hashed once at the start."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

SCRIPT_TYPE = "text/javascript; charset=utf-8"  # RFC 9239: of modules too
MANIFEST = "manifest.json"
NOTICE = "NOTICE.txt"  # licences of what is inside the scripts, which name it
SCRIPTS = ("clickgoose.js", "clickgoose.mjs")
PREFIX_DIGITS = 16


class BundleError(ValueError):
    """The agent cannot be served; the message is one sentence for the operator."""


class _BuiltFile(msgspec.Struct):
    integrity: str


class _Built(msgspec.Struct):
    """What the build wrote (``agent/build.mjs``)."""

    version: str
    files: dict[str, _BuiltFile]


@dataclass(frozen=True, slots=True)
class ServedFile:
    """One file in both of its forms. ``integrity`` as a script tag's attribute wants it (SHA-384, base64)."""

    media_type: str
    plain: bytes
    packed: bytes
    integrity: str
    prefix: str

    @classmethod
    def of(cls, media_type: str, plain: bytes) -> ServedFile:
        """Pack and hash a file's bytes; the same bytes always give the same file."""
        digest = hashlib.sha384(plain).digest()
        integrity = "sha384-" + base64.b64encode(digest).decode()
        return cls(media_type, plain, gzip.compress(plain, 9, mtime=0), integrity, digest.hex()[:PREFIX_DIGITS])


def load_bundle(directory: Path) -> Mapping[str, ServedFile]:
    """Return scripts, notice and manifest by name; BundleError where one is missing or not what was built."""
    try:
        found = (directory / MANIFEST).read_bytes()
        notice = ServedFile.of("text/plain; charset=utf-8", (directory / NOTICE).read_bytes())
        scripts = {name: ServedFile.of(SCRIPT_TYPE, (directory / name).read_bytes()) for name in SCRIPTS}
    except OSError as error:
        raise BundleError(
            f"The browser agent's bundle cannot be read ({error.filename}: {error.strerror}); "
            "run `npm ci && npm run build` in ingest_api/agent, or install clickgoose again."
        ) from None
    try:
        built = msgspec.json.decode(found, type=_Built)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise BundleError(
            f"{directory / MANIFEST} is no manifest of the browser agent; build the agent anew."
        ) from None
    for name, script in scripts.items():
        if name not in built.files or built.files[name].integrity != script.integrity:
            raise BundleError(f"{directory / name} is not what its manifest says; build the browser agent anew.")
    manifest = ServedFile.of("application/json", _manifest(built.version, scripts))
    return {**scripts, NOTICE: notice, MANIFEST: manifest}


def _manifest(version: str, scripts: Mapping[str, ServedFile]) -> bytes:
    """Return what pages need to know of the scripts: where they lie for good, their hashes, their sizes in bytes."""
    files = {
        name: {
            "path": f"/agent/{one.prefix}/{name}",
            "integrity": one.integrity,
            "bytes": len(one.plain),
            "gzip_bytes": len(one.packed),
        }
        for name, one in scripts.items()
    }
    return msgspec.json.encode({"version": version, "files": files})
