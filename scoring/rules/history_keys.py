"""How history is named and kept in a store: nothing in it can be read, or tied to a person, without the entity key.

Keys are ``r:{<entity>}<catalogue>``: two keyed BLAKE2b digests in URL-safe base64, 22 and 16 characters. The merchant
is in both, so no two merchants share a key; the braces make all catalogues of an entity one slot of Redis Cluster.

Catalogues of one stream (same events, same entity) are one sorted set, in which each has a slot for its value; others
have one of their own. A member's id is the keyed digest of the de-duplication id. Texts are kept in AES-SIV (RFC 5297):
the first bytes are the same for the same text of a merchant, which is how texts are told apart without being read.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from scoring.rules.answers import LONGEST_TEXT, CatalogueName, Value
from scoring.rules.history_members import ID, Kept, Layout, cipher_of

FIRST_TIME, LAST_TIME = 1, 10**14 - 1
"""Event times that can be kept, in ms: from 1970 to the year 5138. A double and Lua hold them exactly."""
LARGEST_NUMBER: Final = 1e300
"""So that no sum of members overflows."""
_CACHED: Final = 4_096
_ALONE: Final = bytes(4)


class HistoryKeys:
    """Names and codes what one installation keeps; every process with the same ``key`` and ``prefix`` shares it."""

    def __init__(self, key: bytes, prefix: str = "r") -> None:
        self._key = blake2b(key, digest_size=32, person=b"rules.history").digest()
        self._cipher = AESSIV(blake2b(key, digest_size=64, person=b"rules.values").digest())
        self._prefix = prefix.encode()
        # An event's entities and ids are named for each of its catalogues, in reads and in writes.
        self.catalogue = lru_cache(_CACHED)(self._name_catalogue)
        self.entity = lru_cache(_CACHED)(self._name_entity)
        self.id = lru_cache(_CACHED)(self._name_event)
        self.slot = lru_cache(_CACHED)(self._name_slot)
        # The same text is kept for each entity of an event, and countries and the like come again and again.
        self._text = lru_cache(_CACHED)(self._encrypt)
        self.text = lru_cache(_CACHED)(self._decrypt)

    def key(self, merchant: str, catalogue: CatalogueName, entity: str) -> bytes:
        """Return the key of the entity's history in a catalogue."""
        return self.entity(merchant, entity) + self.catalogue(merchant, catalogue)

    def value(self, merchant: str, value: Value) -> Kept:
        """Return how a value is kept."""
        if isinstance(value, str):
            return Kept(0.0, self._text(merchant, value))
        return Kept(float(value) + 0.0)  # one zero

    def opened(self, merchant: str, layout: Layout, member: bytes, place: int) -> Value | None:
        """Return a value of a member; None where it was kept under another key or was damaged."""
        if not layout.kinds[place]:
            return float(layout.unpack(member)[place])
        return self.text(merchant, cipher_of(layout, member, place))

    def _decrypt(self, merchant: str, cipher: bytes) -> str | None:
        """Return the text of a cipher, as ``text``; None where it was kept under another key or was damaged."""
        try:
            plain = self._cipher.decrypt(cipher, [_encoded(merchant)])
        except InvalidTag:
            return None
        return plain[1:].decode("utf-8", "surrogatepass")

    def text_mark(self, merchant: str, text: str) -> bytes:
        """Return the 8 bytes by which a text is told from others."""
        return self._text(merchant, text)[:8]

    def _encrypt(self, merchant: str, text: str) -> bytes:
        return self._cipher.encrypt(b"." + _encoded(text), [_encoded(merchant)])  # never empty

    def _name_entity(self, merchant: str, entity: str) -> bytes:
        """Return the common beginning of the entity's keys."""
        digest = urlsafe_b64encode(self._digest(b"entity", ID, merchant, entity))[:22]
        return b"%b:{%b}" % (self._prefix, digest)

    def _name_event(self, dedupe: str) -> bytes:
        """Return the 16 bytes that stand for a de-duplication id."""
        return blake2b(_encoded(dedupe), digest_size=ID, key=self._key, person=b"event").digest()

    def _name_catalogue(self, merchant: str, catalogue: CatalogueName) -> bytes:
        """Return how the keys of the catalogue's set end."""
        scope, name, definition, stream, _ = catalogue
        if stream:
            return urlsafe_b64encode(self._digest(b"stream", 12, merchant, scope, stream))
        return urlsafe_b64encode(self._digest(b"catalogue", 12, merchant, scope, name, definition))

    def _name_slot(self, merchant: str, catalogue: CatalogueName) -> bytes:
        """Return the 4 bytes that the catalogue's values have in its set."""
        if not catalogue.stream:
            return _ALONE
        return self._digest(b"slot", len(_ALONE), merchant, catalogue.id, catalogue.definition)

    def _digest(self, person: bytes, size: int, *parts: str) -> bytes:
        """Hash parts with their lengths: no two different rows of parts are the same bytes."""
        encoded = [_encoded(part) for part in parts]
        text = b"".join(b"%d:%b" % (len(part), part) for part in encoded)
        return blake2b(text, digest_size=size, key=self._key, person=person).digest()


def fault_of(at: int, value: Value | None = None) -> str | None:
    """Return why an event time, or a value, cannot be kept, in one sentence without the value itself."""
    if not FIRST_TIME <= at <= LAST_TIME:
        return "the event time is not within the years 1970 to 5138"
    if isinstance(value, str):
        return f"the text is longer than {LONGEST_TEXT:,} characters" if len(value) > LONGEST_TEXT else None
    if value is not None and not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:  # NaN neither
        return f"the number is not within -{LARGEST_NUMBER:g} to {LARGEST_NUMBER:g}"
    return None


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # JSON may hold half a pair
