"""Two tiny models in a registry, signed or not, and what can be wrong with a model."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import msgspec

from scoring.golden import GOLDEN_FILE, Golden
from scoring.model import MANIFEST_FILE, MODEL_FILE, Manifest, digest, version_of
from scoring.registry import Registry
from scoring.release import release
from scoring.rollout import Author, promoted
from scoring.signing import SIGNATURE_FILE, Signer, Trust
from scoring.storage import DirectoryStorage
from scoring.train import train
from tests.tiny_model import TINY, tiny_model, tiny_set

ALICE = Author("alice@desk", "2026-11-22T12:00:00+00:00")
BOB = Author("bob@desk", "2026-11-22T12:05:00+00:00")
Files = dict[str, bytes]


@cache
def two_models() -> tuple[tuple[str, Files], tuple[str, Files]]:
    """Return two versions with their files, unsigned."""
    other = replace(TINY, seed=4, trees=6)
    with tempfile.TemporaryDirectory() as folder:
        one, _ = release(tiny_model(), TINY, Path(folder))
        two, _ = release(train(tiny_set(), other), other, Path(folder))
        first, second = ((path.name, {file.name: file.read_bytes() for file in path.iterdir()}) for path in (one, two))
    return first, second


def put(root: Path, version: str, files: Files, signer: Signer | None = None) -> Path:
    """Write a version directory, signed where there is a signer."""
    directory = root / version
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (directory / name).write_bytes(data)
    if signer:
        (directory / SIGNATURE_FILE).write_bytes(signer.sign(files[MANIFEST_FILE]))
    return directory


def registry_in(root: Path, signer: Signer | None = None, trust: Trust | None = None) -> Registry:
    """Return a registry of two models, the first of them live."""
    for version, files in two_models():
        put(root, version, files, signer)
    registry = Registry(DirectoryStorage(root), trust or Trust(required=False))
    registry.change(lambda before: promoted(before, two_models()[0][0], ALICE))
    return registry


def with_manifest(files: Files, /, **changes: object) -> Files:
    """Return the files with a manifest that says something else."""
    manifest = msgspec.json.decode(files[MANIFEST_FILE], type=Manifest)
    return {**files, MANIFEST_FILE: msgspec.json.encode(msgspec.structs.replace(manifest, **changes))}


def _other_features(files: Files) -> Files:
    names = msgspec.json.decode(files[MANIFEST_FILE], type=Manifest).features
    return with_manifest(files, features=("moon.phase", *names[1:]), feature_digest="0" * 64)


def _with_file(files: Files, name: str, data: bytes) -> Files:
    """Return the files with another one whose digest is right."""
    digests = msgspec.json.decode(files[MANIFEST_FILE], type=Manifest).files
    return with_manifest({**files, name: data}, files={**digests, name: digest(data)})


def _corrupt_graph(files: Files) -> Files:
    spoilt = files[MODEL_FILE][:1000] + bytes(500) + files[MODEL_FILE][1500:]
    return with_manifest(_with_file(files, MODEL_FILE, spoilt), version=version_of(spoilt))


def _other_machine(files: Files) -> Files:
    golden = Golden.decode(files[GOLDEN_FILE])
    return _with_file(files, GOLDEN_FILE, replace(golden, margin=golden.margin + 1e-4).encode())


BAD: dict[str, tuple[Callable[[Files], Files], str]] = {
    "other features": (_other_features, "it needs moon.phase"),
    "a flipped byte": (lambda files: {**files, MODEL_FILE: files[MODEL_FILE][:-1] + b"?"}, "SHA-256"),
    "a graph cut short": (
        lambda files: {**files, MODEL_FILE: files[MODEL_FILE][: len(files[MODEL_FILE]) // 2]},
        "SHA-256",
    ),
    "a manifest cut short": (lambda files: {**files, MANIFEST_FILE: files[MANIFEST_FILE][:700]}, "damaged"),
    "no graph": (lambda files: {name: data for name, data in files.items() if name != MODEL_FILE}, "cannot be read"),
    "golden rows that are none": (lambda files: _with_file(files, GOLDEN_FILE, b"rows"), "not a file of golden rows"),
    "a machine that computes otherwise": (_other_machine, "margin differs from xgboost's by 0.0001, over 1e-05"),
    "a graph that is none": (_corrupt_graph, "cannot be loaded"),
}
"""What can be wrong with a model: how its files are spoilt, and what the refusal says."""
