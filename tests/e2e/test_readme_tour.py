"""The README's tour works when it is copied and pasted: curl, then Python."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.e2e.system import System

README = Path(__file__).parent.parent.parent / "README.md"


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of the README's tour in a language."""
    tour = README.read_text("utf-8").split("## A tour of the API")[1]
    return re.findall(rf"```{language}\n(.*?)```", tour, re.DOTALL)


def paste(words: list[str], system: System, folder: Path) -> str:
    """Run what a newcomer pastes, in a folder whose ``.clickgoose`` is the stack of the test."""
    env = {
        **os.environ,
        "CLICKGOOSE_HOME": ".clickgoose",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_tour_scores_an_event_with_curl_and_one_with_python(system: System, tmp_path: Path) -> None:
    (tmp_path / ".clickgoose").symlink_to(system.stack.home)
    url = system.start_ingest()
    system.start_flow(keys=False)

    start, steps = blocks("sh")
    assert "clickgoose up" in start
    shell = steps.split("\nkill ")[0].replace("https://127.0.0.1:8443", url)
    answer = paste(["bash", "-euo", "pipefail", "-c", shell], system, tmp_path)
    assert '"decision":' in answer
    assert '"headless":{"result":true' in answer

    (script,) = blocks("python")
    answer = paste([sys.executable, "-c", script.replace("https://127.0.0.1:8443", url)], system, tmp_path)
    assert "'status': 'ok'" in answer
    assert "'decision':" in answer
