"""What one event writes to several sets, each of another entity, as the bytes that are sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from scoring.rules.history_packed import named, timed, write_head
from scoring.rules.history_sets import Reader
from scoring.rules.view import View

Payload = Callable[[Sequence[Any], Sequence[bytes]], bytes]
"""From an event's values, numbers and the first bytes of ciphers, and from what is behind those of all values."""


class PackedSet(NamedTuple):
    """How one set is written. ``names``: ids of the catalogues that it keeps."""

    entity: str  # selector
    end: bytes  # of its keys
    limits: bytes  # as they are sent
    payload: Payload
    names: Sequence[str]


class PackedWrites:
    """The writes of a merchant's events, of values of known kinds, at the events' own time."""

    def __init__(self, sets: Sequence[PackedSet], reader: Reader) -> None:
        self._keys, self._merchant = reader
        before = len(self._keys.entity(self._merchant, ""))
        self._sets = [(*one[:4], write_head(before + len(one.end))) for one in sets]
        self.names = [(one.names,) for one in sets]

    def of(self, view: View, name: bytes, fixed: Sequence[Any], rest: Sequence[bytes]) -> list[bytes] | None:
        """Return the commands; None where a set has no entity, or two have the same. ``name``: the event's own id."""
        merchant, entity_key, entity_of = self._merchant, self._keys.entity, view.entity
        behind, last = named(name), timed(view.happening.at)
        written: dict[str, bytes] = {}
        for selector, end, limits, payload, head in self._sets:
            entity = entity_of(selector)
            if not isinstance(entity, str):
                return None
            said = payload(fixed, rest)
            parts = head, entity_key(merchant, entity), end, behind, b"%d\r\n" % len(said), said, last, limits
            written[entity] = b"".join(parts)
        return list(written.values()) if len(written) == len(self._sets) else None
