"""verify_mask: proves that no unmasked personal data came through. Only texts are free; all else is typed.

The texts of a batch are joined once and searched once, so the cost is that of a regular expression over bytes, not of
a call an event. Card numbers: 13 to 19 digits with separators, a known issuer prefix and a right Luhn digit
(ISO/IEC 7812). E-mail: the shape of RFC 5322's addr-spec in everyday use. Phone: E.164 with its plus sign.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.batches import Decoded, Verified
from schemas.catalogue import Catalogue, load_catalogue
from schemas.columns import widen
from schemas.dead_letter import DeadLetter, Reason, dead_letters
from schemas.nested import nested_of
from schemas.stage import StageOut

_CARD = re.compile(rb"(?<![\d.])[2-6](?:[ \-.]?\d){12,18}(?![\d])")
_EMAIL = re.compile(rb"[\w.+%\-]{1,64}(?:@|%40)[A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{2,63})+")
_PHONE = re.compile(rb"(?<![\w+])\+[1-9](?:[ \-().]?\d){7,14}(?!\d)")
_URL_SECRET = re.compile(rb"[a-z][a-z0-9+.\-]*://(?:[^\s/?#@]*:[^\s/?#@]*@|[^\s?#]*[?#])\S*", re.IGNORECASE)
_ISSUERS = re.compile(
    rb"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    rb"|3(?:0[0-5]|[689]\d)\d{11,16}|6(?:011|5\d\d|4[4-9]\d)\d{12,15}|(?:5[06-9]|6\d)\d{10,17}|35\d{14,17}"
)
_DETAIL = "free text of the payload holds it; the value was redacted"


class Pattern(NamedTuple):
    """One kind of personal data: where it may be, and what tells a find from a false alarm."""

    reason: Reason
    expression: re.Pattern[bytes]


PATTERNS = (
    Pattern(Reason.CARD_NUMBER, _CARD),
    Pattern(Reason.EMAIL, _EMAIL),
    Pattern(Reason.SECRET_IN_URL, _URL_SECRET),
    Pattern(Reason.PHONE, _PHONE),
)


class VerifyMask:
    """Rows with unmasked personal data become dead letters with a redacted payload; the rest goes on unchanged."""

    name = "verify_mask"

    def __init__(self, catalogue: Catalogue | None = None) -> None:
        self._catalogue = catalogue or load_catalogue()

    def __call__(self, batch: Decoded, /) -> StageOut[Verified]:
        """Search every text of the batch. The reason is the first pattern that a row matches."""
        verified = widen(Verified, batch)
        found = _violations(batch)
        if not found:
            return StageOut(verified)
        clean = np.ones(len(batch), np.bool_)
        clean[list(found)] = False
        letters = [self._letter(batch, row, reason) for row, reason in sorted(found.items())]
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


def redact(text: bytes) -> bytes:
    """Return the text with every find of every pattern replaced by its reason."""
    for reason, expression in PATTERNS:
        text = expression.sub(partial(_mark, reason), text)
    return text


def _mark(reason: Reason, match: re.Match[bytes]) -> bytes:
    return f"[redacted {reason.value.removeprefix('mask.')}]".encode() if _holds(reason, match[0]) else match[0]


def _violations(batch: Decoded) -> dict[int, Reason]:
    """Return the first reason of every row that has one."""
    tails, starts = _tails(batch)
    found: dict[int, Reason] = {}
    for reason, expression in PATTERNS:
        for at in _finds(reason, expression, tails):
            row = int(np.searchsorted(starts, at, "right")) - 1
            found.setdefault(row, reason)
    return found


def _finds(reason: Reason, expression: re.Pattern[bytes], tails: bytes) -> Iterator[int]:
    for match in expression.finditer(tails):
        if _holds(reason, match[0]):
            yield match.start()


def _tails(batch: Decoded) -> tuple[bytes, NDArray[np.int64]]:
    """Return all texts of all rows, one NUL after each, and where each row starts."""
    texts = batch.signals.texts
    columns = [texts.column(position) for position in range(texts.length.shape[1])]
    rows = [b"\0".join([text for text in row if text is not None]) for row in zip(*columns, strict=True)]
    sizes = np.fromiter(map(len, rows), np.int64, len(rows)) + 1
    return b"\0".join(rows), np.cumsum(sizes) - sizes


def _holds(reason: Reason, match: bytes) -> bool:
    if reason is not Reason.CARD_NUMBER:
        return True
    digits = match.translate(None, b" -.")
    return _ISSUERS.fullmatch(digits) is not None and luhn(digits)


def luhn(digits: bytes) -> bool:
    """Return whether the last digit is the Luhn check digit of those before it (ISO/IEC 7812-1, annex B)."""
    total = 0
    for index, byte in enumerate(reversed(digits)):
        value = (byte - 48) * (1 + index % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
