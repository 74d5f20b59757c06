"""Settings that cannot be used: one sentence with the variable's name, nothing of what it holds, exit code 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infra.settings import Settings
from infra.settings_refused import SettingsRefused

ROOT = Path(__file__).parents[2]
SECRET = "hunter2-of-the-merchant"
WHERE = " docs/configuration.md lists every setting."
REFUSED = [
    ("FLOW__POLL_MAX_EVENTS", SECRET, "CLICKGOOSE_FLOW__POLL_MAX_EVENTS cannot be used: Input should be a valid int"),
    ("REDIS__SHARED_TAGS", "3", "CLICKGOOSE_REDIS__SHARED_TAGS cannot be used: it must be a power of two"),
    ("FLOW__POLL_MAX_EVENTS", "0", "CLICKGOOSE_FLOW__POLL_MAX_EVENTS cannot be used: Input should be greater than"),
    ("MASTER_KEYS", f'{{"{SECRET}": "00"}}', "CLICKGOOSE_MASTER_KEYS cannot be used: Input should be a valid int"),
    ("MASTER_KEYS", f"{{{SECRET}", "CLICKGOOSE_MASTER_KEYS is not the JSON that it should be."),
    ("FLOW", "{", "CLICKGOOSE_FLOW is not the JSON that it should be."),
    ("FLOW__NOPE", SECRET, "there is no setting CLICKGOOSE_FLOW__NOPE."),
]


@pytest.mark.parametrize(("name", "value", "sentence"), REFUSED)
def test_a_setting_that_cannot_be_used_is_named_and_not_shown(
    name: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"CLICKGOOSE_{name}", value)
    with pytest.raises(SettingsRefused) as refused:
        Settings()
    said = str(refused.value)
    assert said.startswith(sentence) and said.endswith(WHERE)
    assert SECRET not in said and "\n" not in said


def test_every_setting_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKGOOSE_FLOW__POLL_MAX_EVENTS", "many")
    monkeypatch.setenv("CLICKGOOSE_REDIS__RESULT_TTL_SECONDS", "1")
    with pytest.raises(
        SettingsRefused, match=r"REDIS__RESULT_TTL_SECONDS cannot be used: .*; .*POLL_MAX_EVENTS cannot"
    ):
        Settings()


@pytest.mark.parametrize("command", [["doctor"], ["flow", "run"]])
def test_a_command_says_it_and_ends_as_on_wrong_use(command: list[str], tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "CLICKGOOSE_HOME": str(tmp_path), "CLICKGOOSE_FLOW__EPOCH_SECONDS": "soon"}
    argv = [sys.executable, "-m", "infra.cli", *command]
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("CLICKGOOSE_FLOW__EPOCH_SECONDS cannot be used: ")
    assert done.stderr.count("\n") == 1
