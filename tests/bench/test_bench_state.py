"""``clickgoose bench state``: what is grown can be loaded, and the figures that were asked for are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.bench.state import Load, main


def test_a_state_that_was_grown_and_snapshotted_is_loaded_from_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("infra.bench.state._EPOCHS", 30)
    load = Load(devices=2_000, events=20_000)
    grown = main("uniform", str(tmp_path), load)
    loaded = main("loaded", str(tmp_path), load)
    assert loaded["devices"] >= grown["devices"] > 1_500
    assert min(grown["cpu_us_per_event"], grown["snapshot_ms_p99"], grown["rss_mb"], loaded["load_s"]) > 0
    assert sum(map(float, capsys.readouterr().out.split())) == pytest.approx(2.0, abs=0.11)  # progress of both
