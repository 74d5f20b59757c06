"""verify_mask: proves that no unmasked personal data came through. Only texts are free; all else is typed.

Browsers, graphics, time zones and pages are far fewer than events. So the stage remembers what it found clean: each
text, each id, each stretch of texts of an event (what the browser is, what the page is). What is new gets a glance, and
only what may hold something is read with the patterns of ``schemas.personal_data``. What is remembered changes the
time that a batch takes, never what comes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import unpack
from typing import NamedTuple

import msgspec
import numpy as np

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
Stretch = bytes  # texts, one after the other, their lengths as int32, and the number of them


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
        self._split = next((text.position for text in self._catalogue.texts if text.family == "page"), 0)
        self._clean_stretches: tuple[Known[Stretch], Known[Stretch]] = (Known(), Known())
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
        rows: set[int] = set()
        for found, known in zip(_stretches_of(batch.signals.texts, self._split), self._clean_stretches, strict=True):
            rows |= self._suspects_in(found, known)
        ids = batch.event.transaction + batch.event.linked_id + batch.event.card_token
        rows |= {place % len(batch) for place in self._suspects_of(ids)}
        return sorted(rows)

    def _suspects_in(self, found: Sequence[Stretch], known: Known[Stretch]) -> set[int]:
        """Return the rows with a stretch of which a text holds something, or begins with a piece of a card."""
        new = known.without(found)
        if not new:
            return set()
        parts = {stretch: _parts(stretch) for stretch in new}
        dirty = self._unclean({text for texts in parts.values() for text in texts})
        clean = {stretch for stretch in new if dirty.isdisjoint(parts[stretch])} if dirty else new
        known.add(clean)
        unclean = new - clean
        return {row for row, stretch in enumerate(found) if stretch in unclean} if unclean else set()

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


def _stretches_of(texts: Texts, split: int) -> tuple[list[Stretch], list[Stretch]]:
    """Return the texts of every row up to ``split``, which say what the browser is, and those from it on: the page."""
    width = texts.length.shape[1]
    if width == 0:
        return [], []
    ends = (texts.start[:, -1] + np.maximum(texts.length[:, -1], 0)).tolist()
    sizes = (_packed(texts.length[:, :split]), _packed(texts.length[:, split:]))
    browser: list[Stretch] = []
    page: list[Stretch] = []
    starts = (texts.start[:, 0].tolist(), texts.start[:, split].tolist())
    for blob, start, middle, end, one, other in zip(texts.blob, *starts, ends, *sizes, strict=True):
        browser.append(blob[start:middle] + one)
        page.append(blob[middle:end] + other)
    return browser, page


def _packed(lengths: I32) -> list[bytes]:
    """Return the lengths of every row as bytes, and their number as the last."""
    rows, count = lengths.shape
    packed = np.full((rows, 4 * count + 1), count, np.uint8)
    packed[:, :-1] = np.ascontiguousarray(lengths).view(np.uint8)
    return packed.view(f"V{4 * count + 1}").ravel().tolist()


def _parts(stretch: Stretch) -> list[bytes]:
    """Return the texts of a stretch that are not empty."""
    found, at, count = [], 0, stretch[-1]
    for size in unpack(f"={count}i", stretch[-4 * count - 1 : -1]):
        if size > 0:
            found.append(stretch[at : at + size])
            at += size
    return found


def _texts_of(texts: Texts, row: int, signals: Sequence[Signal]) -> dict[str, bytes]:
    """Return the texts of a row by name, without those that are absent."""
    blob, starts, lengths = texts.blob[row], texts.start[row].tolist(), texts.length[row].tolist()
    spans = ((signal.name, starts[signal.position], lengths[signal.position]) for signal in signals)
    return {name: blob[start : start + length] for name, start, length in spans if length >= 0}
