"""A registry in an object store: versions are fetched once, checked and kept, and writers are kept apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from obstore.store import MemoryStore

from infra.object_storage import ObjectStorage, open_object_store
from scoring.model import MANIFEST_FILE, MODEL_FILE, ModelError
from scoring.registry import Registry, RolloutConflict
from scoring.rollout import promoted, shadowed
from scoring.signing import SIGNATURE_FILE, Signer, Trust
from tests.registry_kit import ALICE, BOB, put, two_models

(ONE, ONE_FILES), (TWO, TWO_FILES) = two_models()
SIGNER = Signer.new()
TRUST = Trust((SIGNER.public_text(),))


class Counted(MemoryStore):
    """A store in memory that notes what was read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []

    def get(self, path, **named):  # type: ignore[no-untyped-def]
        """Note and read."""
        self.reads.append(path)
        return super().get(path, **named)


@pytest.fixture
def store() -> Counted:
    """An empty store."""
    return Counted()


@pytest.fixture
def registry(store: Counted, tmp_path: Path) -> Registry:
    """A registry of two signed models in it, the first live."""
    registry = Registry(ObjectStorage("memory:///", store), TRUST, tmp_path / "cache")
    for version, files in two_models():
        registry.publish(put(tmp_path / "out", version, files, SIGNER))
    registry.change(lambda before: promoted(before, ONE, ALICE))
    return registry


def test_what_was_published_is_listed_and_loads_from_the_cache(
    registry: Registry, store: Counted, tmp_path: Path
) -> None:
    assert registry.versions() == tuple(sorted((ONE, TWO)))
    assert registry.load(TWO).directory == tmp_path / "cache" / TWO
    assert not list((tmp_path / "cache").glob(".*"))
    store.reads.clear()
    assert registry.load(TWO).version == TWO
    assert store.reads == [f"{TWO}/{MANIFEST_FILE}", f"{TWO}/{SIGNATURE_FILE}"]


def test_an_object_that_is_not_what_the_manifest_names_is_never_kept(
    registry: Registry, store: Counted, tmp_path: Path
) -> None:
    store.put(f"{TWO}/{MODEL_FILE}", TWO_FILES[MODEL_FILE][:100])
    with pytest.raises(ModelError, match=r"model\.onnx is not the file that the manifest names"):
        registry.load(TWO)
    assert not (tmp_path / "cache" / TWO).exists()
    assert not list((tmp_path / "cache").iterdir())
    store.put(f"{TWO}/{MODEL_FILE}", TWO_FILES[MODEL_FILE])
    assert registry.load(TWO).version == TWO


def test_what_was_spoilt_in_the_cache_is_fetched_again(registry: Registry, tmp_path: Path) -> None:
    registry.load(TWO)
    (tmp_path / "cache" / TWO / MODEL_FILE).write_bytes(b"?")
    assert registry.load(TWO).version == TWO


def test_an_unsigned_object_is_not_even_fetched(registry: Registry, store: Counted, tmp_path: Path) -> None:
    store.delete(f"{TWO}/{SIGNATURE_FILE}")
    store.reads.clear()
    with pytest.raises(ModelError, match="is not signed"):
        registry.load(TWO)
    assert f"{TWO}/{MODEL_FILE}" not in store.reads
    assert not (tmp_path / "cache").exists()


def test_the_second_of_two_writers_is_told(registry: Registry, store: Counted, tmp_path: Path) -> None:
    rival = Registry(ObjectStorage("memory:///", store), TRUST, tmp_path / "other")

    def too_slow(before):  # type: ignore[no-untyped-def]
        rival.change(lambda first: shadowed(first, TWO, BOB))  # type: ignore[arg-type]
        return promoted(before, TWO, ALICE)

    with pytest.raises(RolloutConflict, match="somebody else changed"):
        registry.change(too_slow)
    assert registry.rollout().roles.shadows == (TWO,)


def test_of_two_first_writers_one_is_told(store: Counted, tmp_path: Path) -> None:
    empty = Registry(ObjectStorage("memory:///", store), TRUST, tmp_path)

    def too_slow(_: object):  # type: ignore[no-untyped-def]
        empty.change(lambda before: promoted(before, ONE, BOB))
        return promoted(None, TWO, ALICE)

    with pytest.raises(RolloutConflict):
        empty.change(too_slow)


@pytest.mark.parametrize("address", ["s3://", "az://", "gs://"])
def test_an_address_that_is_none_is_one_sentence(address: str) -> None:
    with pytest.raises(ModelError, match="is no address of an object store") as refused:
        open_object_store(address)
    assert "\n" not in str(refused.value)


def test_without_the_extra_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.object_storage.find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"pip install 'clickgoose\[objects\]'"):
        open_object_store("s3://bucket/models")
