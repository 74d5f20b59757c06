"""What results must say of velocity, counted naively from what Kafka holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from confluent_kafka import Message

from enrichers.address_table import load_address_table
from schemas.envelope import ENVELOPE_BYTES, address_text, sealed_start
from schemas.sealed import read_header
from schemas.velocity import KINDS, WINDOW_MS, WINDOWS

Counts = dict[tuple[str, str], int]  # by kind and window


class Seen(NamedTuple):
    """One event as Kafka holds it."""

    event_id: str
    merchant: str
    device: bytes
    time: int  # event time, ms
    values: dict[str, str]  # what is counted once each, by kind


def read_event(message: Message) -> Seen | None:
    """Return a record's event; None where it is none."""
    value = message.value() or b""
    if len(value) < ENVELOPE_BYTES or not value.startswith(b"CE"):
        return None
    merchant, _, account = _names(value)
    head = read_header(value[sealed_start(value) :])
    if head is None:
        return None
    received = int.from_bytes(value[4:12], "little")
    values = {
        "events": head.event_id.hex(),
        "addresses": address_text(value[12:28]),
        "accounts": account,
        "countries": _country(value[12:28]),
        "merchants": merchant,
        "sessions": head.session_id.hex(),
    }
    time = min(head.sent_at, received, message.timestamp()[1])
    return Seen(head.event_id.hex(), merchant, head.device_id, time, values)


@cache
def _country(address: bytes) -> str:
    """Return the number of an address's country as text; none where it is not known."""
    (number,) = load_address_table()(np.frombuffer(address, np.uint8).reshape(1, 16)).country.tolist()
    return str(number) if number else ""


def _names(value: bytes) -> list[str]:
    names, at = [], ENVELOPE_BYTES
    for length in value[28:31]:
        names.append(value[at : at + length].decode())
        at += length
    return names


def expected(raw: Iterable[Message], dead: frozenset[tuple[int, int]]) -> dict[str, Counts]:
    """Return the counts of every event by its id, the first copy of each. ``dead``: places of events that died."""
    known: set[tuple[str, str]] = set()
    before: dict[bytes, list[Seen]] = defaultdict(list)
    found = {}
    for message in raw:
        event = read_event(message)
        place = (message.partition() or 0, message.offset() or 0)
        if event is None or place in dead or (event.merchant, event.event_id) in known:
            continue
        known.add((event.merchant, event.event_id))
        history = before[event.device]
        history.append(event)
        found[event.event_id] = _count(event, history)
    return found


def _count(event: Seen, history: list[Seen]) -> Counts:
    counts = {}
    for window, length in zip(WINDOWS, WINDOW_MS, strict=True):
        inside = [one for one in history if event.time - length < one.time <= event.time]
        for kind in KINDS:
            counts[kind, window] = len({one.values[kind] for one in inside} - {""})
    return counts


def shown(result: Mapping[str, Any]) -> Counts:
    """Return what a result, read from JSON, shows of the counts that the oracle knows."""
    return {(kind, window): result["velocity"][kind][window] for kind in KINDS for window in WINDOWS}
