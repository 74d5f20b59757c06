"""What a preview of rules says in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Json = Mapping[str, Any]


def headline(found: Json) -> str:
    """Return in a sentence what was tried."""
    first, last = (datetime.fromtimestamp(found[name] / 1000, UTC).strftime("%F %R") for name in ("from", "to"))
    sources = ", ".join(f"{count:,} of {source}" for source, count in found["sources"].items()) or "none"
    return (
        f"{found['events']:,} events from {first} to {last} UTC ({sources}), after {found['warmed']:,} for history; "
        f"{found['flipped']:,} would be decided otherwise"
    )


def notes(found: Json) -> list[str]:
    """Return what has to be known to read the figures."""
    never, erred, unjudged = (", ".join(found[name]) for name in ("never_matched", "erred", "unjudged"))
    said = [
        (never, f"Never matched: {never}."),
        (erred, f"Erred: {erred}; see their faults."),
        (unjudged, f"Not judged everywhere, because what they ask was not kept, or is a list: {unjudged}."),
        (found.get("unread"), "Some records were written by a newer build and are left out."),
        (found["undecided"], f"{found['undecided']:,} events are left out: such a rule might have decided them."),
        (found["decided_by_lists"], f"{found['decided_by_lists']:,} events were decided by lists, which stays so."),
        (
            found["decided_while_degraded"],
            f"{found['decided_while_degraded']:,} events were decided while history or lists could not be asked.",
        ),
        (
            found["warm_ms"] < found["longest_window_ms"],
            "History before the range is shorter than the longest window: early events see too little of it.",
        ),
    ]
    return [sentence for holds, sentence in said if holds]


def share(value: float | None) -> str:
    """Return a ratio, or that there is none."""
    return "-" if value is None else f"{value:.1%}"
