"""The README's tour works when it is copied and pasted: curl, then Python."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.e2e.system import READY_SECONDS, System
from tests.waiting import PATIENT_FLOW

README = Path(__file__).parent.parent.parent / "README.md"


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of the README's tour in a language."""
    tour = README.read_text("utf-8").split("## A tour of the API")[1]
    return [patient(block) for block in re.findall(rf"```{language}\n(.*?)```", tour, re.DOTALL)]


def patient(block: str) -> str:
    """Return a block that gives a busy machine time: nothing is shown by how soon a score is there."""
    for hasty, calm in (("?wait=5", "?wait=30"), ('"wait": 5}', '"wait": 30}'), ("timeout=10)", "timeout=60)")):
        block = block.replace(hasty, calm)
    return block.replace("verify=trust)", "verify=trust, timeout=60)")


def paste(words: list[str], system: System, folder: Path) -> str:
    """Run what a newcomer pastes, in a folder whose ``.clickgoose`` is the stack of the test."""
    env = {
        **os.environ,
        "CLICKGOOSE_HOME": ".clickgoose",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True)
class Tour:
    """What the tour printed, and where the tier answers."""

    url: str
    folder: Path
    curl: str
    python: str


@pytest.fixture(scope="module")
def tour(system: System, tmp_path_factory: pytest.TempPathFactory) -> Tour:
    """Take the tour once."""
    folder = tmp_path_factory.mktemp("tour")
    (folder / ".clickgoose").symlink_to(system.stack.home)
    url = system.start_ingest()
    system.start_flow(keys=False, **PATIENT_FLOW)
    start, steps = blocks("sh")
    assert "clickgoose up" in start
    shell = steps.split("\nkill ")[0].replace("https://127.0.0.1:8443", url)
    curl = paste(["bash", "-euo", "pipefail", "-c", shell], system, folder)
    (script,) = blocks("python")
    python = paste([sys.executable, "-c", script.replace("https://127.0.0.1:8443", url)], system, folder)
    return Tour(url, folder, curl, python)


def test_the_tour_scores_an_event_with_curl_and_one_with_python(tour: Tour) -> None:
    assert '"decision":' in tour.curl
    assert '"headless":{"result":true' in tour.curl
    assert "'status': 'ok'" in tour.python
    assert "'decision':" in tour.python


def test_its_event_is_labelled_and_explained_exactly_and_made_again(system: System, tour: Tour) -> None:
    query = "SELECT event, merchant FROM events WHERE transaction = 'order-1001'"
    until = time.monotonic() + READY_SECONDS
    while not (rows := system.clickhouse(query)):
        assert time.monotonic() < until, "the event did not reach ClickHouse in time"
        time.sleep(0.2)
    ((event, merchant),) = rows
    headers = {"authorization": f"Bearer {system.stack.secrets.api_keys[merchant]}"}
    trust = ssl.create_default_context(cafile=str(system.stack.home / "tls" / "cert.pem"))
    with httpx.Client(base_url=tour.url, verify=trust, headers=headers, timeout=READY_SECONDS) as client:
        label = {"target": "transaction", "id": "order-1001", "label": "chargeback"}
        assert client.post("/v1/labels", json={"labels": [label]}).json()["stored"] == 1
        explained = client.get(f"/v1/events/{event}/explain")
        assert explained.status_code == 200, explained.text
        assert explained.json()["equal"] is True
    told = system.clickhouse("SELECT label FROM labels FINAL WHERE id = 'order-1001'")
    assert told == [("chargeback",)]
    made_again = json.loads(paste(["clickgoose", "explain", event, "--json"], system, tour.folder))
    assert made_again["verdict"] == "identical"
    assert {part["outcome"] for part in made_again["parts"]} == {"identical"}
