"""verify_mask: proves that no unmasked personal data came through. Only texts are free; all else is typed.

Browsers, graphics, time zones and pages are far fewer than events. So the stage remembers what it found clean: each
text, each id, each stretch of texts of an event (what the browser is, what the page is). What is new gets a glance, and
only what may hold something is read with the patterns of ``flows.stages.personal_data``. What is remembered changes the
time that a batch takes, never what comes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from struct import unpack
from typing import NamedTuple

import msgspec
import numpy as np

from flows.stages.personal_data import ID_KINDS, KINDS, Kind, find_personal_data, possible_kinds, redact
from flows.stages.personal_data.glance import BETWEEN, ids_may_hold, may_hold
from flows.stages.personal_data.known import Known
from flows.stages.personal_data.split_card import may_begin, split_card
from schemas.batches import I32, Decoded, Texts, Verified
from schemas.catalogue import Catalogue, Signal, load_catalogue
from schemas.columns import widen
from schemas.dead_letter import DeadLetter, Reason, dead_letters
from schemas.nested import nested_of
from schemas.stage import StageOut

_IDS = ("transaction", "linked_id")
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
        ids = batch.event.transaction + batch.event.linked_id
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
        """Return the texts that are not clean by themselves; remember those that are."""
        new = self._clean_texts.without(texts)
        kinds = _possible(new)
        dirty = {text for text in new if _dirty(text, kinds)}
        self._clean_texts.add(new - dirty)
        return dirty

    def _suspects_of(self, ids: Sequence[str]) -> set[int]:
        """Return the places of the ids that hold something."""
        new = self._clean_ids.without(ids)
        if not new:
            return set()
        dirty = {text for text in new if _leaks(text)} if ids_may_hold(BETWEEN.join(new)) else set[str]()
        self._clean_ids.add(new - dirty)
        return {place for place, text in enumerate(ids) if text in dirty} if dirty else set()

    def _leak(self, batch: Decoded, row: int) -> Leak | None:
        """Read a row whole. None where it holds nothing, though one of its texts begins as a card in pieces would."""
        shown = _texts_of(batch.signals.texts, row, self._catalogue.texts)
        ids = {name: getattr(batch.event, name)[row] for name in _IDS}
        found = {name: reason for name, text in shown.items() if (reason := find_personal_data(text))}
        found |= {name: reason for name, text in ids.items() if (reason := find_personal_data(text, ID_KINDS))}
        clean = {name: redact(text) for name, text in shown.items()}
        while pieces := split_card(list(clean.values())):
            names = list(clean)
            clean |= {names[place]: redact(text) for place, text in pieces.items()}
            found |= {names[place]: Reason.CARD_NUMBER for place in pieces}
        if not found:
            return None
        return Leak(min(found.values(), key=_RANK.__getitem__), tuple(found), clean)

    def _letter(self, batch: Decoded, row: int, leak: Leak) -> DeadLetter:
        nested = nested_of(batch.signals, batch.activity, row, self._catalogue, leak.texts)
        (letter,) = dead_letters(batch, [row], leak.reason, self.name, _detail(leak.fields))
        return letter.redacted(msgspec.json.encode(nested))


def _detail(fields: Sequence[str]) -> str:
    named = " and ".join((*fields[:_NAMED], *([f"{len(fields) - _NAMED} more"] if len(fields) > _NAMED else [])))
    return f"found in {named}; redacted"


def _possible(texts: Iterable[bytes]) -> tuple[Kind, ...]:
    """Return the kinds that any of the texts may hold: what all of them lack is asked of none."""
    return possible_kinds(BETWEEN.join([text.decode("utf-8", "replace") for text in texts]))


def _dirty(text: bytes, kinds: Sequence[Kind]) -> bool:
    """Return whether a text holds something, or may be a piece of what several texts hold together."""
    shown = text.decode("utf-8", "replace")
    if may_hold(text) and find_personal_data(shown, kinds):
        return True
    return may_begin(shown)


def _leaks(text: str) -> bool:
    return ids_may_hold(text) and find_personal_data(text, ID_KINDS) is not None


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


def _texts_of(texts: Texts, row: int, signals: Sequence[Signal]) -> dict[str, str]:
    """Return the texts of a row by name, without those that are absent."""
    one = texts.take(np.array([row], np.intp))
    read: Iterator[tuple[str, bytes | None]] = ((signal.name, one.column(signal.position)[0]) for signal in signals)
    return {name: text.decode("utf-8", "replace") for name, text in read if text is not None}
