"""The list of generated pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from enrichers.document import document
from infra.pages.catalogues import log_codes_page, signals_page
from infra.pages.configuration import configuration_page
from infra.pages.dead_letters import dead_letters_page

PAGES: Mapping[str, Callable[[], str]] = {
    "dead-letters.md": dead_letters_page,
    "configuration.md": configuration_page,
    "signals.md": signals_page,
    "log-codes.md": log_codes_page,
    "smart-signals.md": document,
}


def stale_pages(folder: Path) -> list[str]:
    """Return the names of pages that differ from what the code says."""
    return [name for name, page in PAGES.items() if not _is_current(folder / name, page())]


def write_pages(folder: Path) -> list[str]:
    """Write the pages that differ; return their names."""
    stale = stale_pages(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (folder / name).write_text(PAGES[name](), "utf-8")
    return stale


def _is_current(path: Path, text: str) -> bool:
    return path.exists() and path.read_text("utf-8") == text
