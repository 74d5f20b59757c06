"""The data files: names of systems, small tables, versions of all; what is damaged stops a start with one sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import enrichers
from enrichers.address_table import CLASSES_FILE, DATA, load_address_table
from enrichers.as_names import NAMES_FILE, as_name, load_as_names, pack_as_names
from enrichers.country_languages import LANGUAGES_FILE
from enrichers.country_zones import ZONES_FILE
from enrichers.data_file import DataFileError
from enrichers.data_text import read_text_table, with_digest
from enrichers.mail_domains import is_disposable
from enrichers.versions import data_versions
from infra.data.build import FILES
from infra.data.shown import shown_files


def test_systems_have_names() -> None:
    assert as_name(3320) == "Deutsche Telekom AG"
    assert as_name(15169) == "Google LLC"
    assert [as_name(number) for number in (0, 4_294_967_295, -1, 1 << 40)] == ["", "", "", ""]
    assert len(load_as_names()) > 80_000
    assert all(name for _, name in load_as_names().items())


def test_names_pack_the_same_and_read_back(tmp_path: Path) -> None:
    names = {1: "One", 65_536: "Zwei\nGmbH", 4_294_967_295: "Trois  S.à r.l."}
    made = pack_as_names("1", "here", "none", names)
    assert made == pack_as_names("1", "here", "none", dict(reversed(names.items())))
    (tmp_path / NAMES_FILE).write_bytes(made)
    read = load_as_names(tmp_path)
    assert [read[number] for number in (1, 2, 65_536, 4_294_967_295)] == ["One", "", "Zwei GmbH", "Trois S.à r.l."]
    assert dict(read.items()) == {1: "One", 65_536: "Zwei GmbH", 4_294_967_295: "Trois S.à r.l."}


def test_a_small_table_has_version_and_digest_in_its_head(tmp_path: Path) -> None:
    text = with_digest("# version 7\n# what it is\na,1\nb,2\n")
    (tmp_path / "table.csv").write_text(text, "utf-8")
    table = read_text_table(tmp_path / "table.csv")
    assert (table.version, table.lines) == ("7", ("a,1", "b,2"))
    assert text.splitlines()[1] == f"# sha256 {table.sha256}"
    assert with_digest(text) == text
    with pytest.raises(ValueError, match="begins with its version"):
        with_digest("a,1\n")


@pytest.mark.parametrize("damage", ["a,2\n", "a,1\nb,2\n", "", "# sha256 0\na,1\n"])
def test_a_small_table_that_was_changed_by_hand_is_refused(tmp_path: Path, damage: str) -> None:
    head = "".join(with_digest("# version 7\na,1\n").splitlines(keepends=True)[:2])
    (tmp_path / "table.csv").write_text(head.split("# sha256")[0] + damage if "sha256" in damage else head + damage)
    with pytest.raises(DataFileError, match=r"^The data file .*table\.csv is damaged; .*data update`\.$"):
        read_text_table(tmp_path / "table.csv")


def test_every_kind_of_data_has_a_version_that_a_result_can_name() -> None:
    versions = data_versions()
    assert {*versions} >= {
        *load_address_table().versions, "as_names", "zones", "languages", "mail_domains", "crawlers", "known_values",
        "prevalence",
    }  # fmt: skip
    assert all(0 < len(version) <= 40 for version in versions.values())
    assert not any(mark in version for version in versions.values() for mark in ",;\n")  # they separate kinds


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", ["missing", "flipped", "empty"])
def test_any_file_that_is_missing_or_damaged_is_one_clear_sentence(tmp_path: Path, file: str, damage: str) -> None:
    for path in DATA.iterdir():
        shutil.copy(path, tmp_path / path.name)
    content = (tmp_path / file).read_bytes()
    if damage == "missing":
        (tmp_path / file).unlink()
    else:
        flipped = content[:-9] + bytes([content[-9] ^ 0x15]) + content[-8:]
        (tmp_path / file).write_bytes(flipped if damage == "flipped" else b"")
    with pytest.raises(
        DataFileError, match=rf"^The data file .*{file}.*; install clickgoose again, or make it.*\.$"
    ) as one:
        data_versions(tmp_path)
    assert "\n" not in str(one.value)


@pytest.mark.parametrize(
    ("file", "damage"), [(CLASSES_FILE, "missing"), (NAMES_FILE, "damaged"), (ZONES_FILE, "damaged")]
)
def test_the_real_command_refuses_to_start_without_its_data(tmp_path: Path, file: str, damage: str) -> None:
    copy = tmp_path / "enrichers"
    shutil.copytree(Path(enrichers.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    if damage == "missing":
        (copy / "data" / file).unlink()
    else:
        (copy / "data" / file).write_bytes((copy / "data" / file).read_bytes()[:-20])
    command = [sys.executable, "-m", "infra.cli", "flow", "run"]
    scene = {**os.environ, "PYTHONPATH": str(tmp_path), "CLICKGOOSE_HOME": str(tmp_path / "home")}
    done = subprocess.run(command, cwd=tmp_path, env=scene, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (sentence,) = done.stderr.strip().splitlines()
    assert sentence.startswith(f"The data file {copy / 'data' / file} ")
    assert sentence.endswith("; install clickgoose again, or make it with `clickgoose data update`.")


@pytest.mark.parametrize(
    ("domain", "said"),
    [
        ("mailinator.com", True),
        ("MAILINATOR.com.", True),
        ("box.mailinator.com", True),
        ("10minutemail.com", True),
        ("gmail.com", False),
        ("web.de", False),
        ("com", False),
        ("mailinator.example", False),
        ("", False),
        ("a." * 200 + "mailinator.com", False),  # longer than a domain can be
    ],
)
def test_disposable_mail_domains_are_known_with_what_lies_under_them(domain: str, said: bool) -> None:
    assert is_disposable(domain) is said


def test_the_vendored_files_are_named_in_the_notice_and_stay_small() -> None:
    notice = (DATA / "NOTICE.md").read_text("utf-8")
    assert all(f"`{file}`" in notice for file in FILES)
    assert {ZONES_FILE, LANGUAGES_FILE} < set(FILES)
    assert sum((DATA / file).stat().st_size for file in FILES) < 6_000_000


def test_the_page_on_data_names_every_file_with_its_version_and_licence() -> None:
    rows = {
        cells[0].strip("`"): cells
        for line in (Path(__file__).parents[2] / "docs" / "data.md").read_text("utf-8").splitlines()
        if line.startswith("| `") and len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 7
    }
    shown = shown_files(DATA)
    assert {*rows} == {*shown} == {*FILES}
    for file, said in shown.items():
        assert rows[file][4] == said["version"]
        assert rows[file][5].startswith(f"{said['rows']:,}")
