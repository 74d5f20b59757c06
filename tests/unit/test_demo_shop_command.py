"""``clickgoose demo-shop`` on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli import app
from ingest_api.server import bind

RUNNER = CliRunner()


def run(*words: str, **env: str) -> tuple[int, str]:
    ended = RUNNER.invoke(app, ["demo-shop", *words], env=env)
    return ended.exit_code, ended.output


def test_without_an_ingest_tier_it_says_what_to_give(tmp_path: Path) -> None:
    code, said = run("--home", str(tmp_path))
    assert (code, said.count("\n")) == (2, 1)
    assert "--url" in said


@pytest.mark.parametrize("url", ["127.0.0.1:8443", "ftp://127.0.0.1"])
def test_an_address_that_is_no_http_url_is_wrong_use(tmp_path: Path, url: str) -> None:
    assert run("--home", str(tmp_path), "--url", url)[0] == 2


def test_without_keys_it_says_what_to_do(tmp_path: Path) -> None:
    code, said = run("--home", str(tmp_path), "--url", "http://127.0.0.1:9")
    assert code == 1
    assert "CLICKGOOSE_API_KEY" in said and "Traceback" not in said


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    bound = bind("127.0.0.1", 0)
    bound.listen()
    port = str(bound.getsockname()[1])
    code, said = run("--home", str(tmp_path), "--url", "http://127.0.0.1:9", "--port", port, CLICKGOOSE_API_KEY="cg_x")
    bound.close()
    assert (code, said.count("\n")) == (1, 1)
    assert port in said
