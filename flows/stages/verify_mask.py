"""verify_mask: proves that no unmasked personal data came through. Only texts are free; all else is typed.

Two passes. The texts of a batch are joined and asked once, at the speed of memchr, for the bytes without which there
is nothing to find; only rows that have such bytes are read text by text with the patterns of
``flows.stages.personal_data``.
"""

from __future__ import annotations

import msgspec
import numpy as np

from flows.stages.personal_data import find_personal_data, may_hold, redact
from schemas.batches import Decoded, Texts, Verified
from schemas.catalogue import Catalogue, load_catalogue
from schemas.columns import widen
from schemas.dead_letter import DeadLetter, Reason, dead_letters
from schemas.nested import nested_of
from schemas.stage import StageOut

_DETAIL = "free text of the payload holds it; the value was redacted"


class VerifyMask:
    """Rows with unmasked personal data become dead letters with a redacted payload; the rest goes on unchanged."""

    name = "verify_mask"

    def __init__(self, catalogue: Catalogue | None = None) -> None:
        self._catalogue = catalogue or load_catalogue()

    def __call__(self, batch: Decoded, /) -> StageOut[Verified]:
        """Search every text of the batch. The reason is the first kind, in the order of KINDS, that a row holds."""
        verified = widen(Verified, batch)
        found = _violations(batch.signals.texts)
        if not found:
            return StageOut(verified)
        clean = np.ones(len(batch), np.bool_)
        clean[list(found)] = False
        letters = [self._letter(batch, row, reason) for row, reason in found.items()]
        return StageOut(verified.take(np.flatnonzero(clean)), letters)

    def _letter(self, batch: Decoded, row: int, reason: Reason) -> DeadLetter:
        one = batch.signals.texts.take(np.array([row], np.intp))
        replaced = {}
        for signal in self._catalogue.texts:
            text = one.column(signal.position)[0]
            if text is not None:
                replaced[signal.name] = redact(text).decode("utf-8", "replace")
        nested = nested_of(batch.signals, batch.activity, row, self._catalogue, replaced)
        (letter,) = dead_letters(batch, [row], reason, self.name, _DETAIL)
        return letter.redacted(msgspec.json.encode(nested))


def _violations(texts: Texts) -> dict[int, Reason]:
    """Return the first reason of every row that has one, rows in order."""
    tails = _tails(texts)
    found: dict[int, Reason] = {}
    if not may_hold(b"\0".join(tails)):
        return found
    for row, tail in enumerate(tails):
        if may_hold(tail):
            reason = find_personal_data(_texts_of(texts, row))
            if reason is not None:
                found[row] = reason
    return found


def _tails(texts: Texts) -> list[bytes]:
    """Return one slice a row that spans all of its texts, without anything between them."""
    if texts.length.shape[1] == 0:
        return [b""] * len(texts)
    starts = texts.start.min(axis=1).tolist()
    ends = (texts.start + np.maximum(texts.length, 0)).max(axis=1).tolist()
    return [blob[start:end] for blob, start, end in zip(texts.blob, starts, ends, strict=True)]


def _texts_of(texts: Texts, row: int) -> bytes:
    """Return the texts of a row with a NUL between two of them, so that no find reaches across."""
    blob = texts.blob[row]
    spans = zip(texts.start[row].tolist(), texts.length[row].tolist(), strict=True)
    return b"\0".join([blob[at : at + size] for at, size in spans if size > 0])
