"""Rules in a bucket of a real S3 server: published, followed, kept for a start while it is away."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from infra.cli import rules
from infra.rules_registry import rules_registry_of, watched_rules
from infra.settings import Settings
from scoring.rules.registry_state import Surprise, expected, published
from scoring.rules.watch import WatchedRules
from scoring.storage import StorageAway
from tests.rules_registry_kit import ALICE, BOB, shadow_tags, tags, text
from tests.s3_process import BUCKET, s3_server
from tests.waiting import eventually


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    """The environment of a running server."""
    with s3_server() as environment:
        yield environment


@pytest.fixture
def root(s3: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A root of this test's own, which the settings name."""
    address = f"s3://{BUCKET}/{tmp_path.name}"
    use(monkeypatch, s3, tmp_path, address)
    return address


def use(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], home: Path, address: str) -> None:
    settings = {"CLICKGOOSE_HOME": str(home / "home"), "CLICKGOOSE_RULES__ROOT": address}
    for name, value in (environment | settings).items():
        monkeypatch.setenv(name, value)


def run(*arguments: object) -> Result:
    """Run the group alone."""
    app = typer.Typer()
    rules.register(app)
    return CliRunner().invoke(app, ["rules", *map(str, arguments)])


def published_file(tmp_path: Path, number: int, to: str) -> str:
    """Publish the file of a numbered rule, and return its digest."""
    path = tmp_path / "payment.yaml"
    path.write_text(text(number).text)
    result = run("publish", path, "--to", to, "--json")
    assert result.exit_code == 0, result.output
    found: str = json.loads(result.stdout)["rulesets"][0]["digest"]
    return found


def test_rules_are_published_followed_and_rolled_back(root: str, tmp_path: Path) -> None:
    first = published_file(tmp_path, 1, "live")
    watch = watched_rules(Settings())
    try:
        assert tags(watch()) == ("t1",)
        second = published_file(tmp_path, 2, "shadow")
        eventually(lambda: shadow_tags(watch()) == [("t2",)])
        assert run("publish", second, "--to", "live").exit_code == 0
        eventually(lambda: tags(watch()) == ("t2",))
        assert run("rollback").exit_code == 0
        eventually(lambda: tags(watch()) == ("t1",))
    finally:
        watch.close()
    listed = json.loads(run("list", "--json").stdout)
    assert listed["root"] == root
    assert {row["digest"]: row["stage"] for row in listed["rulesets"]} == {first: "live", second: "retired"}


def test_the_server_refuses_the_second_of_two_writers_who_is_asked_again(root: str, tmp_path: Path) -> None:
    live = published_file(tmp_path, 1, "live")
    registry, rival = rules_registry_of(Settings()), rules_registry_of(Settings())
    mine, theirs = (registry.add(None, [text(number)], ALICE).file.digest for number in (2, 3))
    asked: list[str | None] = []

    def too_slow(state):  # type: ignore[no-untyped-def]
        asked.append(state.everyone.live)
        if len(asked) == 1:
            rival.change(lambda now: published(now, None, theirs, "live", BOB))
        return published(expected(state, None, live), None, mine, "live", ALICE)

    with pytest.raises(Surprise, match=theirs):
        registry.change(too_slow)
    assert asked == [live, theirs]
    assert registry.read_state()[0].everyone.live == theirs


def test_while_the_store_is_away_rules_go_on_and_a_start_uses_what_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server() as environment:
        use(monkeypatch, environment, tmp_path, f"s3://{BUCKET}/away")
        published_file(tmp_path, 1, "live")
        watch = WatchedRules(rules_registry_of(Settings()))
    assert not watch.look()
    assert tags(watch()) == ("t1",)
    assert tags(WatchedRules(rules_registry_of(Settings()))()) == ("t1",)
    listed = run("list")
    assert (listed.exit_code, listed.stderr.count("\n")) == (1, 1)
    assert "does not answer" in listed.stderr
    shutil.rmtree(tmp_path / "home")
    with pytest.raises(StorageAway):
        WatchedRules(rules_registry_of(Settings()))
