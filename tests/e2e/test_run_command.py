"""``clickgoose run --for``: what ``make run`` starts ends by itself, with an account that balances."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

SUMMARY = {"accepted", "scored", "dead_lettered", "deduplicated", "events_per_s", "latency_ms"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    home: Path = tmp_path_factory.mktemp("run") / "home"
    command = [sys.executable, "-m", "infra.cli", "run", "--for", "8s", "--rate", "120", "--home", str(home), "--json"]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


def test_it_exits_with_0_and_prints_one_line_of_json(finished: subprocess.CompletedProcess[str]) -> None:
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert finished.stdout.count("\n") == 1
    assert json.loads(finished.stdout).keys() >= SUMMARY


def test_every_accepted_event_is_accounted_for(finished: subprocess.CompletedProcess[str]) -> None:
    report = json.loads(finished.stdout)
    assert report["accepted"] == report["scored"] + report["dead_lettered"] + report["deduplicated"]
    assert report["accepted"] == report["traffic"]["ok"] > 100
    assert report["balanced"] is True
    assert report["problems"] == []


def test_traffic_has_attackers_that_are_denied_and_honest_visitors_that_are_not(
    finished: subprocess.CompletedProcess[str],
) -> None:
    report = json.loads(finished.stdout)
    assert len(set(report["traffic"]["kinds"]) - {"honest", "retrier"}) >= 5
    assert report["decisions"]["deny"] > 0
    assert report["decisions"]["allow"] > report["scored"] / 2


def test_progress_goes_to_standard_error(finished: subprocess.CompletedProcess[str]) -> None:
    assert "scored a second" in finished.stderr


def test_the_demo_shops_link_is_printed_before_the_table(finished: subprocess.CompletedProcess[str]) -> None:
    before, _, _ = finished.stderr.partition("scored a second")
    assert re.search(r"^demo shop on http://127\.0\.0\.1:\d+:", before, re.MULTILINE)


@pytest.mark.parametrize("wrong", [["--for", "soon"], ["--rate", "0"]])
def test_wrong_use_is_exit_code_2_and_one_sentence(wrong: list[str]) -> None:
    command = [sys.executable, "-m", "infra.cli", "run", *wrong]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
