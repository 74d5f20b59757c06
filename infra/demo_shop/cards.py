"""What a shop's payment provider would keep: who paid with which card, by a token that is no number."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict

_MOST_CUSTOMERS = 1_000
COOKIE = "goose_customer"


class Cards:
    """Tokens of the cards that were paid with, by customer; the longest unseen customer is forgotten.

    A token is a keyed hash, and the key ends with the process: no number is kept, and none can be found again.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._tokens: OrderedDict[str, str] = OrderedDict()

    def remember(self, customer: str, number: str) -> str:
        """Keep the token of a card, for a known customer or a new one; return the customer."""
        customer = customer if customer in self._tokens else secrets.token_urlsafe(16)
        digest = hashlib.blake2b(number.encode(), key=self._key, digest_size=12).hexdigest()
        self._tokens[customer] = f"card_{digest}"
        self._tokens.move_to_end(customer)
        if len(self._tokens) > _MOST_CUSTOMERS:
            self._tokens.popitem(last=False)
        return customer

    def token(self, customer: str) -> str:
        """Return the token of the card that a customer paid with last, empty where none is known."""
        return self._tokens.get(customer, "")
