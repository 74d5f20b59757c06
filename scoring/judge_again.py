"""An event of the flow as rules saw it, made again from its row: the card alone is another text there, a digest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from schemas.velocity import KINDS, WINDOWS
from scoring.judge_events import VISIT, Event, address_text
from scoring.provenance import StoredDecision

_MS = "toUnixTimestamp64Milli"
_COUNTS: Final = tuple(f"{kind}_{window}" for kind in KINDS for window in WINDOWS)
COLUMNS: Final[Mapping[str, str]] = {
    "device_id": "lower(hex(device_id))",
    "address": "hex(address)",
    "first_seen_at": f"{_MS}(first_seen_at)",
    "session_started_at": f"ifNull({_MS}(session_started_at), 0)",
    **{
        name: name
        for name in (
            "linked_id", "card", "country", "asn", "fingerprint", "browser", "browser_version", "system", "device",
            "timezone_offset", "device_events", "session_events", *_COUNTS,
        )
    },
}  # fmt: skip
EVENT_QUERY: Final = f"""
SELECT {", ".join(COLUMNS.values())} FROM events
WHERE merchant = %(merchant)s AND occurred_at = fromUnixTimestamp64Milli(toInt64(%(occurred_at)s))
  AND event_id = toFixedString(unhex(%(event_id)s), 16)
ORDER BY stands DESC LIMIT 1
"""  # noqa: S608 - names of our own columns


class Seen(NamedTuple):
    """What a row says of an event beside its decision, by column."""

    columns: Mapping[str, Any]

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> Seen:
        """Return a row of ``EVENT_QUERY``; text may come as bytes."""
        plain = [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in row]
        return cls(dict(zip(COLUMNS, plain, strict=True)))

    def event(self, stored: StoredDecision) -> Event:
        """Return the event as rules saw it."""
        return {
            "event_id": stored.event_id,
            "event_type": stored.event_type or VISIT,
            "occurred_at": stored.happened_at,
            "entities": self._entities(stored),
            "data": {},
            "velocity": {kind: {window: self.columns[f"{kind}_{window}"] for window in WINDOWS} for kind in KINDS},
            "facts": self._facts(stored),
        }

    def _entities(self, stored: StoredDecision) -> Event:
        said = self.columns
        address, network = address_text(bytes.fromhex(said["address"]))
        named = {
            "device": said["device_id"],
            "session": stored.session_id,
            "transaction": stored.transaction,
            "user": said["linked_id"],
            "card": said["card"],
            "address": address,
            "network": network,
            "asn": f"AS{said['asn']}" if said["asn"] else "",
            "fingerprint": f"{said['fingerprint']:016x}" if said["fingerprint"] else "",
        }
        return {kind: value for kind, value in named.items() if value}

    def _facts(self, stored: StoredDecision) -> Event:
        said, at = self.columns, stored.happened_at
        return {
            "country": said["country"] or None,
            "browser": said["browser"],
            "browser_version": _known(said["browser_version"]),
            "system": said["system"],
            "device": said["device"],
            "timezone_offset": _known(said["timezone_offset"]),
            "device_events": said["device_events"],
            "device_age": max(at - said["first_seen_at"], 0),
            "session_events": said["session_events"],
            "session_age": max(at - said["session_started_at"], 0),
        }


def _known(value: float) -> float | None:
    return value if value == value else None  # noqa: PLR0124 - only NaN differs
