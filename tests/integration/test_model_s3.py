"""A registry in a bucket of a real S3 server, by the command that a data engineer uses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from flows.metrics import FlowMetrics
from infra.model_watch import ModelWatch
from infra.models import registry_of
from infra.settings import Settings
from scoring.registry import RolloutConflict
from scoring.rollout import Rollout, promoted, shadowed
from scoring.storage import StorageAway
from tests.model_commands import good, run
from tests.registry_kit import ALICE, put, two_models
from tests.s3_process import BUCKET, s3_server

(ONE, ONE_FILES), (TWO, TWO_FILES) = two_models()


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    """The environment of a running server."""
    with s3_server() as environment:
        yield environment


@pytest.fixture
def root(s3: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A root of this test's own, which the settings name."""
    address = f"s3://{BUCKET}/{tmp_path.name}"
    settings = {"HOME": str(tmp_path / "home"), "MODELS__ROOT": address}
    for name, value in {**s3, **{f"CLICKGOOSE_{key}": value for key, value in settings.items()}}.items():
        monkeypatch.setenv(name, value)
    return address


def test_a_model_is_signed_published_promoted_watched_and_rolled_back(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = good("keygen", "--out", str(tmp_path / "key.pem"))
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("CLICKGOOSE_MODELS__TRUSTED_KEYS", json.dumps([key["public_key"]]))
    first, second = put(tmp_path / "out", ONE, ONE_FILES), put(tmp_path / "out", TWO, TWO_FILES)
    unsigned = run("publish", str(first))
    assert (unsigned.exit_code, "is not signed" in unsigned.stderr) == (1, True)
    for directory in (first, second):
        good("sign", directory.name, "--key", key["private_key"], "--models", str(tmp_path / "out"))
        assert good("publish", str(directory)) == {"version": directory.name, "root": root}
    good("promote", ONE)
    watch = ModelWatch(registry_of(Settings()), FlowMetrics(CollectorRegistry()))
    assert good("promote", TWO, "--percent", "10")["percent"] == 10
    assert good("shadow", "add", TWO)["shadows"] == [TWO]
    assert watch.look()
    assert (watch().live.version, watch().percent, len(watch().shadows)) == (ONE, 10, 1)
    good("promote", TWO)
    assert watch.look()
    assert watch().live.version == TWO
    assert good("rollback")["live"] == ONE
    assert watch.look()
    assert watch().live.version == ONE
    listed = good("list")
    assert {row["version"]: row["role"] for row in listed["models"]} == {ONE: "live", TWO: ""}
    assert {row["signed_by"] for row in listed["models"]} == {key["id"]}
    assert [change["did"] for change in listed["rollout"]["history"]][-1] == "rollback"
    fetched = good("fetch", TWO, "--out", str(tmp_path / "fetched"))
    assert Path(fetched["path"], "manifest.sig").is_file()


def test_the_server_refuses_the_second_of_two_writers(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKGOOSE_MODELS__REQUIRE_SIGNATURE", "false")
    registry, rival = registry_of(Settings()), registry_of(Settings())
    registry.change(lambda before: promoted(before, ONE, ALICE))

    def too_slow(before: Rollout | None) -> Rollout:
        assert before is not None
        rival.change(lambda first: shadowed(first or before, TWO, ALICE))
        return promoted(before, TWO, ALICE)

    with pytest.raises(RolloutConflict):
        registry.change(too_slow)
    assert registry.rollout().roles.shadows == (TWO,)


def test_a_store_that_does_not_answer_is_one_sentence_and_a_start_uses_what_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLICKGOOSE_MODELS__REQUIRE_SIGNATURE", "false")
    monkeypatch.setenv("CLICKGOOSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CLICKGOOSE_MODELS__ROOT", f"s3://{BUCKET}/away")
    with s3_server() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        registry = registry_of(Settings())
        registry.publish(put(tmp_path, ONE, ONE_FILES))
        registry.change(lambda before: promoted(before, ONE, ALICE))
        watch = ModelWatch(registry, FlowMetrics(CollectorRegistry()))
    assert not watch.look()
    assert ModelWatch(registry, FlowMetrics(CollectorRegistry()))().live.version == ONE
    listed = run("list")
    assert (listed.exit_code, listed.stderr.count("\n")) == (1, 1)
    assert "does not answer" in listed.stderr
    shutil.rmtree(tmp_path / "home")
    with pytest.raises(StorageAway):
        ModelWatch(registry, FlowMetrics(CollectorRegistry()))
