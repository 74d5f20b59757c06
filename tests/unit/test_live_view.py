"""The live table: what it draws."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from infra.cli.run import _seconds
from infra.live.view import Seen, bars, render


def test_a_bin_with_few_events_is_never_drawn_empty() -> None:
    assert bars((1000, 1, 0)) == "█▁ "


def test_no_events_are_drawn_as_nothing() -> None:
    assert bars((0,) * 10) == " " * 10


def drawn(seen: Seen) -> str:
    """Return one frame as text."""
    file = StringIO()
    Console(file=file, width=100).print(render(seen, 10.0, {"accepted": 1250.0}, {"ingest": "https://127.0.0.1:1"}))
    return file.getvalue()


def test_the_table_shows_throughput_latency_decisions_and_dead_letters_by_reason() -> None:
    seen = Seen(1200, 4.2, 9.9, {"allow": 1100, "deny": 100}, (1100, 0, 0, 0, 0, 0, 0, 0, 0, 100), {"mask.email": 7})
    text = drawn(seen)
    for shown in ("1,250", "1,200", "120", "4.2 / 9.9 ms", "1,100", "mask.email", "7", "https://127.0.0.1:1"):
        assert shown in text


def test_events_that_were_scored_without_what_devices_share_are_shown_where_there_are_any() -> None:
    assert "degraded" not in drawn(Seen(scored=5))
    assert "degraded" in drawn(Seen(scored=5, degraded=4321))
    assert "4,321" in drawn(Seen(scored=5, degraded=4321))


@pytest.mark.parametrize(("text", "seconds"), [("60s", 60.0), ("90", 90.0), ("1.5m", 90.0), ("1h", 3600.0)])
def test_times_are_given_with_a_unit(text: str, seconds: float) -> None:
    assert _seconds(text) == seconds
