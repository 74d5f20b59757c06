"""verify_mask: proves that no unmasked personal data came through. Only texts are free; all else is typed.

Browsers, graphics, time zones and pages are far fewer than events. So the stage remembers each text and each id that it
found clean, and one compiled loop finds them again. What is new gets a glance, and only what may hold something is read
with the patterns of ``schemas.personal_data``. What is remembered changes the time that a batch takes, never what
comes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import Lock
from typing import NamedTuple

import msgspec
import numpy as np

from flows.stages.text_memory import Asked, TextTable
from schemas.batches import I32, Decoded, Texts, Verified
from schemas.catalogue import Catalogue, Signal, load_catalogue
from schemas.columns import widen
from schemas.dead_letter import DeadLetter, Reason, dead_letters
from schemas.nested import nested_of
from schemas.personal_data import ID_KINDS, KINDS, Kind, find_personal_data, possible_kinds, redact
from schemas.personal_data.glance import BETWEEN, ids_may_hold, may_hold
from schemas.personal_data.known import Known
from schemas.personal_data.split_card import may_begin, split_card
from schemas.stage import StageOut

_IDS = ("transaction", "linked_id", "card_token")
_NAMED = 3  # fields, in a letter's detail
_RANK = {reason: rank for rank, reason in reversed(list(enumerate(kind.reason for kind in KINDS)))}
_LONGEST = 1_024  # bytes of a text that is remembered
_REMEMBERED = 16_384  # texts


class Leak(NamedTuple):
    """What a row holds: the reason, the fields that hold anything, and its texts without it."""

    reason: Reason
    fields: tuple[str, ...]
    texts: dict[str, str]


class VerifyMask:
    """Rows with unmasked personal data become dead letters with a redacted payload; the rest goes on unchanged."""

    name = "verify_mask"

    def __init__(self, catalogue: Catalogue | None = None) -> None:
        self._catalogue = catalogue or load_catalogue()
        self._asked = [Asked(text.position, _LONGEST, whole=True) for text in self._catalogue.texts]
        self._clean, self._lock = TextTable(self._asked, _REMEMBERED), Lock()
        self._clean_texts: Known[bytes] = Known()
        self._pieces: Known[bytes] = Known()  # clean by themselves, but a card in pieces may begin with them
        self._clean_ids: Known[str] = Known()

    def __reduce__(self) -> tuple[type[VerifyMask], tuple[Catalogue]]:
        """Pickle without what is remembered."""
        return (VerifyMask, (self._catalogue,))

    def __call__(self, batch: Decoded, /) -> StageOut[Verified]:
        """Search every text and id of the batch. The reason is the first kind of KINDS that a row holds."""
        verified = widen(Verified, batch)
        leaks = {row: leak for row in self._suspects(batch) if (leak := self._leak(batch, row))}
        if not leaks:
            return StageOut(verified)
        clean = np.ones(len(batch), np.bool_)
        clean[list(leaks)] = False
        letters = [self._letter(batch, row, leak) for row, leak in leaks.items()]
        return StageOut(verified.take(np.flatnonzero(clean)), letters)

    def _suspects(self, batch: Decoded) -> list[int]:
        """Return the rows, in order, that have something that is not known to be clean."""
        texts, event = batch.signals.texts, batch.event
        numbers, missing = self._clean.find(texts)
        places = self._suspects_of(event.transaction + event.linked_id + event.card_token)
        if not (missing or places):
            return []
        rows = self._rows_with(texts, numbers) if missing else set()
        return sorted(rows | {place % len(batch) for place in places})

    def _rows_with(self, texts: Texts, numbers: I32) -> set[int]:
        """Return the rows with a text that holds something, or begins with a piece of a card; remember the others."""
        unknown = [(one.row, one.text) for one in self._clean.unknown(texts, numbers)]
        found = {text for _, text in unknown}
        dirty = self._unclean(found - {b""})
        self._remember({text for text in found - dirty if len(text) <= _LONGEST})
        return {row for row, text in unknown if text in dirty}

    def _remember(self, texts: set[bytes]) -> None:
        """Let texts be found to be clean. When too many are, it begins anew."""
        with self._lock:
            for text in texts:
                if self._clean.is_full:
                    self._clean = TextTable(self._asked, _REMEMBERED)
                self._clean.add(text, 0)

    def _unclean(self, texts: set[bytes]) -> set[bytes]:
        """Return the texts that hold something or may be a piece of a card; remember the others."""
        new = self._clean_texts.without(texts)
        unread = self._pieces.without(new)
        kinds = _possible(unread)
        dirty = {text for text in unread if may_hold(text) and find_personal_data(_shown(text), kinds)}
        pieces = {text for text in unread if text not in dirty and may_begin(_shown(text))}
        self._pieces.add(pieces)
        self._clean_texts.add(unread - dirty - pieces)
        return dirty | pieces | (new - unread)

    def _suspects_of(self, ids: Sequence[str]) -> set[int]:
        """Return the places of the ids that hold something."""
        new = self._clean_ids.without(ids)
        if not new:
            return set()
        dirty = _leaking(list(new))
        self._clean_ids.add(new - dirty)
        return {place for place, text in enumerate(ids) if text in dirty} if dirty else set()

    def _leak(self, batch: Decoded, row: int) -> Leak | None:
        """Read a row whole. None where it holds nothing, though one of its texts begins as a card in pieces would."""
        texts = _texts_of(batch.signals.texts, row, self._catalogue.texts)
        shown = {name: _shown(text) for name, text in texts.items()}
        found = {name: find_personal_data(shown[name]) for name, text in texts.items() if not self._is_known(text)}
        found |= {name: find_personal_data(getattr(batch.event, name)[row], ID_KINDS) for name in _IDS}
        reasons = {name: reason for name, reason in found.items() if reason}
        names = list(shown)
        if reasons:
            shown = {name: redact(text) for name, text in shown.items()}
        while pieces := split_card(list(shown.values())):
            shown |= {names[place]: redact(text) for place, text in pieces.items()}
            reasons |= {names[place]: Reason.CARD_NUMBER for place in pieces}
        if not reasons:
            return None
        fields = tuple(name for name in (*names, *_IDS) if name in reasons)
        return Leak(min(reasons.values(), key=_RANK.__getitem__), fields, shown)

    def _is_known(self, text: bytes) -> bool:
        """Return whether a text is remembered to hold nothing by itself."""
        return text in self._clean_texts or text in self._pieces

    def _letter(self, batch: Decoded, row: int, leak: Leak) -> DeadLetter:
        nested = nested_of(batch.signals, batch.activity, row, self._catalogue, leak.texts)
        (letter,) = dead_letters(batch, [row], leak.reason, self.name, _detail(leak.fields))
        return letter.redacted(msgspec.json.encode(nested))


def _detail(fields: Sequence[str]) -> str:
    named = " and ".join((*fields[:_NAMED], *([f"{len(fields) - _NAMED} more"] if len(fields) > _NAMED else [])))
    return f"found in {named}; redacted"


def _possible(texts: Iterable[bytes]) -> tuple[Kind, ...]:
    """Return the kinds that any of the texts may hold: what all of them lack is asked of none."""
    return possible_kinds(BETWEEN.join(map(_shown, texts)))


def _shown(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _leaking(ids: Sequence[str]) -> set[str]:
    """Return the ids that hold something, found by halves."""
    if not ids_may_hold(BETWEEN.join(ids)):
        return set()
    if len(ids) == 1:
        return set(ids) if find_personal_data(ids[0], ID_KINDS) else set()
    middle = len(ids) // 2
    return _leaking(ids[:middle]) | _leaking(ids[middle:])


def _texts_of(texts: Texts, row: int, signals: Sequence[Signal]) -> dict[str, bytes]:
    """Return the texts of a row by name, without those that are absent."""
    blob, starts, lengths = texts.blob[row], texts.start[row].tolist(), texts.length[row].tolist()
    spans = ((signal.name, starts[signal.position], lengths[signal.position]) for signal in signals)
    return {name: blob[start : start + length] for name, start, length in spans if length >= 0}
