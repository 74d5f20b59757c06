"""The builders of what is known of countries: clocks and reach from the time-zone database, languages from CLDR."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from infra.data.country_languages import PACKAGE, languages_text
from infra.data.country_zones import zones_text
from infra.data.packages import DataRefused, Package, read_package
from infra.data.zone_table import named_zones
from schemas.countries import COUNTRIES
from tests.data_archives import npm_archive


@cache
def zones() -> dict[str, str]:
    """Return the built lines by country."""
    lines = (line for line in zones_text().splitlines() if not line.startswith("#"))
    return {line[:2]: line[3:] for line in lines}


@pytest.mark.parametrize(
    ("country", "line"),
    [
        ("DE", "1000,-120/001111111100,-60/111000000111"),
        ("IN", "1000,-330/111111111111"),
        ("XK", "1000,-120/001111111100,-60/111000000111"),
        ("HM", "1000"),
    ],
)
def test_a_countrys_clocks_are_those_of_its_zones_by_month(country: str, line: str) -> None:
    assert zones()[country] == line


def test_every_country_has_a_line_and_large_ones_reach_far() -> None:
    assert set(zones()) == set(COUNTRIES[1:])
    reach = {country: int(line.split(",")[0]) for country, line in zones().items()}
    assert min(reach.values()) == 1_000
    assert all(2_000 < reach[country] < 3_500 for country in ("US", "RU", "CA", "AU"))
    assert [minutes.split("/")[0] for minutes in zones()["US"].split(",")[1:]] == [
        "240", "300", "360", "420", "480", "540", "600"
    ]  # fmt: skip


def test_the_table_of_zones_is_read_with_its_places() -> None:
    berlin = next(zone for zone in named_zones() if zone.name == "Europe/Berlin")
    assert (berlin.country, berlin.north, berlin.east) == ("DE", 52.5, pytest.approx(13.3667, abs=1e-3))


def package(directory: Path, content: dict[str, Any], table: str = "territoryInfo") -> Package:
    """Return a package as npm packs it."""
    said = json.dumps({"supplemental": {table: content}})
    npm_archive(directory, PACKAGE, "1.0", {"supplemental/territoryInfo.json": said})
    return read_package(PACKAGE, next(directory.glob("*.tgz")))


def territories(**spoken: dict[str, float]) -> dict[str, Any]:
    """Return all countries, where English alone is spoken but for what is said."""
    return {
        code: {"languagePopulation": {name: {"_populationPercent": str(share)} for name, share in said.items()}}
        for code, said in {**{code: {"en": 99.0} for code in COUNTRIES[1:]}, **spoken}.items()
    }


def test_languages_of_one_in_a_hundred_or_of_an_office_count_by_their_present_names(tmp_path: Path) -> None:
    said = territories(CH={"gsw": 64, "fr": 21, "rm": 0.9, "sr_Latn": 1.2, "vi": 0.3, "lmo": 4})
    said["CH"]["languagePopulation"]["rm"]["_officialStatus"] = "official"
    lines = languages_text(package(tmp_path, said)).splitlines()
    assert lines[0] == "# version 1.0"
    assert "CH,de fr rm sr" in lines


def test_a_package_of_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataRefused, match=r"no package/supplemental/territoryInfo\.json of the known form"):
        languages_text(package(tmp_path, {}, "territories"))
    with pytest.raises(DataRefused, match="names no language of FR"):
        languages_text(package(tmp_path, territories(FR={"vi": 0.1})))
