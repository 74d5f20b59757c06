"""What one event asks of several sets, one range of each, as the bytes that are sent: all but entities and times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from scoring.rules.history_keys import fault_of
from scoring.rules.history_packed import range_head, range_tail
from scoring.rules.history_sets import Reader, after
from scoring.rules.view import View

Of = TypeVar("Of")


class PackedRanges(Generic[Of]):
    """The ranges of a merchant's events. Of each set: itself, the selector of its entity, and how far back in ms."""

    def __init__(self, sets: Iterable[tuple[Of, str, int]], ends: Sequence[bytes], reader: Reader) -> None:
        """``ends``: how the sets' keys end."""
        self._keys, self._merchant = reader
        before = len(self._keys.entity(self._merchant, ""))
        self._sets = [
            (one, selector, range_head(before + len(end)), end, over)
            for (one, selector, over), end in zip(sets, ends, strict=True)
        ]
        self._overs = {over for *_, over in self._sets}

    def of(self, view: View) -> tuple[list[bytes], list[tuple[Of, bytes, str]]] | None:
        """Return the commands, and each set with the event's own id and entity there; None where one has no entity."""
        at, entity_of = view.happening.at, view.entity
        if fault_of(at) is not None:
            return None
        merchant, entity_key, own = self._merchant, self._keys.entity, self._keys.id(view.happening.id)
        tails = {over: range_tail(after(at - over)) for over in self._overs}
        commands: list[bytes] = []
        asked: list[tuple[Of, bytes, str]] = []
        for one, selector, head, end, over in self._sets:
            entity = entity_of(selector)
            if not isinstance(entity, str):
                return None
            commands.append(b"".join((head, entity_key(merchant, entity), end, tails[over])))
            asked.append((one, own, entity))
        return commands, asked
