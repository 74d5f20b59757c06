"""The file of labelled fraud: what is written is read, and what is damaged is refused in one sentence."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from flows.lookups.labelled_fraud import (
    ReputationFileError,
    load_labelled_fraud,
    pack_reputation,
    read_reputation,
)
from infra.cli.reputation import reputation_app
from infra.settings import FlowSettings
from schemas.labels import FRAUD_LABELS, LABELS
from schemas.recognition import REPUTED, LabelTable, NoLabels

NOW = 1_780_272_000_000


def table(*rows: tuple[int, float, float]) -> LabelTable:
    keys, events, fraud = zip(*rows, strict=True) if rows else ((), (), ())
    return LabelTable(np.array(keys, np.uint64), np.array(events, np.float32), np.array(fraud, np.float32))


TABLES = (table((5, 2.0, 1.5), (2**63 + 9, 0.25, 0.0)), table((7, 3.5, 0.5)), table())


def packed(tables: tuple[LabelTable, ...] = TABLES) -> bytes:
    return pack_reputation(tables, NOW, NOW - 90 * 86_400_000, 30.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "reputation.bin"
    path.write_bytes(packed())
    return path


def test_what_is_written_is_read(file: Path) -> None:
    found = read_reputation(file)
    for expected, table_read in zip(TABLES, found.tables, strict=True):
        for one, other in zip(expected, table_read, strict=True):
            np.testing.assert_array_equal(one, other)
    assert (found.described.made_at, found.described.half_life_days) == (NOW, 30.0)


def test_the_flows_lookup_counts_what_is_known_and_0_for_the_rest(file: Path) -> None:
    keys = np.array([[5, 7, 1], [2**63 + 9, 8, 0], [6, 7, 3]], np.uint64)
    events, fraud = load_labelled_fraud(file).count(keys)
    np.testing.assert_array_equal(events, np.array([[2, 3.5, 0], [0.25, 0, 0], [0, 3.5, 0]]))
    np.testing.assert_array_equal(fraud, np.array([[1.5, 0.5, 0], [0, 0, 0], [0, 0.5, 0]]))
    assert events.dtype == fraud.dtype == np.dtype(np.float32)


def test_the_version_is_of_the_day_and_the_content(file: Path) -> None:
    version = load_labelled_fraud(file).version
    assert version.startswith("2026-06-01-") and len(version) == 19
    other = file.with_name("other")
    other.write_bytes(packed((table((5, 2.0, 1.25)), TABLES[1], TABLES[2])))
    assert load_labelled_fraud(other).version != version


def test_without_a_file_nobody_labelled_anything() -> None:
    assert isinstance(load_labelled_fraud(FlowSettings().reputation_file), NoLabels)


def refused(path: Path) -> str:
    with pytest.raises(ReputationFileError) as error:
        load_labelled_fraud(path)
    sentence = str(error.value)
    assert str(path) in sentence and "clickgoose reputation build" in sentence and "\n" not in sentence
    return sentence


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "cannot be read (No such file or directory)" in refused(tmp_path / "nothing.bin")


def test_a_file_that_is_cut_or_changed_anywhere_is_refused(file: Path) -> None:
    whole = file.read_bytes()
    for size in range(0, len(whole), 7):
        file.write_bytes(whole[:size])
        assert "damaged" in refused(file)
    for at in range(len(whole)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        assert "damaged" in refused(file)
    file.write_bytes(whole + b"\0")
    assert "damaged" in refused(file)


def test_a_file_of_another_form_or_with_other_kinds_is_refused(file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[:4] + b"\x02" + whole[5:])
    assert "another version" in refused(file)
    magic, form, length = struct.unpack_from("<4sBI", whole)
    said = json.loads(whole[9 : 9 + length])
    said["rows"] = said["rows"][:2]
    again = json.dumps(said).encode()
    other = struct.pack("<4sBI", magic, form, len(again)) + again + whole[9 + length : -32]
    file.write_bytes(other + hashlib.sha256(other).digest())
    assert "another version" in refused(file)


@pytest.mark.parametrize(
    "wrong", [table((7, 1, 0), (5, 1, 0)), table((0, 1, 0)), table((5, 1, 2)), table((5, np.inf, 0))]
)
def test_tables_that_mean_nothing_are_never_written(wrong: LabelTable) -> None:
    with pytest.raises(ValueError, match="the labels of address"):
        packed((wrong, TABLES[1], TABLES[2]))


def test_show_says_what_a_file_holds(file: Path) -> None:
    shown = CliRunner().invoke(reputation_app, ["show", str(file)])
    assert shown.exit_code == 0
    assert "half-life 30 days" in shown.stdout and all(kind in shown.stdout for kind in REPUTED)
    said = json.loads(CliRunner().invoke(reputation_app, ["show", str(file), "--json"]).stdout)
    assert said["kinds"]["address"] == {"entities": 2, "decayed_events": 2.25, "decayed_fraud": 1.5}
    assert said["made_at"] == "2026-06-01T00:00:00+00:00"


def test_show_refuses_a_damaged_file_with_exit_code_1(file: Path) -> None:
    file.write_bytes(b"goose")
    shown = CliRunner().invoke(reputation_app, ["show", str(file)])
    assert shown.exit_code == 1
    assert "is damaged or of another version" in shown.stderr


@pytest.mark.parametrize("since", ["90", "d", "0d", "-3d", "3w"])
def test_a_wrong_duration_is_refused_with_exit_code_2(since: str) -> None:
    run = CliRunner().invoke(reputation_app, ["build", "--out", "x", f"--since={since}"])
    assert run.exit_code == 2
    assert "is no duration: give 90d or 12h" in run.stderr


def test_a_clickhouse_that_is_away_is_said_with_exit_code_1(tmp_path: Path) -> None:
    url = "clickhouse://default@127.0.0.1:1/nowhere"
    run = CliRunner().invoke(reputation_app, ["build", "--out", str(tmp_path / "x"), "--url", url])
    assert run.exit_code == 1
    assert "cannot read labels from ClickHouse at 127.0.0.1:1" in run.stderr
    assert not list(tmp_path.iterdir())


def test_fraud_labels_are_labels_and_not_all_of_them() -> None:
    assert {*FRAUD_LABELS} < {*LABELS}
