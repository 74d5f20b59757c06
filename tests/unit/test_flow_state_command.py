"""``clickgoose flow state``: it says what a flow would find, and changes nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.state_log import StateLog
from flows.state_report import report_of
from infra.cli import app
from schemas.stage import Snapshot
from schemas.velocity import SLICES

WHOLE = Snapshot(b"state " * 20, 0, SLICES)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a flow's state: partition 0 of process 0 acknowledged up to 25, partition 1 of process 1 not at all."""
    with log_in(tmp_path / "process-0" / "partition-00000", 0) as log:
        for offset in (10, 20, 30):
            log.append(WHOLE, offset)
        log.mark(25)
    with log_in(tmp_path / "process-1" / "partition-00001", 1) as log:
        log.append(WHOLE, 7)
    return tmp_path


def log_in(directory: Path, partition: int) -> StateLog:
    log = StateLog(directory, partition)
    log.load()
    return log


def asked(root: Path) -> tuple[int, list[dict[str, Any]]]:
    said = CliRunner().invoke(app, ["flow", "state", "--state", str(root), "--json"])
    return said.exit_code, json.loads(said.stdout)["partitions"]


def contents(root: Path) -> dict[Path, tuple[bytes, int]]:
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()}


def test_it_says_where_a_flow_would_resume_and_changes_nothing(root: Path) -> None:
    before = contents(root)
    code, (first, second) = asked(root)
    assert code == 0
    assert first | {"directory": "", "bytes": 0} == {
        "directory": "", "partition": 0, "resume_offset": 20, "newest_offset": 30, "watermark": 25, "segments": 1,
        "frames": 3, "bytes": 0, "run_frames": 1, "slices": SLICES, "holder": None, "problems": [],
    }  # fmt: skip
    assert first["bytes"] == next((root / "process-0").rglob("segment-*")).stat().st_size
    assert (second["resume_offset"], second["newest_offset"], second["watermark"]) == (None, 7, -1)
    assert contents(root) == before


def test_it_names_the_process_that_works_on_a_partition(root: Path) -> None:
    with log_in(root / "process-1" / "partition-00001", 1):
        code, (first, second) = asked(root)
        assert (code, first["holder"], second["holder"]) == (0, None, os.getpid())


def test_a_process_id_that_a_killed_flow_left_is_nobody(root: Path) -> None:
    (root / "process-0" / "partition-00000" / "lock").write_text(str(os.getpid()))
    assert asked(root)[1][0]["holder"] is None


def test_a_damaged_log_is_a_problem_that_a_look_leaves_as_it_is(root: Path) -> None:
    path = next((root / "process-0").rglob("segment-*"))
    content = bytearray(path.read_bytes())
    content[-60] ^= 1
    path.write_bytes(content)
    for _ in range(2):
        code, (first, _) = asked(root)
        assert code == 1
        assert "CRC" in first["problems"][0]
        assert first["resume_offset"] is None  # the watermark lay behind the damage
    said = CliRunner().invoke(app, ["flow", "state", "--state", str(root)])
    assert said.exit_code == 1
    assert "partition 0: segment-00000000000000000001.log: a frame's CRC does not match" in said.stdout


def test_the_state_of_another_partition_is_a_problem(root: Path) -> None:
    (root / "process-1" / "partition-00001").rename(root / "process-1" / "partition-00003")
    code, (_, moved) = asked(root)
    assert (code, moved["problems"]) == (1, ["it holds the state of partition 1"])


def test_a_frame_that_is_just_being_written_is_no_damage(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = root / "process-0" / "partition-00000"
    path = next(directory.glob("segment-*"))
    whole = path.read_bytes()
    with log_in(root / "process-1" / "partition-00001", 1):
        monkeypatch.setattr("flows.state_report.holder_of", lambda _: os.getpid())
        path.write_bytes(whole[:-5])
        monkeypatch.setattr("flows.state_report.time.sleep", lambda _: path.write_bytes(whole))
        assert report_of(directory, 0).problems == ()
        path.write_bytes(whole[:-5])
        monkeypatch.setattr("flows.state_report.time.sleep", lambda _: None)
        assert "torn" in report_of(directory, 0).problems[0]


def test_without_a_state_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    for where in (tmp_path, tmp_path / "nowhere"):
        said = CliRunner().invoke(app, ["flow", "state", "--state", str(where)])
        assert said.exit_code == 2
        assert len(said.stderr.strip().splitlines()) == 1
