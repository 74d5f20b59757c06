"""What the data files and packages of look-ups say of themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from enrichers import crawlers, known_values, mail_domains
from enrichers.address_file import read_address_file
from enrichers.address_table import ASN_FILE, CLASSES_FILE, COUNTRY_FILE, PLACES_FILE
from enrichers.as_names import NAMES_FILE, load_as_names
from enrichers.country_languages import LANGUAGES_FILE
from enrichers.country_zones import ZONES_FILE
from enrichers.data_text import read_text_table
from enrichers.versions import data_versions

_ADDRESSES = {COUNTRY_FILE: "country", ASN_FILE: "asn", CLASSES_FILE: "classes"}
_TABLES = {
    PLACES_FILE: ("places", "tzdata", "public domain"),
    ZONES_FILE: ("zones", "tzdata", "public domain"),
    LANGUAGES_FILE: ("languages", "cldr-core", "Unicode-3.0"),
}


def shown_files(directory: Path) -> dict[str, dict[str, Any]]:
    """Return kind, version, source, licence, digest, rows, classes covered and bytes by file.

    DataFileError where one cannot be used.
    """
    data_versions(directory)
    found: dict[str, dict[str, Any]] = {}
    described = {file: read_address_file(directory / file, kind).described for file, kind in _ADDRESSES.items()}
    described[NAMES_FILE] = load_as_names(directory).described
    for file, said in described.items():
        fields = {name: getattr(said, name) for name in ("kind", "version", "source", "licence", "sha256")}
        found[file] = {**fields, "rows": sum(said.rows), "covers": list(said.covers)}
    for file, (kind, source, licence) in _TABLES.items():
        table = read_text_table(directory / file)
        found[file] = {"kind": kind, "version": table.version, "source": source, "licence": licence,
                       "sha256": table.sha256, "rows": len(table.lines), "covers": []}  # fmt: skip
    return {file: {**said, "bytes": (directory / file).stat().st_size} for file, said in found.items()}


def shown_packages() -> dict[str, str]:
    """Return the versions of what is no file of ours, by kind."""
    return {
        mail_domains.KIND: f"disposable-email-domains {mail_domains.VERSION}",
        crawlers.KIND: f"is-crawler {crawlers.VERSION}",
        "known_values": known_values.VERSION,
    }
