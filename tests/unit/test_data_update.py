"""`clickgoose data update`: from archives, what changed, what is newer, and what is refused."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from enrichers.address_table import ASN_FILE, CLASSES_FILE, COUNTRY_FILE, DATA, PLACES_FILE, load_address_table
from enrichers.as_names import NAMES_FILE
from enrichers.versions import data_versions
from infra.cli import app
from infra.data import packages
from infra.data.build import FILES
from infra.data.packages import DataRefused, Wanted, fetch, find_package, read_package
from tests.data_archives import npm_archive, wheel, write_archives

RUN = CliRunner()


def update(archives: Path, out: Path, *more: str) -> tuple[int, dict[str, Any]]:
    """Return exit code and what is said by file."""
    done = RUN.invoke(app, ["data", "update", "--archives", str(archives), "--out", str(out), "--json", *more])
    assert done.exit_code in (0, 1), done.stderr
    return done.exit_code, {one["file"]: one for one in json.loads(done.stdout)["files"]}


def of_versions(directory: Path, *versions: str, **more: Any) -> list[Path]:
    """Return a directory of archives for each version."""
    found = []
    for version in versions:
        found.append(directory / f"archives-{version}")
        found[-1].mkdir()
        write_archives(found[-1], version, **more)
    return found


def test_files_are_made_from_archives_and_can_be_used(tmp_path: Path) -> None:
    (archives,), out = of_versions(tmp_path, "1.0.0"), tmp_path / "out"
    code, said = update(archives, out)
    assert code == 0
    assert set(said) == set(FILES) == {path.name for path in out.iterdir()}
    assert all(one["changed"] and one["was"] == "" for one in said.values())
    versions = data_versions(out)
    assert (versions["country"], versions["classes"]) == ("1.0.0", "1.0.0+1.0.0+1.0.0")
    assert load_address_table(out).covers == load_address_table().covers
    shown = json.loads(RUN.invoke(app, ["data", "show", "--directory", str(out), "--json"]).stdout)
    assert shown["files"][NAMES_FILE]["rows"] == 2
    assert "tor" in shown["files"][CLASSES_FILE]["covers"]
    assert shown["packages"]["mail_domains"].startswith("disposable-email-domains ")


def test_what_changed_is_told_by_file_and_by_class(tmp_path: Path) -> None:
    (archives,), out = of_versions(tmp_path, "1.0.0"), tmp_path / "out"
    update(archives, out)
    newer = tmp_path / "newer"
    newer.mkdir()
    asn = '16777216,16777471,13335,"Cloudflare, Inc."\n1489371136,1489436671,24940,Renamed Cable\n'
    country = "16777216,16777471,AU\n16777472,16777983,CN\n"
    write_archives(newer, "1.1.0", country=country, asn=asn, tor=("185.220.101.9",))
    code, said = update(newer, out)
    assert code == 0
    country, classes = said[COUNTRY_FILE], said[CLASSES_FILE]
    assert (country["was"], country["version"], country["added"], country["removed"]) == ("1.0.0", "1.1.0", 1, 1)
    assert (country["ipv4_covered_before"], country["ipv4_covered_after"]) == (1024, 768)
    assert classes["classes"]["tor"] == {"before": 1, "after": 2}
    assert classes["classes"]["hosting"]["before"] == classes["classes"]["hosting"]["after"] == 65_536
    assert "AS24940 is Renamed Cable, not hetzner: left out" in classes["notes"]
    assert (said[NAMES_FILE]["added"], said[NAMES_FILE]["removed"]) == (1, 1)
    assert not said[PLACES_FILE]["changed"]


def test_the_same_archives_change_nothing_and_files_stay_as_they_are(tmp_path: Path) -> None:
    (archives,), out = of_versions(tmp_path, "1.0.0"), tmp_path / "out"
    update(archives, out)
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in out.iterdir()}
    code, said = update(archives, out)
    assert code == 0
    assert not any(one["changed"] for one in said.values())
    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in out.iterdir()} == before


def test_check_writes_nothing_and_its_exit_code_tells_newer_data(tmp_path: Path) -> None:
    old, new = of_versions(tmp_path, "1.0.0", "1.1.0")
    out = tmp_path / "out"
    update(old, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert update(old, out, "--check")[0] == 0
    code, said = update(new, out, "--check")
    assert code == 1
    assert said[ASN_FILE]["version"] == "1.1.0"
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_person_reads_versions_counts_and_what_was_left_out(tmp_path: Path) -> None:
    (archives,), out = of_versions(tmp_path, "1.0.0"), tmp_path / "out"
    command = ["data", "update", "--archives", str(archives), "--out", str(out)]
    lines = RUN.invoke(app, command).stdout.splitlines()
    assert f"{COUNTRY_FILE}: none -> 1.0.0, 2 rows, 2 added, 0 removed" in lines
    assert "  IPv4 addresses covered: 0 -> 1,024" in lines
    assert "  tor: 0 -> 1 IPv4 addresses" in lines
    assert "  AS16276 is no longer announced, not ovh: left out" in lines
    assert lines[-1] == f"7 of 7 files changed in {out}."
    again = RUN.invoke(app, command).stdout.splitlines()
    assert f"{COUNTRY_FILE}: 1.0.0, unchanged, 2 rows" in again
    assert again[-1] == f"0 of 7 files changed in {out}."


def test_half_of_the_addresses_do_not_go_unless_that_is_allowed(tmp_path: Path) -> None:
    (archives,), out = of_versions(tmp_path, "1.0.0"), tmp_path / "out"
    update(archives, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    write_archives(archives, "1.0.0", country="16777216,16777471,AU\n", tor=("185.220.101.9",))
    command = ["data", "update", "--archives", str(archives), "--out", str(out)]
    done = RUN.invoke(app, command)
    assert done.exit_code == 2
    assert done.stderr.replace("\n", " ").strip() == (
        f"{COUNTRY_FILE} would go from 1,024 to 256 IPv4 addresses of all: look at the packages, or allow it with "
        "--allow-loss."
    )
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert RUN.invoke(app, [*command, "--allow-loss"]).exit_code == 0
    assert {path.name for path in out.iterdir() if path.read_bytes() != before[path.name]} == {
        COUNTRY_FILE,
        CLASSES_FILE,
    }


def test_a_directory_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (archives,) = of_versions(tmp_path, "1.0.0")
    (tmp_path / "file").write_text("here")
    done = RUN.invoke(app, ["data", "update", "--archives", str(archives), "--out", str(tmp_path / "file")])
    assert done.exit_code == 2
    assert "cannot be written (File exists): name another directory with --out." in done.stderr


def test_the_newest_of_several_archives_counts(tmp_path: Path) -> None:
    for version in ("1.9.0", "1.10.0"):
        npm_archive(tmp_path, "@ip-location-db/asn", version, {})
        wheel(tmp_path, "iporigin", version, {})
    assert find_package(Wanted("@ip-location-db/asn", "npm"), tmp_path).version == "1.10.0"
    assert find_package(Wanted("iporigin", "pypi"), tmp_path).version == "1.10.0"


@pytest.mark.parametrize("damage", ["missing", "other rows", "no archive", "new country", "backwards"])
def test_what_cannot_be_used_is_one_sentence_and_nothing_is_written(tmp_path: Path, damage: str) -> None:
    (archives,), out = of_versions(tmp_path, "1.0.0"), tmp_path / "out"
    sentence = {
        "missing": "has no archive iporigin-VERSION-py3-none-any.whl of iporigin.",
        "other rows": "has rows of another form.",
        "no archive": "is no archive of an npm package.",
        "new country": "The country QQ is not in schemas/countries.py: add it at the end of the list.",
        "backwards": "A range of addresses ends before it begins.",
    }[damage]
    if damage == "missing":
        next(archives.glob("iporigin*")).unlink()
    elif damage == "no archive":
        next(archives.glob("cldr-core*")).write_bytes(b"nothing")
    else:
        rows = {"other rows": "one,two,AU\n", "new country": "16777216,16777471,QQ\n", "backwards": "9,4,AU\n"}[damage]
        write_archives(archives, "1.0.0", country=rows)
    done = RUN.invoke(app, ["data", "update", "--archives", str(archives), "--out", str(out)])
    assert done.exit_code == 2
    assert done.stdout == ""
    assert sentence in done.stderr.strip()
    assert len(done.stderr.strip().splitlines()) == 1
    assert list(out.iterdir()) == []


def test_wrong_use_is_exit_code_2() -> None:
    assert RUN.invoke(app, ["data", "update", "--nonsense"]).exit_code == 2


def test_packages_are_got_with_the_ordinary_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def client(command: list[str], cwd: Path, **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        if "pack" in command:
            npm_archive(cwd, "@ip-location-db/asn", "3.0.0", {})
            return subprocess.CompletedProcess(command, 0, json.dumps([{"filename": "ip-location-db-asn-3.0.0.tgz"}]))
        wheel(cwd, "is-crawler", "3.0.0", {})
        return subprocess.CompletedProcess(command, 0, "")

    monkeypatch.setattr(packages.subprocess, "run", client)
    monkeypatch.setattr(packages.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert fetch(Wanted("@ip-location-db/asn", "npm"), tmp_path).version == "3.0.0"
    assert fetch(Wanted("is-crawler", "pypi"), tmp_path).version == "3.0.0"
    assert asked[0][:3] == ["/usr/bin/npm", "pack", "@ip-location-db/asn"]
    assert "--ignore-scripts" in asked[0]
    assert asked[1][1:5] == ["-m", "pip", "download", "is-crawler"]
    assert "--no-deps" in asked[1]


def test_a_client_that_is_missing_or_fails_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(command: list[str], **_: Any) -> None:
        raise subprocess.CalledProcessError(1, command, stderr="notice\nnpm error E404 not there\n")

    monkeypatch.setattr(packages.subprocess, "run", fails)
    monkeypatch.setattr(packages.shutil, "which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(DataRefused, match=r"^npm could not get cldr-core: npm error E404 not there$"):
        fetch(Wanted("cldr-core", "npm"), tmp_path)
    with pytest.raises(DataRefused, match=r"^pip could not get iporigin: npm error E404 not there$"):
        fetch(Wanted("iporigin", "pypi"), tmp_path)
    monkeypatch.setattr(packages.shutil, "which", lambda _: None)
    with pytest.raises(DataRefused, match=r"^There is no npm here: install Node\.js, or give the archives"):
        fetch(Wanted("cldr-core", "npm"), tmp_path)


def test_an_archive_of_another_package_is_refused(tmp_path: Path) -> None:
    made = wheel(tmp_path, "iporigin", "1.0.0", {})
    with pytest.raises(DataRefused, match="is the package iporigin, not is-crawler"):
        read_package("is-crawler", made.archive)


def test_show_tells_the_vendored_files_and_a_damaged_one(tmp_path: Path) -> None:
    shown = RUN.invoke(app, ["data", "show"])
    assert shown.exit_code == 0
    assert {line.partition(":")[0] for line in shown.stdout.splitlines()} >= {*FILES, "mail_domains", "crawlers"}
    for path in DATA.glob("*.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / CLASSES_FILE).write_bytes(b"CGAR")
    damaged = RUN.invoke(app, ["data", "show", "--directory", str(tmp_path)])
    assert damaged.exit_code == 1
    assert damaged.stderr.strip().startswith(f"The data file {tmp_path / CLASSES_FILE} is damaged")
