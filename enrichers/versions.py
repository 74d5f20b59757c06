"""The versions of all data that look-ups use, by kind, as results name them: one short string each.

Reading them reads and checks every file, so that whoever asks at the start knows that all can be used.
"""

from __future__ import annotations

from pathlib import Path

from enrichers import crawlers, known_values, mail_domains
from enrichers.address_table import DATA, load_address_table
from enrichers.as_names import KIND as AS_NAMES
from enrichers.as_names import load_as_names
from enrichers.country_languages import LANGUAGES_FILE, load_country_languages
from enrichers.country_zones import ZONES_FILE, load_country_zones
from enrichers.data_text import read_text_table
from enrichers.prevalence_seed import KIND as PREVALENCE
from enrichers.prevalence_seed import load_prevalence_seed


def data_versions(directory: Path = DATA) -> dict[str, str]:
    """Return the versions by kind; DataFileError where a file of the directory is missing or damaged.

    country, asn, classes, places, as_names, zones and languages are the directory's files; prevalence and known_values
    are this build's own; mail_domains and crawlers are packages.
    """
    tables = {"zones": ZONES_FILE, "languages": LANGUAGES_FILE}
    text = {kind: read_text_table(directory / file).version for kind, file in tables.items()}
    load_country_zones(directory)
    load_country_languages(directory)
    return {
        **load_address_table(directory).versions,
        AS_NAMES: load_as_names(directory).described.version,
        **text,
        PREVALENCE: load_prevalence_seed().version,
        mail_domains.KIND: mail_domains.VERSION,
        crawlers.KIND: crawlers.VERSION,
        "known_values": known_values.VERSION,
    }
