"""``clickgoose account`` and ``clickgoose clickhouse migrate``: one object on stdout, exit codes, one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from infra.cli import account, clickhouse
from infra.stack.local import LocalStack
from tests.stack_fixture import Namespace

pytestmark = pytest.mark.stack
app = typer.Typer()
account.register(app)
clickhouse.register(app)


@pytest.fixture
def environment(stack: LocalStack, namespace: Namespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("CLICKGOOSE_HOME", str(tmp_path))
    monkeypatch.setenv("CLICKGOOSE_KAFKA__BOOTSTRAP", stack.bootstrap)
    monkeypatch.setenv("CLICKGOOSE_CLICKHOUSE__URL", namespace.clickhouse_url)
    monkeypatch.setenv("CLICKGOOSE_REDIS__URL", stack.redis_url)
    return tmp_path


def run(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def test_migrate_says_what_it_applied_and_then_that_nothing_is_left(environment: Path) -> None:
    code, out, _ = run("clickhouse", "migrate", "--json")
    assert (code, json.loads(out)["applied"][0]) == (0, "events")
    assert run("clickhouse", "migrate") == (0, "nothing to do: the tables are up to date\n", "")


def test_an_account_since_now_balances_at_nothing(environment: Path) -> None:
    assert run("clickhouse", "migrate")[0] == 0
    mark = environment / "mark.json"
    assert run("account", "--mark", str(mark)) == (0, "", "")
    code, out, _ = run("account", "--since", str(mark), "--json")
    found = json.loads(out)
    assert (code, found["accepted"], found["lost"], found["balanced"]) == (0, 0, 0, True)
    code, out, _ = run("account", "--since", str(mark))
    assert code == 0
    assert "It balances." in out


def test_what_cannot_be_read_is_one_sentence_and_exit_code_2(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = environment / "wrong.json"
    wrong.write_text("[]", "utf-8")
    code, out, err = run("account", "--since", str(wrong))
    assert (code, out) == (2, "")
    assert "does not hold the offsets" in err and err.count("\n") == 1
    code, _, err = run("account", "--accepted-ids", str(environment / "absent.hex"))
    assert (code, err.count("\n")) == (2, 1)
    monkeypatch.setenv("CLICKGOOSE_CLICKHOUSE__URL", "clickhouse://default:secret@127.0.0.1:1/default")
    code, _, err = run("account")
    assert (code, err.count("\n")) == (2, 1)
    assert "secret" not in err
    monkeypatch.setenv("CLICKGOOSE_KAFKA__BOOTSTRAP", "127.0.0.1:1")
    code, _, err = run("account")
    assert (code, err.count("\n")) == (2, 1)
    monkeypatch.delenv("CLICKGOOSE_KAFKA__BOOTSTRAP")
    assert "run `clickgoose up`" in run("account")[2]


def test_a_database_that_is_away_is_one_sentence_and_exit_code_1(environment: Path) -> None:
    code, out, err = run("clickhouse", "migrate", "--url", "clickhouse://127.0.0.1:1/default")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert run("clickhouse", "tiers", "--warm-days", "7")[0] == 2
