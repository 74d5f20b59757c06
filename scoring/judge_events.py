"""Events of the flow as rules see them: plain JSON, made by column for the rows that have rules.

The form is stated in docs/rules.md, "In the flow". Parts that no selector of these rules looks at are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, Final

import numpy as np

from schemas.batches import I64, U8, Scored, Velocity
from schemas.columns import Rows
from schemas.countries import COUNTRIES
from schemas.environment import BROWSERS, DEVICES, SYSTEMS
from schemas.velocity import KINDS, WINDOWS
from scoring.rules.document import Catalogue
from scoring.rules.program import Program
from scoring.rules.selectors import Selector, compiled

VISIT: Final = "visit"
"""The event type of events whose merchant named none."""
PARTS: Final = ("velocity", "facts")
"""What is left out of an event where no rule looks at it."""
_MAPPED: Final = b"\0" * 10 + b"\xff\xff"
_KEPT: Final = 65_536
Event = dict[str, Any]


def parts_of(program: Program) -> frozenset[str]:
    """Return which of the parts the selectors of a program look at: of one that is no plain path, all."""
    found: set[str] = set()
    for text in _selectors(program):
        selector = compiled(text)
        path = selector.path if isinstance(selector, Selector) else None
        found.update(PARTS if not path else (str(path[0][0]),))
    return frozenset(found & set(PARTS))


def _selectors(program: Program) -> Iterable[str]:
    """Return the texts of all selectors of a program."""
    yield from (operand.selector for _, operand in program.fields)
    yield from (asked.operand.of for asked in program.history)
    yield from (operand.selector for _, operand in program.lists)
    catalogues: Iterable[Catalogue] = (*program.written, *(asked.operand.catalogue for asked in program.history))
    for one in catalogues:
        yield from (text for text in (one.entity, one.value, one.time, one.dedupe) if text is not None)


def events_of(batch: Scored, rows: Rows, at: I64, parts: Iterable[str]) -> list[Event]:
    """Return the events of some rows; ``at``: the event time of each of them."""
    event = batch.event
    ids = _hex(event.event_id[rows])
    types = [event.event_type[row] or VISIT for row in rows.tolist()]
    columns: dict[str, Sequence[Any]] = {
        "event_id": ids,
        "event_type": types,
        "occurred_at": at.tolist(),
        "entities": _entities(batch, rows),
        "data": [{} for _ in types],
    }
    columns |= {part: _MAKERS[part](batch, rows, at) for part in parts}
    names = tuple(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _entities(batch: Scored, rows: Rows) -> list[Event]:
    """Return what each event names; a kind that it does not have is left out."""
    event, places = batch.event, rows.tolist()
    addresses = [address_text(one) for one in _bytes(event.address[rows])]
    columns: dict[str, Iterable[Any]] = {
        "device": _hex(event.device_id[rows]),
        "session": _hex(event.session_id[rows]),
        "transaction": [event.transaction[row] for row in places],
        "user": [event.linked_id[row] for row in places],
        "card": [event.card_token[row] for row in places],
        "address": [address for address, _ in addresses],
        "network": [network for _, network in addresses],
        "asn": [f"AS{asn}" if asn else "" for asn in batch.network.asn[rows].tolist()],
        "fingerprint": [f"{one:016x}" if one else "" for one in batch.environment.fingerprint[rows].tolist()],
    }
    names = tuple(columns)
    return [
        {name: value for name, value in zip(names, values, strict=True) if value}
        for values in zip(*columns.values(), strict=True)
    ]


def _velocity(batch: Scored, rows: Rows, at: I64) -> list[Event]:
    """Return the device's counts, as results name them."""
    return velocities(batch.velocity, rows)


def velocities(section: Velocity, rows: Rows) -> list[Event]:
    """Return {kind: {window: count}} of some rows."""
    windows = [
        dict(zip(WINDOWS, counts, strict=True)) for counts in section.counts[rows].reshape(-1, len(WINDOWS)).tolist()
    ]
    kinds = zip(*[iter(windows)] * len(KINDS), strict=True)
    return [dict(zip(KINDS, counts, strict=True)) for counts in kinds]


def _facts(batch: Scored, rows: Rows, at: I64) -> list[Event]:
    """Return the small fixed set of facts. What is not known is null."""
    seen = batch.environment
    columns: dict[str, Iterable[Any]] = {
        "country": [COUNTRIES[one] or None for one in batch.network.country[rows].tolist()],
        "browser": [BROWSERS[one] for one in seen.browser[rows].tolist()],
        "browser_version": _known(seen.browser_version[rows]),
        "system": [SYSTEMS[one] for one in seen.system[rows].tolist()],
        "device": [DEVICES[one] for one in seen.device[rows].tolist()],
        "timezone_offset": _known(seen.timezone_offset[rows]),
        "device_events": batch.history.events[rows].tolist(),
        "device_age": np.maximum(at - batch.velocity.first_seen_at[rows], 0).tolist(),
        "session_events": batch.session.events[rows].tolist(),
        "session_age": np.maximum(at - batch.session.started_at[rows], 0).tolist(),
    }
    names = tuple(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]


_MAKERS: Final[Mapping[str, Callable[[Scored, Rows, I64], list[Event]]]] = {"velocity": _velocity, "facts": _facts}


def _known(values: Any) -> list[float | None]:
    """Return numbers as Python has them, None where they are NaN."""
    return [None if value != value else value for value in values.tolist()]  # noqa: PLR0124 - only NaN differs


@lru_cache(_KEPT)
def address_text(packed: bytes) -> tuple[str, str]:
    """Return an address and its network (/24 of IPv4, /64 of IPv6) as text, empty where it is not known."""
    if not any(packed):
        return "", ""
    mapped = packed.startswith(_MAPPED)
    address = ip_address(packed[12:] if mapped else packed)
    return str(address), str(ip_network((address, 24 if mapped else 64), strict=False))


def _bytes(ids: U8) -> list[bytes]:
    whole, width = np.ascontiguousarray(ids).tobytes(), ids.shape[1]
    return [whole[start : start + width] for start in range(0, len(whole), width)]


def _hex(ids: U8) -> list[str]:
    return [one.hex() for one in _bytes(ids)]
