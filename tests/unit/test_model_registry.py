"""The registry: what it refuses, whose models it takes, and two writers at once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from scoring.model import MANIFEST_FILE, MODEL_FILE, Model, ModelError
from scoring.registry import Registry, RolloutConflict
from scoring.rollout import ROLLOUT_FILE, promoted, shadowed
from scoring.signing import SIGNATURE_FILE, BadKey, Signer, Trust, key_id, read_keys
from scoring.storage import DirectoryStorage
from tests.registry_kit import ALICE, BAD, BOB, put, registry_in, two_models, with_manifest

(ONE, ONE_FILES), (TWO, TWO_FILES) = two_models()


def test_every_version_of_a_root_is_listed_and_loads(tmp_path: Path) -> None:
    registry = registry_in(tmp_path)
    (tmp_path / "notes").mkdir()
    assert registry.versions() == tuple(sorted((ONE, TWO)))
    assert registry.load(TWO).version == TWO
    assert registry.path(TWO) == tmp_path / TWO
    assert registry.rollout().roles.live == ONE


@pytest.mark.parametrize("flaw", BAD)
def test_a_bad_model_is_refused_with_a_sentence(flaw: str, tmp_path: Path) -> None:
    spoil, reason = BAD[flaw]
    registry = registry_in(tmp_path)
    (tmp_path / TWO / MODEL_FILE).unlink()
    put(tmp_path, TWO, spoil(TWO_FILES))
    with pytest.raises(ModelError, match=reason) as refused:
        registry.load(TWO)
    assert "\n" not in str(refused.value)


def test_a_directory_that_is_named_otherwise_than_its_model_is_refused(tmp_path: Path) -> None:
    registry = registry_in(tmp_path)
    put(tmp_path, "goose-other", TWO_FILES)
    with pytest.raises(ModelError, match=f"calls itself {TWO}"):
        registry.load("goose-other")


@pytest.mark.parametrize("name", ["goose-gone", "../outside", ".."])
def test_a_version_that_is_not_there_is_refused(name: str, tmp_path: Path) -> None:
    put(tmp_path, "outside", TWO_FILES)
    with pytest.raises(ModelError, match="clickgoose model list"):
        registry_in(tmp_path / "root").load(name)


def test_a_manifest_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    registry = registry_in(tmp_path)
    put(tmp_path, TWO, with_manifest(TWO_FILES, files={"../../x": "0"}))
    with pytest.raises(ModelError, match="outside its directory"):
        registry.load(TWO)


def test_a_signed_model_of_a_trusted_key_is_taken_and_named_by_its_key(tmp_path: Path) -> None:
    signer, other = Signer.new(), Signer.new()
    trust = Trust((other.public_text(), signer.public_text()))
    registry = registry_in(tmp_path, signer, trust)
    assert registry.load(TWO).version == TWO
    assert registry.signed_by(TWO) == registry.signature_of(TWO) == key_id(signer.public_text())


def test_an_unsigned_model_is_refused_where_signatures_are_required(tmp_path: Path) -> None:
    registry = registry_in(tmp_path, None, Trust((Signer.new().public_text(),)))
    with pytest.raises(ModelError, match="is not signed: run `clickgoose model sign"):
        registry.load(ONE)
    assert registry.signature_of(ONE) is None
    assert registry.path(ONE, trusted=False) == tmp_path / ONE


def test_a_model_signed_by_an_untrusted_key_is_refused(tmp_path: Path) -> None:
    registry = registry_in(tmp_path, Signer.new(), Trust((Signer.new().public_text(),)))
    for ask in (registry.load, registry.manifest, registry.signature_of):
        with pytest.raises(ModelError, match="of no trusted key"):
            ask(ONE)


def test_a_manifest_that_was_changed_after_signing_is_refused(tmp_path: Path) -> None:
    signer = Signer.new()
    registry = registry_in(tmp_path, signer, Trust((signer.public_text(),)))
    (tmp_path / ONE / MANIFEST_FILE).write_bytes(with_manifest(ONE_FILES, review=1.0)[MANIFEST_FILE])
    with pytest.raises(ModelError, match="its manifest was changed"):
        registry.load(ONE)


@pytest.mark.parametrize("signature", [b"", b"x", bytes(64), bytes(1000)])
def test_a_signature_that_is_none_is_refused(signature: bytes, tmp_path: Path) -> None:
    signer = Signer.new()
    registry = registry_in(tmp_path, signer, Trust((signer.public_text(),)))
    (tmp_path / ONE / SIGNATURE_FILE).write_bytes(signature)
    with pytest.raises(ModelError, match="of no trusted key"):
        registry.load(ONE)


def test_signing_later_makes_a_model_usable(tmp_path: Path) -> None:
    signer = Signer.from_pem(Signer.new().pem())
    registry = registry_in(tmp_path, None, Trust((signer.public_text(),)))
    registry.sign(ONE, signer)
    assert registry.load(ONE).version == ONE


def test_keys_that_are_none_are_refused() -> None:
    with pytest.raises(BadKey, match="no public key"):
        Trust(("AAAA",))
    with pytest.raises(BadKey, match="clickgoose model keygen"):
        Signer.from_pem(b"-----BEGIN NOTHING-----")
    text = Signer.new().public_text()
    assert read_keys(["# ours", "", f"{text}  release team", text]) == (text, text)


def test_the_second_of_two_writers_is_told_and_changes_nothing(tmp_path: Path) -> None:
    registry, rival = registry_in(tmp_path), Registry(DirectoryStorage(tmp_path))

    def too_slow(before):  # type: ignore[no-untyped-def]
        rival.change(lambda first: shadowed(first, TWO, BOB))  # type: ignore[arg-type]
        return promoted(before, TWO, ALICE)

    with pytest.raises(RolloutConflict, match="somebody else changed"):
        registry.change(too_slow)
    assert (registry.rollout().roles.live, registry.rollout().roles.shadows) == (ONE, (TWO,))


def test_of_many_writers_at_once_each_change_is_in_the_history_or_was_refused(tmp_path: Path) -> None:
    root = registry_in(tmp_path)
    done: list[str] = []

    def write(name: str) -> None:
        registry = Registry(DirectoryStorage(tmp_path))
        for turn in range(10):
            version = f"{name}-{turn}"
            try:
                registry.change(lambda before, version=version: promoted(before, version, ALICE))  # type: ignore[misc]
            except RolloutConflict:
                continue
            done.append(version)

    writers = [threading.Thread(target=write, args=(f"w{number}",)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(change.after.live for change in root.rollout().history[1:]) == sorted(done)
    assert done


def test_a_damaged_or_missing_rollout_is_one_sentence(tmp_path: Path) -> None:
    registry = registry_in(tmp_path)
    (tmp_path / ROLLOUT_FILE).write_bytes(b'{"roles": {"li')
    with pytest.raises(ModelError, match=r"rollout\.json cannot be used: it is damaged"):
        registry.rollout()
    (tmp_path / ROLLOUT_FILE).unlink()
    with pytest.raises(ModelError, match=r"no model is live.*clickgoose model promote"):
        registry.rollout()


def test_a_root_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        Registry(DirectoryStorage(tmp_path / "nowhere")).versions()


def test_publishing_checks_first_and_never_changes_a_version(tmp_path: Path) -> None:
    source, root = put(tmp_path / "out", TWO, TWO_FILES), tmp_path / "root"
    registry = Registry(DirectoryStorage(root))
    assert registry.publish(source) == TWO
    assert registry.publish(source) == TWO
    assert Model.load(root / TWO).version == TWO
    put(tmp_path / "out", TWO, with_manifest(TWO_FILES, review=1.0))
    with pytest.raises(ModelError, match="a version is never changed"):
        registry.publish(source)
    put(tmp_path / "out", ONE, {**ONE_FILES, MODEL_FILE: b"?"})
    with pytest.raises(ModelError, match="SHA-256"):
        registry.publish(tmp_path / "out" / ONE)
    assert registry.versions() == (TWO,)
