"""What a merchant's server may not say of a visit: ids and card tokens that are personal data themselves.

They would stand in the clear in ``events.raw``, and the flow would refuse each of the visit's events (``verify_mask``
asks the same finder). So they are refused before there is a session.
"""

from __future__ import annotations

import re

from ingest_api.errors import ApiError, Code
from ingest_api.models import SessionRequest
from schemas.dead_letter import Reason
from schemas.personal_data import ID_KINDS, find_personal_data
from schemas.personal_data.card_number import luhn

_HELD = {
    Reason.CARD_NUMBER: "a card number",
    Reason.IBAN: "an account's number (IBAN)",
    Reason.NATIONAL_ID: "a national id number",
    Reason.EMAIL: "an e-mail address",
    Reason.PHONE: "a phone number",
    Reason.SECRET_IN_URL: "an address that holds a secret",
}
_SEPARATORS = re.compile(r"[^0-9A-Za-z]")
_CARD_DIGITS = range(12, 20)


def refuse_personal_data(wanted: SessionRequest) -> None:
    """Raise ApiError 422 where an id or a card token is personal data; it names the field, never its value."""
    if looks_like_card_number(wanted.card_token):
        raise ApiError(Code.INVALID_REQUEST, _sentence("card_token", Reason.CARD_NUMBER))
    for field in ("transaction", "linked_id", "card_token"):
        reason = find_personal_data(getattr(wanted, field), ID_KINDS)
        if reason is not None:
            raise ApiError(Code.INVALID_REQUEST, _sentence(field, reason))


def looks_like_card_number(token: str) -> bool:
    """Return whether a token is 12 to 19 digits, whatever stands between them, with a right Luhn check digit.

    Stricter than for other ids, of any issuer: this is the field that a card's number would be put into by mistake.
    """
    digits = _SEPARATORS.sub("", token)
    return digits.isdecimal() and len(digits) in _CARD_DIGITS and luhn(digits)


def _sentence(field: str, reason: Reason) -> str:
    if field == "card_token" and reason is Reason.CARD_NUMBER:
        return "card_token looks like a card number; send your own token of the card, never its number."
    return f"{field} looks like {_HELD[reason]}; send an id that says nothing by itself."
