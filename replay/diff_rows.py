"""What a diff looks at: heads of events, which every event has, details of those that differ, and how sides are paired.

A head holds a hash for each group of columns, so that most of what an event is need not travel to be compared. Rows
are in the order of a hash of the event id: so a side is cut into buckets that fit into memory, and the same rows come
in the same order whatever the buckets are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.columns import F32, I32, I64, U8, U32, U64, Columns, Rows
from schemas.velocity import ENTITIES, KINDS, MEASURES, WINDOWS

VELOCITY_COUNTS: Final = tuple(f"{kind}_{window}" for kind in KINDS for window in WINDOWS)
SHARED_COUNTS: Final = tuple(
    f"{entity}_{measure}_{window}" for entity in ENTITIES for measure in MEASURES for window in WINDOWS
)
COUNTS: Final = (*VELOCITY_COUNTS, "device_events", "session_events", *SHARED_COUNTS)
"""Columns that are compared number by number; 0 where a shared count is not known."""

GROUPS: Final = {
    "received": (
        "session_id", "device_id", "address", "merchant", "transaction", "linked_id", "card", "event_type", "key_id",
        "sequence", "occurred_at", "received_at", "catalogue", "topic", "partition", "offset", "appended_at",
    ),
    "activity": ("activity_time", "activity_code", "activity_target", "activity_value"),
    "environment": (
        "country", "asn", "browser", "browser_version", "engine", "engine_version", "engine_at_least", "system",
        "system_version", "device", "gpu", "gpu_driver", "gpu_model", "screen_pixels_wide", "screen_pixels_high",
        "density", "timezone_offset", "checks", "fingerprint",
    ),
    "degraded": ("degraded",),
    "velocity": VELOCITY_COUNTS,
    "history": (
        "first_seen_at", "previous_at", "device_events", "travel_kmh", "session_events", "session_started_at",
    ),
    "earlier_scores": ("earlier_scores",),
    "shared": SHARED_COUNTS,
    "smart": ("smart_names", "smart_results", "smart_confidences", "smart_reasons", "smart_data"),
    "score": ("score",),
    "factors": ("factors", "factor_texts", "contributions"),
    "rules": ("rules", "added", "tags", "alerts", "ruling"),
    "thresholds": ("review", "deny", "margin"),
    "decision": ("decision", "by_policy", "decided_by", "before"),
    "shadows": (
        "shadow_models", "shadow_scores", "shadow_decisions", "tried_rulesets", "tried_decisions",
    ),
    "other": (),
    "versions": ("model", "build", "ruleset", "policy"),
}  # fmt: skip
"""Groups of columns of the table ``events``, in the order in which the pipeline makes them: the first group in which
an event differs says where the difference comes from. ``other`` takes columns that a newer build added."""
NOT_COMPARED: Final = ("event_id", "polled_at", "ledger_marks", "ledger_micros", "written_at", "stands")
"""What says when a row was handled, not what came of it; and the id, by which rows are paired."""
CAUSES: Final = tuple(name for name in GROUPS if name != "versions")
STATE: Final = ("velocity", "history", "shared")
Keys = tuple[U64, I32]
"""Event ids as ``Heads`` has them, with more columns where there is more to tell apart, and numbers of merchants."""
_PLACES: Final = {name: place for place, name in enumerate(GROUPS)}
_DETAILED: Final = tuple(_PLACES[name] for name in (*STATE, "factors", "smart", "rules"))


def place_of(group: str) -> int:
    """Return the column of a group in ``Heads.groups``."""
    return _PLACES[group]


class Names(dict[bytes, int]):
    """Texts by number, in the order in which they came: what both sides and all buckets share."""

    def __missing__(self, name: bytes) -> int:
        """Give the next number."""
        found = self[name] = len(self)
        return found

    def texts(self) -> list[str]:
        """Return the texts by number."""
        return [name.decode("utf-8", "replace") for name in self]


@dataclass(frozen=True, slots=True, eq=False)
class Heads(Columns):
    """n events of one side, each merchant and event id once."""

    order: U64  # a hash of the event id: rows are in its order
    event_id: U64  # [n, 2], the first eight bytes and the last, big-endian
    merchant: I32  # number of a name that both sides share
    session: U64
    partition: I32
    offset: I64
    occurred_at: I64  # ms since the epoch
    score: F32
    decision: U8  # schemas.result.DECISIONS, one more where it is none of them
    decided_by: U8  # schemas.ruling.BY, one more where it is none of them
    version: I32  # number of model, build, ruleset and policy, as shared as names
    groups: U64  # [n, GROUPS], a hash of the columns of each

    @classmethod
    def none(cls) -> Heads:
        """Return no events."""
        wide, ids = np.empty((0, len(GROUPS)), np.uint64), np.empty((0, 2), np.uint64)
        long, small = np.empty(0, np.int64), np.empty(0, np.int32)
        number, code = np.empty(0, np.uint64), np.empty(0, np.uint8)
        score = np.empty(0, np.float32)
        return cls(number, ids, small, number, small, long, long, score, code, code, small, wide)


@dataclass(frozen=True, slots=True, eq=False)
class Details(Columns):
    """What is compared one by one, of n events of one side. Texts are names joined by commas, numbers little-endian."""

    factors: tuple[bytes, ...]
    contributions: tuple[bytes, ...]  # float32
    rules: tuple[bytes, ...]
    smart_names: tuple[bytes, ...]
    smart_results: tuple[bytes, ...]  # int8: 1, 0, or -1 where not computable
    smart_confidences: tuple[bytes, ...]  # float32
    counts: U32  # [n, COUNTS]


class Paired(NamedTuple):
    """Rows of two sides: ``a[i]`` and ``b[i]`` are the same event; the others are on one side only."""

    a: Rows
    b: Rows
    only_a: Rows
    only_b: Rows


def pair(a: Heads, b: Heads) -> Paired:
    """Pair the rows of two sides by merchant and event id, in the order of A."""
    rows_a, rows_b = pair_keys((a.event_id, a.merchant), (b.event_id, b.merchant))
    return Paired(rows_a, rows_b, _others(rows_a, len(a)), _others(rows_b, len(b)))


def pair_keys(a: Keys, b: Keys) -> tuple[Rows, Rows]:
    """Return the rows of two sides that have the same key, in the order of A. A side has each key once."""
    ids = np.concatenate((a[0], b[0]))
    keys = [np.concatenate((a[1], b[1])), *ids.T[::-1]]
    order = np.lexsort(keys)  # stable: of equal keys A's row comes first
    same = np.ones(max(len(order) - 1, 0), np.bool_)
    for key in keys:
        same &= key[order[1:]] == key[order[:-1]]
    firsts = np.flatnonzero(same)
    rows_a, rows_b = order[firsts], order[firsts + 1] - len(a[1])
    in_order = np.argsort(rows_a, kind="stable")
    return rows_a[in_order], rows_b[in_order]


def first_of_each(heads: Heads, appended_at: I64) -> Rows:
    """Return the rows in their order, of each merchant and event id the one that was appended first.

    An id that was sealed twice is one event, and the record that came first is the one that was scored first.
    """
    high, low = heads.event_id.T
    keys = (heads.merchant, low, high, heads.order)
    order = np.lexsort((heads.offset, heads.partition, appended_at, *keys))
    first = np.zeros(len(order), np.bool_)
    first[:1] = True
    for key in keys:
        first[1:] |= key[order[1:]] != key[order[:-1]]
    return order[first]


def _others(rows: Rows, count: int) -> Rows:
    left = np.ones(count, np.bool_)
    left[rows] = False
    return np.flatnonzero(left)


def differing(a: Heads, b: Heads) -> NDArray[np.bool_]:
    """Return which groups of paired rows differ, bool[n, GROUPS]."""
    found: NDArray[np.bool_] = a.groups != b.groups
    return found


def needs_details(differs: NDArray[np.bool_]) -> Rows:
    """Return the paired rows of which details are compared one by one."""
    return np.flatnonzero(differs[:, _DETAILED].any(axis=1))


def ids_hex(heads: Heads, rows: Rows) -> list[str]:
    """Return event ids as 32 hexadecimal digits."""
    text = heads.event_id[rows].astype(">u8").tobytes().hex()
    return [text[at : at + 32] for at in range(0, len(text), 32)]


class Digest:
    """A SHA-256 of a side's canonical rows: ids, the hashes of their groups, and letters. Buckets change nothing."""

    def __init__(self) -> None:
        self._events, self._letters = hashlib.sha256(), hashlib.sha256()

    def add(self, heads: Heads) -> None:
        """Take the events of the next bucket."""
        rows = np.concatenate((heads.event_id, heads.groups), axis=1)
        # An id may be that of two merchants' events, which the first group, what was received, tells apart.
        in_order = np.lexsort((heads.groups[:, 0], heads.event_id[:, 1], heads.event_id[:, 0], heads.order))
        self._events.update(rows[in_order].astype(">u8").tobytes())

    def add_letters(self, lines: Sequence[bytes]) -> None:
        """Take the next letters, in the order of their places."""
        self._letters.update(b"".join(line + b"\n" for line in lines))

    def hex(self) -> str:
        """Return the digest."""
        return hashlib.sha256(self._events.digest() + self._letters.digest()).hexdigest()
