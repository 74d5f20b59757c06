"""The text of a diff, as a terminal without colours shows it."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from infra.cli.replay_diff_tables import print_diff
from replay.diff import Differences
from tests.diff_rows_kit import Row, compared


def _row(number: int, **more: object) -> Row:
    usual = {"key": (number, number % 2), "score": 7.0 * number, "decision": number % 3, "by": 0, "state": 1,
             "factors": ("bot", "vpn"), "signal": (1, 0.5), "label": number % 2}  # fmt: skip
    return {**usual, **more}


def _told(found: Differences) -> dict[str, object]:
    figures = found.as_json()
    for key, name in (("a", "june"), ("b", "history")):
        figures[key] |= {"name": name}
    return {**figures, "examples": [], "reasons": {}, "notes": ["a sentence for the reader"]}


def test_the_text_of_a_diff(golden: Any) -> None:
    b = [_row(number) for number in range(9)]
    a = [*b[:5], _row(5, score=90.0, decision=0, by=1, factors=("velocity", "vpn")), _row(6, signal=(0, 0.25), state=4)]
    out = io.StringIO()
    print_diff(_told(compared(a, b, 2)), Console(file=out, width=120, highlight=False, markup=False, emoji=False))
    golden.check("replay_diff.txt", "\n".join(map(str.rstrip, out.getvalue().splitlines())).encode() + b"\n")
