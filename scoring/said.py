"""What of each group's values its sentence says: ``sentence_loops`` finds by it which sentences are the same.

A property test compares what is said so with each group's own sentence. A group that is not here is said by all of its
values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from schemas.smart_signals import SMART_SIGNALS
from schemas.velocity import MEASURES, WINDOWS
from scoring.groups import GROUPS, FeatureGroup
from scoring.sentence_loops import (
    ABOVE,
    AGE,
    BUSIEST,
    EACH,
    FLAG,
    IGNORED,
    LEAST,
    MOST,
    PACE,
    PERCENT,
    RAW,
    SECONDS,
    SHARED,
    TENTHS,
    WHOLE,
    WORDS,
)

_FLAGS: Final = ("identity_checks", "place_checks", "machine_checks", "altered_functions", "bot_detectors")
_KINDS: Final[Mapping[str, tuple[int, float]]] = {
    "session": (ABOVE, 1),
    "typing": (ABOVE, 0),
    "rare_attributes": (LEAST, 0),
    "reputation": (MOST, 0),
    "pace": (PACE, 0),
    **{f"shared_{entity}": (SHARED, 1) for entity in ("address", "account", "card")},
    "shared_network": (SHARED, np.inf),
}
_BUSIEST: Final = dict(zip(WINDOWS, (BUSIEST, IGNORED, IGNORED), strict=True))


def _busiest(*kinds: str) -> dict[str, int]:
    return {f"velocity.{kind}_{window}": how for kind in kinds for window, how in _BUSIEST.items()}


_HOWS: Final[Mapping[str, Mapping[str, int]]] = {
    **{name: {f"smart.{name}.confidence": PERCENT} for name in SMART_SIGNALS},
    "device_accounts": _busiest("accounts"),
    "device_places": _busiest("addresses", "countries"),
    "device_sessions": {
        **_busiest("sessions"),
        "velocity.merchants_5m": IGNORED,
        "velocity.merchants_1h": IGNORED,
    },
    "session": {"session.age": AGE},
    "typing": {
        "activity.key_interval_mean": WHOLE,
        "activity.key_interval_deviation": WHOLE,
        "activity.key_interval_least": IGNORED,
    },
    "pointer": {
        "activity.pointer_travel": WHOLE,
        "activity.click_hold_mean": IGNORED,
        "activity.scrolls": IGNORED,
    },
    "untrusted_input": {"activity.set_by_script_card": IGNORED, "activity.input": IGNORED},
    "attention": {
        "activity.attention": IGNORED,
        "activity.time_away": SECONDS,
        "activity.close_attempted": IGNORED,
        "activity.devtools_opened": IGNORED,
    },
    "device_history": {"velocity.since_first": AGE, "velocity.since_previous": AGE},
    "timing": {"timing.page_age": TENTHS},
    "page_load": {"navigation.load": TENTHS},
}
_MOST_FLAGS: Final = 63


def tables(at: Mapping[str, int]) -> tuple[Any, ...]:
    """Return the groups as ``said_by`` wants them; ``at``: where each observed value lies."""
    columns: list[int] = []
    hows: list[int] = []
    ranks: list[int] = []
    first = [0]
    for group in GROUPS:
        _check_windows(group)
        columns += [at[name] for name in group.observed]
        hows += _hows(group)
        ranks += _ranks(group)
        first.append(len(columns))
    found = [_KINDS.get(group.code, (EACH, 0.0)) for group in GROUPS]
    kinds, limits = np.array([kind for kind, _ in found], np.int64), np.array([least for _, least in found])
    whole = (np.array(column, np.int64) for column in (first, columns, hows, ranks))
    return (kinds, limits, *whole)


def _hows(group: FeatureGroup) -> list[int]:
    if group.code in _FLAGS:
        if len(group.observed) > _MOST_FLAGS:
            raise ValueError(f"scoring/said.py: {group.code} observes more than {_MOST_FLAGS} flags; give it two words")
        return [FLAG] * len(group.observed)
    found = [_HOWS.get(group.code, {}).get(name, RAW) for name in group.observed]
    one = _KINDS.get(group.code, (EACH, 0))[0] in (LEAST, MOST, PACE, SHARED)
    if not one and sum(how != IGNORED for how in found) >= WORDS:
        raise ValueError(
            f"scoring/said.py: {group.code} observes more than {WORDS - 1} values; say what it says of them"
        )
    return found


def _check_windows(group: FeatureGroup) -> None:
    """Refuse counts of windows in another order than ``said_by`` reads them."""
    measures = MEASURES if group.code.startswith("shared_") else ()
    entity = group.code.removeprefix("shared_")
    wanted = tuple(f"shared.{entity}_{measure}_{window}" for measure in measures for window in WINDOWS)
    if measures and group.observed != wanted:
        raise ValueError(f"scoring/said.py: {group.code} must observe {', '.join(wanted)}, in this order")


def _ranks(group: FeatureGroup) -> Sequence[int]:
    """Return who is said of equal ones: by name among the least, the first among the most."""
    if _KINDS.get(group.code, (EACH, 0))[0] == LEAST:
        return [sorted(group.observed).index(name) for name in group.observed]
    return range(len(group.observed))
