"""The generated pages are what the code says."""

from __future__ import annotations

from pathlib import Path

from infra.pages.markdown import table
from infra.pages.registry import PAGES, stale_pages, write_pages
from schemas.dead_letter import Reason

ROOT = Path(__file__).parent.parent.parent


def test_the_committed_pages_are_current() -> None:
    assert stale_pages(ROOT) == []


def test_writing_makes_every_page_current_and_says_which_changed(tmp_path: Path) -> None:
    assert write_pages(tmp_path) == list(PAGES)
    assert write_pages(tmp_path) == []
    (tmp_path / "docs/signals.md").write_text("something else", "utf-8")
    assert stale_pages(tmp_path) == ["docs/signals.md"]


def test_every_reason_is_on_the_page_of_dead_letters() -> None:
    text = PAGES["docs/dead-letters.md"]()
    assert [reason for reason in Reason if f"`{reason.value}`" not in text] == []


def test_bars_in_cells_do_not_break_a_table() -> None:
    assert "a \\| b" in table(("x",), [("a | b",)])
