"""The nested JSON form: the same event for people, for debugging and for redacted dead letters.

``{"catalogue": 1, "signals": {"screen.width": 1920, ...}, "activity": [{"t": 12, "code": 400, "value": 16,
"target": "card_number"}, ...]}``. Absent signals are left out. A category is given as a string, which is hashed, or
as the hash itself, which is all that is left after decoding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

import msgspec
import numpy as np

from schemas.batches import Activity, Signals, Texts
from schemas.catalogue import Catalogue, Signal, category_hash
from schemas.log_codes import load_log_codes
from schemas.payload import ABSENT_TEXT, MAX_ENTRIES

Value = float | bool | str | None


class Entry(msgspec.Struct, frozen=True):
    """One entry of the activity log."""

    code: int
    t: int = 0
    value: float = 0.0
    target: str = "none"


class NestedEvent(msgspec.Struct, frozen=True):
    """One event in nested form."""

    signals: dict[str, Value]
    activity: list[Entry] = []
    catalogue: int = 1


class NestedError(ValueError):
    """The nested form is not one; the text says where and what to do, and never holds a value."""


def parse_nested(data: bytes) -> NestedEvent:
    """Read the JSON. NestedError says what is wrong."""
    try:
        return msgspec.json.decode(data, type=NestedEvent)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        place = str(error).rpartition(" - at ")[2] if " - at " in str(error) else "the JSON itself"
        raise NestedError(f"nested event: wrong type or syntax at {place[:80]}") from error


def columns_of(events: Sequence[NestedEvent], catalogue: Catalogue) -> tuple[Signals, Activity]:
    """Lay out nested events in columns. NestedError for an unknown signal, a wrong type or an unknown target."""
    rows = len(events)
    counts = catalogue.counts()
    numbers = np.full((rows, counts[0]), np.nan, np.float32)
    known = np.zeros((rows, counts[1]), np.bool_)
    booleans = np.zeros((rows, counts[1]), np.bool_)
    categories = np.zeros((rows, counts[2]), np.uint32)
    texts: list[list[bytes | None]] = [[None] * counts[3] for _ in events]
    for row, event in enumerate(events):
        for name, value in event.signals.items():
            signal = catalogue.by_name.get(name)
            if signal is None:
                raise NestedError("nested event: a signal is not in the catalogue; see `clickgoose schema json`")
            if value is None:
                continue
            checked = _checked(signal, value)
            if signal.kind == "number":
                numbers[row, signal.position] = checked
            elif signal.kind == "boolean":
                known[row, signal.position], booleans[row, signal.position] = True, checked
            elif signal.kind == "category":
                categories[row, signal.position] = checked
            else:
                texts[row][signal.position] = str(checked).encode("utf-8", "surrogatepass")
    versions = np.array([event.catalogue & 0xFFFF for event in events], np.uint16)
    signals = Signals(versions, numbers, known, booleans, categories, pack_texts(texts, counts[3]))
    return signals, _activity_of(events)


def _checked(signal: Signal, value: float | bool | str) -> float | bool | int | str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if signal.kind == "number" and number:
        with np.errstate(over="ignore"):
            return float(np.float32(value))
    if signal.kind == "boolean" and isinstance(value, bool):
        return value
    if signal.kind == "category" and isinstance(value, str):
        return category_hash(value)
    if signal.kind == "category" and number and float(value).is_integer() and 0 <= float(value) <= 0xFFFFFFFF:
        return int(value)
    if signal.kind == "text" and isinstance(value, str):
        if len(value.encode("utf-8", "surrogatepass")) >= ABSENT_TEXT:
            raise NestedError(f"nested event: {signal.name} has more than 65,534 bytes")
        return value
    raise NestedError(f"nested event: {signal.name} must be a {signal.kind}")


def pack_texts(rows: Sequence[Sequence[bytes | None]], width: int) -> Texts:
    """Return texts as a string tail: one blob a row, with starts and lengths int32[n, width]."""
    lengths = np.array([[-1 if t is None else len(t) for t in row] for row in rows], np.int32)
    lengths = lengths.reshape(len(rows), width)
    sizes = np.where(lengths < 0, 0, lengths)
    starts = (np.cumsum(sizes, axis=1) - sizes).astype(np.int32)
    return Texts(tuple(b"".join(t or b"" for t in row) for row in rows), starts, lengths)


def _activity_of(events: Sequence[NestedEvent]) -> Activity:
    targets = load_log_codes().targets
    entries = [entry for event in events for entry in event.activity]
    if any(len(event.activity) > MAX_ENTRIES for event in events):
        raise NestedError(f"nested event: more than {MAX_ENTRIES} activity entries")
    if any(entry.target not in targets for entry in entries):
        raise NestedError("nested event: an activity target is not in the registry; see `clickgoose schema log-codes`")
    if any(not (0 <= entry.code <= 0xFFFF and 0 <= entry.t <= 0xFFFFFFFF) for entry in entries):
        raise NestedError("nested event: an activity code or time is out of range")
    offsets = np.concatenate(([0], np.cumsum([len(event.activity) for event in events]))).astype(np.int64)
    with np.errstate(over="ignore"):
        values = np.array([entry.value for entry in entries], np.float64).astype(np.float32)
    return Activity(
        offsets,
        np.array([entry.t for entry in entries], np.uint32),
        values,
        np.array([entry.code for entry in entries], np.uint16),
        np.array([targets[entry.target] for entry in entries], np.uint8),
    )


def nested_of(
    signals: Signals,
    activity: Activity,
    row: int,
    catalogue: Catalogue,
    replaced: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return one row in nested form; ``replaced`` gives texts that stand instead of what was sent."""
    found: dict[str, Any] = {}
    for signal, value in zip(catalogue.numbers, signals.numbers[row].tolist(), strict=True):
        if not isnan(value):
            found[signal.name] = value
    for signal, is_known, value in zip(
        catalogue.booleans, signals.known[row].tolist(), signals.booleans[row].tolist(), strict=True
    ):
        if is_known:
            found[signal.name] = value
    for signal, value in zip(catalogue.categories, signals.categories[row].tolist(), strict=True):
        if value:
            found[signal.name] = value
    one = signals.texts.take(np.array([row], np.intp))
    for signal in catalogue.texts:
        text = one.column(signal.position)[0]
        if text is not None:
            found[signal.name] = (replaced or {}).get(signal.name, text.decode("utf-8", "replace"))
    return {"catalogue": int(signals.catalogue[row]), "signals": found, "activity": _entries(activity, row)}


def _entries(activity: Activity, row: int) -> list[dict[str, Any]]:
    names = {number: name for name, number in load_log_codes().targets.items()}
    span = slice(int(activity.offsets[row]), int(activity.offsets[row + 1]))
    columns = (activity.time, activity.code, activity.value, activity.target)
    rows = zip(*(column[span].tolist() for column in columns), strict=True)
    return [{"t": t, "code": c, "value": v, "target": names.get(g, "none")} for t, c, v, g in rows]
