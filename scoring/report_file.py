"""The report that lies with a model: read without anything that training needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scoring.model import ModelError, read_file, read_manifest

REPORT_FILE, PAGE_FILE = "report.json", "report.html"


def read_report(directory: Path) -> dict[str, Any]:
    """Return the report that lies with a model. ModelError where there is none, or another than the manifest names."""
    manifest = read_manifest(directory)
    if REPORT_FILE not in manifest.files:
        raise ModelError(f"model {manifest.version} has no report: an earlier build made it; train again")
    found: dict[str, Any] = json.loads(read_file(directory, manifest, REPORT_FILE))
    return found


def compared_with(directory: Path) -> str | None:
    """Return the version that a model's drift was measured against, or none."""
    moved = read_report(directory)["drift"]
    return None if moved is None else str(moved["since"])
