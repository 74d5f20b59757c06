"""``clickgoose model``: list, promote, rollback, shadow, sign, keygen, publish and fetch, and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scoring.model import MODEL_FILE, MODELS
from scoring.rollout import ROLLOUT_FILE
from scoring.signing import Signer
from tests.model_commands import good, run
from tests.registry_kit import BAD, put, registry_in, two_models

(ONE, ONE_FILES), (TWO, TWO_FILES) = two_models()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root of two unsigned models that the settings name and allow, the first of them live."""
    monkeypatch.setenv("CLICKGOOSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CLICKGOOSE_MODELS__ROOT", str(tmp_path / "models"))
    monkeypatch.setenv("CLICKGOOSE_MODELS__REQUIRE_SIGNATURE", "false")
    registry_in(tmp_path / "models")
    return tmp_path / "models"


def refused(*arguments: str, code: int = 1) -> str:
    """Run what ends with a sentence on standard error, and return it."""
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    return result.stderr


def test_list_says_who_does_what_and_who_changed_it(root: Path) -> None:
    good("promote", TWO, "--percent", "5")
    listed = good("list")
    assert {row["version"]: row["role"] for row in listed["models"]} == {ONE: "live", TWO: "candidate 5%"}
    assert listed["rollout"]["history"][-1]["did"] == "promote"
    text = run("list").stdout
    assert f"promote, {ONE} -> {ONE}, candidate {TWO} 5%" in text
    assert "alice@desk" in text


def test_list_finds_a_live_model_that_cannot_score(root: Path) -> None:
    put(root, ONE, BAD["other features"][0](ONE_FILES))
    result = run("list")
    assert result.exit_code == 1
    assert "moon.phase" in result.stdout
    assert f"{ONE} should score and cannot" in result.stderr


def test_promote_and_rollback_change_what_is_live(root: Path) -> None:
    assert good("promote", TWO) == {
        "live": TWO, "candidate": None, "percent": 0.0, "shadows": [], "checked": "golden rows, XGBoost",
    }  # fmt: skip
    assert good("rollback")["live"] == ONE
    assert "no version was live before" in refused("rollback")
    assert good("rollback", "--to", TWO)["live"] == TWO


@pytest.mark.parametrize("flaw", BAD)
def test_promote_refuses_a_bad_model_and_changes_nothing(flaw: str, root: Path) -> None:
    (root / TWO / MODEL_FILE).unlink()
    put(root, TWO, BAD[flaw][0](TWO_FILES))
    before = (root / ROLLOUT_FILE).read_bytes()
    for command in (("promote", TWO), ("promote", TWO, "--percent", "1"), ("shadow", "add", TWO)):
        assert refused(*command).count("\n") == 1
    assert (root / ROLLOUT_FILE).read_bytes() == before


def test_a_rollback_to_a_model_that_cannot_score_is_refused(root: Path) -> None:
    good("promote", TWO)
    (root / ONE / MODEL_FILE).write_bytes(b"?")
    assert "SHA-256" in refused("rollback")
    assert good("list")["rollout"]["roles"]["live"] == TWO


@pytest.mark.parametrize("percent", ["0", "-3", "101", "nan"])
def test_a_share_that_is_none_is_wrong_use(percent: str, root: Path) -> None:
    assert "no share of devices" in refused("promote", TWO, "--percent", percent, code=2)


def test_shadows_come_and_go(root: Path) -> None:
    assert good("shadow", "add", TWO)["shadows"] == [TWO]
    assert "its own shadow" in refused("shadow", "add", ONE)
    assert good("shadow", "remove", TWO)["shadows"] == []
    assert "is no shadow" in refused("shadow", "remove", TWO)


def test_a_root_of_ones_own_needs_signatures_and_the_shipped_one_does_not(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLICKGOOSE_MODELS__REQUIRE_SIGNATURE")
    sentence = refused("promote", TWO)
    assert "is not signed" in sentence
    assert "CLICKGOOSE_MODELS__REQUIRE_SIGNATURE=false" in sentence
    key = good("keygen", "--out", str(tmp_path / "key.pem"))
    assert good("sign", TWO, "--key", key["private_key"])["trusted_here"] is False
    assert "of no trusted key" in refused("promote", TWO)
    assert "of no trusted key" in refused("verify", TWO)
    monkeypatch.setenv("CLICKGOOSE_MODELS__TRUSTED_KEYS", json.dumps([key["public_key"]]))
    assert good("sign", TWO, "--key", key["private_key"]) == {
        "version": TWO, "signed_by": key["id"], "trusted_here": True,
    }  # fmt: skip
    assert good("promote", TWO)["live"] == TWO
    assert good("verify", TWO)["signed_by"] == good("show", TWO)["signed_by"] == key["id"]
    assert "is not signed" not in (good("show", "--models", str(MODELS))["problem"] or "")


def test_keys_are_made_once_and_read_by_their_owner_only(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    good("keygen", "--out", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_bytes()
    assert "name another file" in refused("keygen", "--out", str(file), code=2)
    assert file.read_bytes() == before
    assert "cannot be used to sign" in refused("sign", TWO, "--key", str(root / ROLLOUT_FILE), code=2)
    assert "--key FILE" in refused("sign", TWO, code=2)
    assert "clickgoose model list" in refused("sign", "goose-gone", "--key", str(file))


def test_wrong_settings_are_one_sentence(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKGOOSE_MODELS__TRUSTED_KEYS", '["short"]')
    assert "CLICKGOOSE_MODELS__TRUSTED_KEYS" in refused("list")
    monkeypatch.setenv("CLICKGOOSE_MODELS__TRUSTED_KEYS", "[]")
    assert "is no root of models" in refused("list", "--models", "ftp://there/models")


def test_publish_and_fetch_carry_a_model_from_root_to_root(root: Path, tmp_path: Path) -> None:
    other = str(tmp_path / "other")
    assert good("publish", str(root / TWO), "--models", other) == {"version": TWO, "root": other}
    assert "no model is live" in refused("show", "--models", other)
    fetched = good("fetch", TWO, "--models", other, "--out", str(tmp_path / "fetched"))
    assert (Path(fetched["path"]) / MODEL_FILE).read_bytes() == TWO_FILES[MODEL_FILE]


def test_training_signs_with_the_key_of_the_settings(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLICKGOOSE_MODELS__SIGNING_KEY_FILE", str(tmp_path / "gone.pem"))
    assert "cannot be used to sign" in refused("train", "--out", str(tmp_path), code=2)
    (tmp_path / "key.pem").write_bytes(Signer.new().pem())
    monkeypatch.setenv("CLICKGOOSE_MODELS__SIGNING_KEY_FILE", str(tmp_path / "key.pem"))
    assert good("sign", TWO)["trusted_here"] is False
