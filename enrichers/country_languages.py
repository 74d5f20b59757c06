"""Languages by country, and whether a browser's language is spoken where its address is.

English says nothing: browsers everywhere are set to it. A language that hardly anybody in the country of the address
speaks says a little: people move and marry, and learn. Signals hold a language as the hash of its tag (BCP 47), so the
hashes of all tags that may come (de, de-AT, zh-Hant-TW) are made once, and looked up.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np

from enrichers.address_table import DATA
from enrichers.data_file import REMEDY, DataFileError
from enrichers.data_text import read_text_table
from schemas.batches import U8, U32, Bool
from schemas.catalogue import category_hash
from schemas.countries import COUNTRIES, COUNTRY_NUMBER

LANGUAGES_FILE = "country_languages.csv"
CODE = re.compile("[a-z]{2}|fil|yue")  # what browsers are set to
# Old codes, and languages that a browser or the data names by a wider or a narrower word.
_SAME = {"iw": "he", "in": "id", "ji": "yi", "tl": "fil", "nb": "no", "nn": "no", "mo": "ro", "sh": "sr", "gsw": "de"}
_EVERYWHERE = "en"
_TWO_SCRIPTS = ("", "-Latn", "-Cyrl")
_SCRIPTS = {"zh": ("", "-Hans", "-Hant")} | dict.fromkeys(("az", "bs", "sr", "uz"), _TWO_SCRIPTS)
_REGIONS = np.array([list(f"-{code}".encode()) for code in COUNTRIES[1:]], np.uint64)  # [countries, 3]
_FNV_PRIME = np.uint64(0x01000193)
_32_BITS = np.uint64(0xFFFFFFFF)


class CountryLanguages:
    """Which languages are spoken where. Languages are numbered from 1 by the alphabet; 0 is not known, or English."""

    def __init__(self, version: str, names: tuple[str, ...], spoken: Bool) -> None:
        """``names``: of the numbers, the first empty; ``spoken``: bool[languages, countries], all of number 0 are."""
        self.version = version
        self.names = names
        self._spoken = spoken
        hashes, numbers = _tags(names)
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._numbers = hashes[order], numbers[order]

    def number(self, tags: U32) -> U8:
        """Return the numbers of languages by the hashes of their tags, uint8[n]; 0 where not known, and of English."""
        at = np.minimum(self._hashes.searchsorted(tags), len(self._hashes) - 1)
        return np.where(self._hashes[at] == tags, self._numbers[at], np.uint8(0))

    @property
    def tables(self) -> tuple[U32, U8, Bool]:
        """Return the hashes of tags, ascending, their numbers, and which number is spoken where: for loops."""
        return self._hashes, self._numbers, self._spoken


def _tags(names: tuple[str, ...]) -> tuple[U32, U8]:
    """Return the hashes of all tags of languages, with and without script and country, and the languages' numbers."""
    known = {name: number for number, name in enumerate(names)}
    spelled = {**{name: name for name in names[1:]}, **{old: name for old, name in _SAME.items() if name in known}}
    hashes, numbers = [], []
    for spelling, name in spelled.items():
        for script in _SCRIPTS.get(spelling, ("",)):
            bare = category_hash(spelling + script)
            state = np.full(len(_REGIONS), bare, np.uint64)
            for letters in _REGIONS.T:
                state = ((state ^ letters) * _FNV_PRIME) & _32_BITS
            hashes.append(np.append(state, np.uint64(bare)))
            numbers.append(np.full(len(state) + 1, 0 if name == _EVERYWHERE else known[name], np.uint8))
    return np.concatenate(hashes).astype(np.uint32), np.concatenate(numbers)


def language_of(tag: bytes) -> str:
    """Return the language of a tag such as b"de-AT" (BCP 47): its first part, by its present name."""
    name = tag.split(b"-", 1)[0].strip().lower().decode("ascii", "replace")
    return _SAME.get(name, name)


@cache
def load_country_languages(directory: Path = DATA) -> CountryLanguages:
    """Return a directory's table, read once a process; DataFileError where it cannot be used."""
    path = directory / LANGUAGES_FILE
    table = read_text_table(path)
    try:
        of_country = {COUNTRY_NUMBER[code]: names.split() for code, names in (line.split(",") for line in table.lines)}
    except (ValueError, KeyError):
        raise DataFileError(f"The data file {path} is damaged; {REMEDY}") from None
    names = ("", *sorted({name for found in of_country.values() for name in found}))
    if len(of_country) != len(COUNTRIES) - 1 or not 1 < len(names) <= np.iinfo(np.uint8).max:
        raise DataFileError(f"The data file {path} lacks countries or languages; {REMEDY}")
    spoken = np.zeros((len(names), len(COUNTRIES)), np.bool_)
    spoken[0] = spoken[:, 0] = True
    for country, found in of_country.items():
        spoken[[names.index(name) for name in found], country] = True
    return CountryLanguages(table.version, names, spoken)
