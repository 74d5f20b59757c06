"""Languages by country, and the first language of a browser that says something about its person.

English says nothing: browsers everywhere are set to it. A language that hardly anybody in the country of the address
speaks says a little: people move and marry, and learn.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from enrichers.address_file import DataFileError
from enrichers.address_table import DATA
from schemas.batches import U8, U16, Bool
from schemas.countries import COUNTRIES, COUNTRY_NUMBER

LANGUAGES_FILE = "country_languages.csv"
CODE = re.compile("[a-z]{2}|fil|yue")  # what browsers are set to
# Old codes, and languages that a browser or the data names by a wider or a narrower word.
_SAME = {"iw": "he", "in": "id", "ji": "yi", "tl": "fil", "nb": "no", "nn": "no", "mo": "ro", "sh": "sr", "gsw": "de"}
_EVERYWHERE = "en"


class CountryLanguages:
    """Which languages are spoken where. Languages are numbered from 1 by the alphabet; 0 is not known, or English."""

    def __init__(self, version: str, names: tuple[str, ...], spoken: Bool) -> None:
        """``names``: of the numbers, the first empty; ``spoken``: bool[languages, countries], all of number 0 are."""
        self.version = version
        self.names = names
        self._number = {name: number for number, name in enumerate(names)}
        self._spoken = spoken

    def number(self, name: str) -> int:
        """Return a language's number, 0 where the data does not know it."""
        return self._number.get(name, 0)

    def foreign(self, language: U8, country: U16) -> Bool:
        """Return where hardly anybody in the country speaks the language; neither is so where one is not known."""
        return ~self._spoken[language, country]


def language_of(tag: bytes) -> str:
    """Return the language of a tag such as b"de-AT" (BCP 47): its first part, by its present name."""
    name = tag.split(b"-", 1)[0].strip().lower().decode("ascii", "replace")
    return _SAME.get(name, name)


@lru_cache(maxsize=4096)
def telling_language(languages: bytes | None) -> int:
    """Return the number of the first of the languages, such as b"en-US,en,de", that is not English; 0 where none is."""
    known = load_country_languages()
    for tag in (languages or b"").split(b",", 8)[:8]:
        name = language_of(tag)
        if name != _EVERYWHERE:
            return known.number(name)
    return 0


@cache
def load_country_languages(directory: Path = DATA) -> CountryLanguages:
    """Return a directory's table, read once a process; DataFileError where it cannot be used."""
    path = directory / LANGUAGES_FILE
    try:
        text = path.read_text("utf-8")
        version = text.splitlines()[0].removeprefix("# version ")
        lines = [line.split(",") for line in text.splitlines() if not line.startswith("#")]
        of_country = {COUNTRY_NUMBER[code]: names.split() for code, names in lines}
    except (OSError, ValueError, KeyError, IndexError):
        raise DataFileError(f"The data file {path} is missing or damaged; install clickgoose again.") from None
    names = ("", *sorted({name for found in of_country.values() for name in found}))
    if len(of_country) != len(COUNTRIES) - 1 or not 1 < len(names) <= np.iinfo(np.uint8).max:
        raise DataFileError(f"The data file {path} lacks countries or languages; install clickgoose again.")
    spoken = np.zeros((len(names), len(COUNTRIES)), np.bool_)
    spoken[0] = spoken[:, 0] = True
    for country, found in of_country.items():
        spoken[[names.index(name) for name in found], country] = True
    return CountryLanguages(version, names, spoken)
