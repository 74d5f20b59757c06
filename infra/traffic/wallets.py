"""Who pays with which card, by the tokens that merchants give: people's own, and stolen ones.

Where nothing is paid there is no card, and some payments come without a token, whoever pays: that there is one says
nothing of the visitor.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from random import Random

from infra.traffic.visits import Planned
from schemas.log_codes import load_log_codes

_TOLD = 0.75  # of the payments: the others are of merchants who tell no tokens
_SECOND_CARD = 0.25  # of people
_SECOND_TIME = 0.3  # of the visits of those who have two
_USED_BEFORE = 0.2  # of the stolen cards that are used: tested first, or sold twice
_LATEST = 200


class Wallets:
    """Draws card tokens; the same for the same seed and the same questions."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = Random(f"clickgoose wallets {seed}")
        self._stolen: deque[str] = deque(maxlen=_LATEST)
        self._card_field = load_log_codes().targets["card_number"]

    def of(self, owner: str, events: Sequence[Planned]) -> str:
        """Return the token of a visit of this person: of the one card, or one of the two, that the person has."""
        if not self._is_told(events):
            return ""
        second = int(_digest(self._seed, owner, 0)[:4], 16) < _SECOND_CARD * 0x10000
        return self._card(owner, 1 + (second and self._random.random() < _SECOND_TIME))

    def stolen(self, events: Sequence[Planned]) -> str:
        """Return the token of a visit with a stolen card: a new one, or one that was used lately."""
        if not self._is_told(events):
            return ""
        if self._stolen and self._random.random() < _USED_BEFORE:
            return self._random.choice(self._stolen)
        token = self._card(f"stolen {self._random.getrandbits(64):x}", 1)
        self._stolen.append(token)
        return token

    def _is_told(self, events: Sequence[Planned]) -> bool:
        pays = any(entry[3] == self._card_field for event in events for entry in event.log)
        return pays and self._random.random() < _TOLD

    def _card(self, owner: str, number: int) -> str:
        return f"card_{_digest(self._seed, owner, number)}"


def _digest(seed: int, owner: str, number: int) -> str:
    return hashlib.blake2b(f"{seed} {owner} {number}".encode(), digest_size=8).hexdigest()
