"""The glossary defines the field's terms, each once and in order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

GLOSSARY = Path(__file__).parents[2] / "docs" / "glossary.md"
ROWS = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", GLOSSARY.read_text("utf-8"), re.MULTILINE)[2:]
TERMS = [term.strip() for cell, _ in ROWS for term in cell.split(",")]
STANDARD = (
    "event time", "watermark", "late", "window", "velocity", "offset", "partition", "dead letter", "redrive", "replay",
    "backfill", "idempotent", "smart signal", "score", "factor", "decision", "watchlist", "shadow",
)  # fmt: skip


@pytest.mark.parametrize("term", STANDARD)
def test_each_standard_term_is_defined(term: str) -> None:
    assert TERMS.count(term) == 1


def test_terms_are_in_order_and_each_meaning_is_a_sentence() -> None:
    cells = [cell for cell, _ in ROWS]
    assert cells == sorted(cells)
    assert all(meaning.endswith(".") for _, meaning in ROWS)
