"""Rows of ClickHouse's events as past events: the same builder as in the flow makes what rules look at.

In place of a card's token the table has a hash of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from sys import intern
from types import SimpleNamespace
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from infra.rules_preview import PastEvent
from schemas.batches import I64, U8
from schemas.countries import COUNTRIES
from schemas.decision_record import Limits
from schemas.environment import BROWSERS, DEVICES, SYSTEMS
from schemas.velocity import KINDS, WINDOWS
from scoring.judge_events import PARTS, events_of
from scoring.rules.evaluate import Happening, Judgement, Signal
from scoring.rules.history_keys import HistoryKeys
from scoring.rules.past_view import Past
from scoring.rules.recorded import entity_digest

Table = Mapping[str, Sequence[Any]]
_OPAQUE: Final = (("entities", "card"),)
_PLAIN: Final = (
    "event_id", "session_id", "device_id", "address", "merchant", "transaction", "linked_id", "card", "event_type",
    "country", "asn", "fingerprint", "browser", "browser_version", "system", "device", "timezone_offset",
    "device_events", "session_events", "score", "decision", "decided_by", "added", "by_policy", "before", "review",
    "deny", "margin",
)  # fmt: skip
_COUNTS: Final = tuple(f"{kind}_{window}" for kind in KINDS for window in WINDOWS)
_TIMES: Final = {"at": "happened", "first_seen_at": "first_seen_at", "session_started_at": "session_started_at"}
COLUMNS: Final[Mapping[str, str]] = {
    **{name: f"e.{name}" for name in (*_PLAIN, *_COUNTS)},
    **{name: f"ifNull(toUnixTimestamp64Milli(e.{column}), 0)" for name, column in _TIMES.items()},
}
"""What is read of a row, as SQL by name."""
_PLACE: Final = "indexOf(splitByChar(',', e.smart_names), %(smart_{number})s)"


def signal_columns(signals: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the parameters and the columns that give smart signals: (result, confidence), -1 not computable."""
    names = {f"smart_{number}": name for number, name in enumerate(signals)}
    columns = {}
    for number, name in enumerate(signals):
        place = _PLACE.format(number=number)
        columns[f"{name} result"] = f"if({place} = 0, -1, e.smart_results[{place}])"
        columns[f"{name} confidence"] = f"if({place} = 0, nan, e.smart_confidences[{place}])"
    return names, columns


def flow_events(table: Table, signals: Sequence[str], keys: HistoryKeys) -> Iterator[PastEvent]:
    """Give the events of a table's rows, in their order."""
    at = np.asarray(table["at"], np.int64)
    events = events_of(cast(Any, _batch(table)), np.arange(len(at)), at, PARTS)
    merchants = _texts(table["merchant"])
    known = _judgements(table, signals)
    limits = _limits(table)
    decided, by, policy = (_texts(table[name]) for name in ("decision", "decided_by", "by_policy"))
    added = np.asarray(table["added"], np.float32).tolist()
    labels = [int(fraud) if said else None for fraud, said in zip(table["fraud"], table["known"], strict=True)]
    for row, event in enumerate(events):
        happening = Happening(event, event["event_type"], event["event_id"], event["occurred_at"])
        seal = partial(entity_digest, keys, merchants[row])
        past = Past(happening, seal, opaque=_OPAQUE)
        yield PastEvent(
            merchants[row], past, known[row], decided[row], by[row], "events", added[row], policy[row], limits[row],
            labels[row],
        )  # fmt: skip


def _batch(table: Table) -> SimpleNamespace:
    """Return the sections that the builder looks at."""
    counts = np.stack([np.asarray(table[name], np.int64) for name in _COUNTS], axis=1)
    return SimpleNamespace(
        event=SimpleNamespace(
            event_id=_ids(table["event_id"]),
            event_type=_texts(table["event_type"]),
            device_id=_ids(table["device_id"]),
            session_id=_ids(table["session_id"]),
            address=_ids(table["address"]),
            transaction=_texts(table["transaction"]),
            linked_id=_texts(table["linked_id"]),
            card_token=_texts(table["card"]),
        ),
        network=SimpleNamespace(
            asn=np.asarray(table["asn"], np.int64),
            country=_codes(COUNTRIES, table["country"]),
        ),
        environment=SimpleNamespace(
            fingerprint=np.asarray(table["fingerprint"], np.uint64),
            browser=_codes(BROWSERS, table["browser"]),
            browser_version=_numbers(table["browser_version"]),
            system=_codes(SYSTEMS, table["system"]),
            device=_codes(DEVICES, table["device"]),
            timezone_offset=_numbers(table["timezone_offset"]),
        ),
        velocity=SimpleNamespace(
            counts=counts.reshape(-1, len(KINDS), len(WINDOWS)), first_seen_at=_moments(table["first_seen_at"])
        ),
        history=SimpleNamespace(events=np.asarray(table["device_events"], np.int64)),
        session=SimpleNamespace(
            events=np.asarray(table["session_events"], np.int64), started_at=_moments(table["session_started_at"])
        ),
    )


def _judgements(table: Table, signals: Sequence[str]) -> list[Judgement]:
    """Return what was known of each event: its score, and the signals that were asked for."""
    names = list(dict.fromkeys(name.rpartition(" ")[0] for name in signals))
    columns = [
        [
            Signal(None, None) if result < 0 else Signal(result == 1, float(confidence))
            for result, confidence in zip(table[f"{name} result"], table[f"{name} confidence"], strict=True)
        ]
        for name in names
    ]
    scores = _numbers(table["score"]).tolist()
    rows = zip(*columns, strict=True) if columns else iter([()] * len(scores))
    return [Judgement(dict(zip(names, seen, strict=True)), score) for seen, score in zip(rows, scores, strict=True)]


def _limits(table: Table) -> list[Limits | None]:
    """Return by what each score was decided; None for rows of builds that did not keep it."""
    numbers = (_numbers(table[name]).tolist() for name in ("review", "deny", "margin"))
    return [
        None if math.isnan(review) else Limits(review, deny, 0.0 if math.isnan(margin) else margin, before)
        for review, deny, margin, before in zip(*numbers, _texts(table["before"]), strict=True)
    ]


def _ids(values: Sequence[bytes]) -> U8:
    """Return ids with the zeros at their end, which the driver takes for padding."""
    whole = b"".join(value.ljust(16, b"\0") for value in values)
    return np.frombuffer(whole, np.uint8).reshape(-1, 16)


def _texts(values: Sequence[bytes]) -> list[str]:
    return [intern(value.decode("utf-8", "replace")) for value in values]


def _codes(names: Sequence[str], values: Sequence[bytes]) -> I64:
    places = {name: place for place, name in reversed(list(enumerate(names)))}
    return np.array([places.get(text, 0) for text in _texts(values)], np.int64)


def _numbers(values: Sequence[Any]) -> NDArray[np.float64]:
    return np.asarray(values, np.float32).astype(np.float64)


def _moments(values: Sequence[Any]) -> I64:
    return np.asarray(values, np.int64)
