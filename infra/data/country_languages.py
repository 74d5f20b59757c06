"""Makes ``country_languages.csv`` from Unicode's territory data (npm ``cldr-core``, Unicode-3.0)."""

from __future__ import annotations

import json
import tarfile
from typing import Any

from enrichers.country_languages import CODE, language_of
from infra.data.packages import DataRefused, Package
from schemas.countries import COUNTRIES

PACKAGE = "cldr-core"
_TABLE = "package/supplemental/territoryInfo.json"
_LEAST_PERCENT = 1.0  # of a country's people: Turkish in Germany is 2.5
_UNNAMED = {"BV": ["no"], "HM": ["en"], "AQ": ["en"]}  # nobody lives there
_HEAD = """\
# version {version}
# Languages by country that one in a hundred speaks, or that an office uses: ISO 639-1 and two of three letters. From
# {name} (Unicode-3.0; notice in NOTICE.md). Made by `clickgoose data update`.
"""


def languages_text(package: Package) -> str:
    """Return the file's text; DataRefused where the package has another form than it used to have."""
    try:
        with tarfile.open(package.archive) as opened:
            file = opened.extractfile(_TABLE)
            table = json.load(file)["supplemental"]["territoryInfo"] if file is not None else {}
        spoken = {code: _spoken(table.get(code, {})) or _UNNAMED.get(code, []) for code in COUNTRIES[1:]}
    except (OSError, tarfile.TarError, LookupError, TypeError, ValueError):
        raise DataRefused(f"{package.name} {package.version} has no {_TABLE} of the known form any more.") from None
    missing = sorted(code for code, found in spoken.items() if not found)
    if missing:
        raise DataRefused(f"{package.name} {package.version} names no language of {', '.join(missing)}.")
    lines = [f"{code},{' '.join(spoken[code])}\n" for code in sorted(spoken)]
    return _HEAD.format(version=package.version, name=package.name) + "".join(lines)


def _spoken(country: dict[str, Any]) -> list[str]:
    """Return the languages of a country as browsers name them, sorted."""
    found = {
        language_of(name.replace("_", "-").encode())
        for name, said in country.get("languagePopulation", {}).items()
        if float(said["_populationPercent"]) >= _LEAST_PERCENT or "_officialStatus" in said
    }
    return sorted(name for name in found if CODE.fullmatch(name))
