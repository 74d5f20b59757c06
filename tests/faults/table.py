"""The table at the end of a run: one line a fault. Lines travel as properties of test reports, from workers as well."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pytest

PROPERTY = "fault"
_ROOT = Path(__file__).parent.parent.parent
KEPT = _ROOT / "build" / "faults.json"
DOCS = _ROOT / "docs" / "delivery.md"
_BEGIN, _END = "<!-- faults -->", "<!-- end of faults -->"
TITLES = {
    "fault": "fault",
    "offered": "offered",
    "accepted": "accepted",
    "scored": "scored",
    "dead_lettered": "dead-lettered",
    "deduplicated": "deduplicated",
    "lost": "lost",
    "duplicated_for_users": "duplicated for users",
    "recovery_s": "recovery s",
}


@dataclass(frozen=True, slots=True)
class Line:
    """What became of the events that were offered while something failed."""

    fault: str
    offered: int  # sent by the loads, repetitions included
    accepted: int
    scored: int
    dead_lettered: int
    deduplicated: int
    lost: int
    duplicated_for_users: int
    recovery_s: float  # from the end of the fault, and of the load, until the account balanced


def lines_of(reports: Sequence[Any]) -> list[Line]:
    """Return the lines that tests reported."""
    return [Line(**value) for report in reports for name, value in report.user_properties if name == PROPERTY]


def markdown(lines: Sequence[Line]) -> str:
    """Return the table, aligned, as Markdown."""
    rows = [list(TITLES.values()), *([_text(value) for value in asdict(line).values()] for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(TITLES))]
    ruled = [rows[0], ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])], *rows[1:]]
    padded = (
        [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        for row in ruled
    )
    return "\n".join(f"| {' | '.join(row)} |" for row in padded)


def _text(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def keep(lines: Sequence[Line], form: str, files: Sequence[Path]) -> None:
    """Write the lines as JSON."""
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            json.dumps({"form": form, "faults": [asdict(line) for line in lines]}, indent=1) + "\n", "utf-8"
        )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table, and keep it as JSON."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, ())]
    lines = lines_of([report for report in reports if report.when == "call"])
    if not lines:
        return
    form, asked = config.getoption("--faults"), config.getoption("--json")
    terminalreporter.section(f"faults, {form} form")
    terminalreporter.line(markdown(lines))
    keep(lines, form, [KEPT, *([Path(asked)] if asked else [])])


def show_in_docs() -> None:
    """Put the table that was kept last into docs/delivery.md."""
    kept = json.loads(KEPT.read_text("utf-8"))
    table = markdown([Line(**line) for line in kept["faults"]])
    page = DOCS.read_text("utf-8")
    before, rest = page.split(_BEGIN)
    after = rest.split(_END)[1]
    DOCS.write_text(f"{before}{_BEGIN}\nThe {kept['form']} form:\n\n{table}\n{_END}{after}", "utf-8")


assert [field.name for field in fields(Line)] == list(TITLES), "a column has no title"

if __name__ == "__main__":
    show_in_docs()
