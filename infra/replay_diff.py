"""A diff as a whole: both sides are read bucket by bucket, compared, and the events that changed most are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from infra.replay_diff_clickhouse import ROWS_OF_A_BUCKET, DiffError, DiffTables, Extent
from infra.replay_diff_sides import Sides
from infra.replay_diff_sql import bounds
from infra.replay_diff_told import ToldTables
from replay.diff import Differences, Example
from replay.diff_rows import COUNTS, Heads, ids_hex, needs_details, pair
from schemas.dead_letter import REASONS, Reason

_DETAILS_AT_ONCE: Final = 65_536
_LABELS: Final = {1: "fraud", 0: "genuine", -1: None}
_TOLD = ("score", "decision", "decided_by", "model", "build", "ruleset", "policy", "review", "deny", "factors",
         "factor_texts", "contributions", "rules")  # fmt: skip
Json = dict[str, Any]
Progress = Callable[[int, int], None]
Tables = DiffTables | ToldTables


def diff(
    url: str, sides: Sides, *, examples: int = 5, rows: int = ROWS_OF_A_BUCKET, progress: Progress | None = None
) -> Json:
    """Return what differs between two sides as plain JSON; ``progress`` is told the events done and in all.

    ``rows``: about so many events of a side are in memory at once. DiffError says why there is nothing to compare.
    """
    tables = _tables(url, sides)
    try:
        extents = tables.open()
        _check(sides, extents)
        found = Differences(examples)
        events = max(extent.events for extent in extents)
        parts = max(1, -(-events // rows))
        for part in range(parts):
            _bucket(tables, found, part, parts)
            if progress:
                progress(events * (part + 1) // parts, events)
        for a, b in tables.letters():
            found.add_letters(a, b)
        return _told(tables, found, sides)
    finally:
        tables.close()


def _tables(url: str, sides: Sides) -> Tables:
    if sides.a.files is None and sides.b.files is None:
        if not url:
            raise DiffError("no ClickHouse: run `clickgoose up`, set CLICKGOOSE_CLICKHOUSE__URL, or name --url")
        return DiffTables(url, (sides.a.database, sides.b.database), sides.live_database, sides.chosen)
    return ToldTables(url, sides)


def _check(sides: Sides, extents: tuple[Extent, Extent]) -> None:
    empty = [side.name for side, extent in zip((sides.a, sides.b), extents, strict=True)
             if not extent.events and not extent.letters]  # fmt: skip
    if len(empty) == 2:
        raise DiffError("the range is empty: neither side holds an event or a dead letter of it")
    if empty == ["history"]:
        raise DiffError("history holds no event of the range: its rows were never written or are past their retention")
    if empty:
        raise DiffError(f"{empty[0]} holds no event and no dead letter of the range")


def _bucket(tables: Tables, found: Differences, part: int, parts: int) -> None:
    """Compare one bucket of both sides."""
    names = found.merchants, found.versions
    a, b = (tables.heads(side, part, parts, names) for side in (0, 1))
    paired = pair(a, b)
    both = a.take(paired.a)
    label = tables.labels(part, parts, (both.event_id, both.merchant), found.merchants)
    rows = needs_details(found.add(a, b, paired, label))
    for piece, wanted, compared_to in _in_pieces(both.take(rows), b.take(paired.b[rows]), part, parts):
        now = tables.details(0, piece, wanted, found.merchants)
        found.add_details(now, tables.details(1, piece, compared_to, found.merchants))
    for side, here, other, only in (("a", a, 1, paired.only_a), ("b", b, 0, paired.only_b)):
        if len(only):
            _one_sided(tables, found, side, other, here.take(only))


def _in_pieces(a: Heads, b: Heads, part: int, parts: int) -> Iterator[tuple[tuple[int, int], Heads, Heads]]:
    """Cut paired rows of a bucket into smaller buckets: a detail takes more memory than a head."""
    pieces = -(-len(a) // _DETAILS_AT_ONCE)
    for number in range(part * pieces, (part + 1) * pieces):
        first, last = bounds(number, parts * pieces)
        rows = np.flatnonzero((a.order >= np.uint64(first)) & (a.order <= np.uint64(last)))
        if len(rows):
            yield (number, parts * pieces), a.take(rows), b.take(rows)


def _one_sided(tables: Tables, found: Differences, side: str, other: int, heads: Heads) -> None:
    ids = ids_hex(heads, np.arange(len(heads)))
    found.add_one_sided(side, heads, tables.reasons(other, heads), ids)


def _told(tables: Tables, found: Differences, sides: Sides) -> Json:
    figures = found.as_json()
    for key, side in (("a", sides.a), ("b", sides.b)):
        figures[key] = {"name": side.name, "database": side.database, "files": str(side.files or ""),
                        "state": side.state, **figures[key], "ran_with": side.ran_with}  # fmt: skip
    chosen = sides.chosen
    figures["range"] = {
        "topic": chosen.topic,
        "pieces": [{"partition": one.partition, "first": one.first, "next": one.next} for one in chosen.pieces],
        "merchants": list(chosen.merchants),
        "sessions": list(chosen.sessions),
        "sample": chosen.sample,
    }
    figures["reasons"] = {reason: REASONS[Reason(reason)].meaning for reason in _reasons(figures)}
    figures["examples"] = _examples(tables, found)
    figures["notes"] = [*sides.notes, *_notes(tables, figures)]
    return figures


def _reasons(figures: Json) -> list[str]:
    named = {reason for side in ("a", "b") for reason in figures["letters"][side]}
    named |= {reason for only in figures["missing"].values() for reason in only["dead_lettered"]}
    return sorted(named & set(Reason))


def _notes(tables: Tables, figures: Json) -> list[str]:
    notes = tables.notes().copy()
    if not tables.chosen.whole_devices:
        notes.append("dead letters were not compared: whose session or device they are of is not kept")
    labelled = figures["labelled"]
    if labelled["compared"] < labelled["fraud"] + labelled["genuine"]:
        notes.append(f"of the labelled events a sample of {labelled['compared']:,} was measured")
    return notes


def _examples(tables: Tables, found: Differences) -> list[Json]:
    chosen = found.examples
    names = found.merchants.texts()
    sides = [{(row["merchant"], row["event_id"]): row for row in tables.shown(side, [one.event_id for one in chosen])}
             for side in (0, 1)]  # fmt: skip
    keys = [(names[one.merchant], one.event_id.hex()) for one in chosen]
    return [
        _example(one, sides[0][key], sides[1][key])
        for one, key in zip(chosen, keys, strict=True)
        if all(key in side for side in sides)
    ]


def _example(one: Example, a: Json, b: Json) -> Json:
    signals_a, signals_b = _signals(a), _signals(b)
    return {
        **{name: a[name] for name in ("event_id", "merchant", "session_id", "event_type", "partition", "offset",
                                      "occurred_at")},
        "label": _LABELS[one.label],
        "differs": list(one.differs),
        "a": {name: a[name] for name in _TOLD},
        "b": {name: b[name] for name in _TOLD},
        "smart": {name: {"a": signals_a.get(name), "b": signals_b.get(name)}
                  for name in {**signals_a, **signals_b} if signals_a.get(name) != signals_b.get(name)},
        "counts": {name: {"a": now, "b": was}
                   for name, now, was in zip(COUNTS, a["counts"], b["counts"], strict=True) if now != was},
    }  # fmt: skip


def _signals(row: Json) -> dict[str, list[Any]]:
    """Return result and confidence of each smart signal."""
    names = row["smart_names"].split(",") if row["smart_names"] else []
    return {name: [result, sure] for name, result, sure in
            zip(names, row["smart_results"], row["smart_confidences"], strict=False)}  # fmt: skip
