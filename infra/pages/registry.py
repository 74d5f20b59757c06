"""The list of generated files, by their paths from the repository's root."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from enrichers.document import document
from infra.pages.agent_table import agent_table
from infra.pages.capacity import capacity_page
from infra.pages.catalogues import log_codes_page, signals_page
from infra.pages.configuration import configuration_page
from infra.pages.dead_letters import dead_letters_page
from infra.pages.normalisation import normalisation_page
from infra.pages.recovery import recovery_schema

PAGES: Mapping[str, Callable[[], str]] = {
    "docs/dead-letters.md": dead_letters_page,
    "docs/recovery-file.schema.json": recovery_schema,
    "docs/capacity.md": capacity_page,
    "docs/configuration.md": configuration_page,
    "docs/signals.md": signals_page,
    "docs/log-codes.md": log_codes_page,
    "docs/smart-signals.md": document,
    "docs/normalisation.md": normalisation_page,
    "ingest_api/agent/src/catalogue.ts": agent_table,
}


def stale_pages(root: Path) -> list[str]:
    """Return the paths of files that differ from what the code says."""
    return [name for name, page in PAGES.items() if not _is_current(root / name, page())]


def write_pages(root: Path) -> list[str]:
    """Write the files that differ; return their paths."""
    stale = stale_pages(root)
    for name in stale:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(PAGES[name](), "utf-8")
    return stale


def _is_current(path: Path, text: str) -> bool:
    return path.exists() and path.read_text("utf-8") == text
