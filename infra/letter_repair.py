"""Repairs one dead letter: opens it, looks at its fields, changes them, and seals it again.

The clear header stays (event, device, session, sequence, time), the session's own key seals it, and the nonce is fresh.
Whether the result can be scored, and holds no personal data, the flow's own stages say: infra/letter_repair_run.py.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Final

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from infra.dead_letters import Listed
from infra.repaired_content import Content, NotRepairable, content_of
from schemas.catalogue import Catalogue, category_hash
from schemas.envelope import (
    ENVELOPE_BYTES,
    ENVELOPE_DTYPE,
    ENVELOPE_MAGIC,
    ENVELOPE_VERSION,
    Attested,
    sealed_start,
    wrap,
)
from schemas.keys import KeyRing
from schemas.recovery import TIMES, Cast, Conditions, FieldTest, RecoveryFile, ReKey, Remove, Replace
from schemas.redriven import original_of
from schemas.sealed import HEADER_BYTES, NONCE_BYTES, BodyError, Codec, Header, read_header, seal, unpack_body
from scoring.rules.patterns import LONGEST_SUBJECT, pattern

_FORMATS: Final[Mapping[str, str]] = {
    "redacted": "its payload was redacted, and neither the clear header nor what was taken out is kept",
    "record": "it is the record of a decision, not an event",
    "scored": "it is scored, and waits for its destination",
    "rows": "it is scored, and waits for its destination",
}


@dataclass(slots=True)
class Opened:
    """A letter that could be opened, while it is changed."""

    attested: Attested
    received_at: int
    address: bytes
    header: Header
    codec: Codec
    content: Content

    def value(self, field: str) -> Any:
        """Return a field's value, None where it is absent or empty."""
        room, _, name = field.partition(".")
        if room == "envelope":
            return self.received_at if name == "received_at" else getattr(self.attested, name) or None
        if room == "header":
            found = getattr(self.header, name)
            return found.hex() if isinstance(found, bytes) else found
        return self.content.signals.get(field)

    def put(self, field: str, value: Any) -> None:
        """Change what a merchant named, or a signal; None takes it away."""
        room, _, name = field.partition(".")
        if room == "envelope":
            self.attested = self.attested._replace(**{name: value or ""})
        elif value is None:
            self.content.signals.pop(field, None)
        else:
            self.content.signals[field] = value

    def sealed(self, keys: KeyRing) -> bytes:
        """Return the record as the ingest tier would have written it."""
        key = keys.derive(self.header.key_id, self.header.session_id, "seal")
        if key is None:
            raise NotRepairable(_no_key(self.header.key_id))
        body, nonce = self.content.body(), secrets.token_bytes(NONCE_BYTES)
        try:
            return wrap(self.attested, self.received_at, self.address, seal(self.header, body, key, nonce, self.codec))
        except ValueError as error:
            raise NotRepairable(str(error)) from None


def repair(file: RecoveryFile, letter: Listed, payload: bytes, keys: KeyRing, catalogue: Catalogue) -> bytes | None:
    """Return the repaired record, None where no step is for the letter. NotRepairable says why it cannot be."""
    for step in file.steps:
        if not _meets(step.when, letter):
            continue
        opened = open_letter(letter.payload_format, payload, keys, catalogue, step.key_id)
        if _fields_meet(step.when, opened):
            for operation in step.do:
                _OPERATIONS[type(operation)](opened, operation)
            return opened.sealed(keys)
    return None


def _meets(when: Conditions, letter: Listed) -> bool:
    """Tell whether a letter meets what can be seen without opening it."""
    reasons = not when.reasons or any(
        letter.reason.startswith(one) if one.endswith(".") else letter.reason == one for one in when.reasons
    )
    facts = (
        (when.stages, letter.address.stage),
        (when.versions, letter.processor),
        (when.merchants, letter.merchant),
    )
    if not reasons or any(wanted and fact not in wanted for wanted, fact in facts):
        return False
    return not when.detail or pattern(when.detail).search(letter.detail[:LONGEST_SUBJECT]) is not None


def _fields_meet(when: Conditions, opened: Opened) -> bool:
    if when.catalogue is not None and not when.catalogue[0] <= opened.content.version <= when.catalogue[1]:
        return False
    if when.merchants and opened.attested.merchant not in when.merchants:
        return False
    return all(_holds(test, opened.value(test.field)) for test in when.fields)


def _holds(test: FieldTest, value: Any) -> bool:
    if test.test == "present":
        return (value is not None) is test.value
    if value is None:
        return False
    if test.test == "matches":
        return isinstance(value, str) and pattern(test.value).search(value[:LONGEST_SUBJECT]) is not None
    if test.test == "range":
        return _is_number(value) and bool(test.value[0] <= value <= test.value[1])
    wanted = test.value if test.test == "in" else (test.value,)
    return any(_same(value, one) for one in wanted)


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, str) and _is_number(value):  # a category, of which the hash is kept
        return bool(value == category_hash(wanted))
    if _is_number(wanted) and _is_number(value):
        with np.errstate(over="ignore"):
            return bool(value == wanted or np.float32(value) == np.float32(wanted))
    return type(value) is type(wanted) and bool(value == wanted)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def open_letter(
    payload_format: str, payload: bytes, keys: KeyRing, catalogue: Catalogue, key_id: int | None = None
) -> Opened:
    """Open an event, with another master key than its header names where ``key_id`` says so. NotRepairable says why."""
    if payload_format != "envelope":
        raise NotRepairable(_FORMATS.get(payload_format, "its payload is of a form that this build does not know"))
    attested, received_at, address, sealed = _envelope(payload)
    header = read_header(sealed)
    if header is None:
        raise NotRepairable("its sealed event has no clear header of a version that this build reads")
    codec, body = _body(header, header.key_id if key_id is None else key_id, sealed, keys)
    return Opened(attested, received_at, address, header, codec, content_of(codec, body, catalogue))


def _envelope(payload: bytes) -> tuple[Attested, int, bytes, bytes]:
    payload = original_of(payload)
    if len(payload) < ENVELOPE_BYTES or payload[:2] != ENVELOPE_MAGIC or payload[2] != ENVELOPE_VERSION:
        raise NotRepairable("it has no ingest envelope of a version that this build reads")
    start = sealed_start(payload)
    if start > len(payload):
        raise NotRepairable("its ingest envelope is cut off")
    head = np.frombuffer(payload[:ENVELOPE_BYTES], ENVELOPE_DTYPE)[0]
    names, at = dict[str, str](), ENVELOPE_BYTES
    for name in Attested._fields:
        size = int(head[f"{name}_length"])
        try:
            names[name] = payload[at : at + size].decode()
        except UnicodeDecodeError:
            raise NotRepairable(f"the envelope's {name} is no UTF-8") from None
        at += size
    return Attested(**names), int(head["received_at"]), head["address"].tobytes(), payload[start:]


def _body(header: Header, key_id: int, sealed: bytes, keys: KeyRing) -> tuple[Codec, bytes]:
    key = keys.derive(key_id, header.session_id, "seal")
    if key is None:
        raise NotRepairable(_no_key(key_id))
    nonce = sealed[HEADER_BYTES : HEADER_BYTES + NONCE_BYTES]
    try:
        plaintext = AESGCM(key).decrypt(nonce, sealed[HEADER_BYTES + NONCE_BYTES :], sealed[:HEADER_BYTES])
        return unpack_body(plaintext)
    except InvalidTag:
        raise NotRepairable("it does not authenticate: altered, or sealed with another key") from None
    except BodyError as error:
        raise NotRepairable(f"its payload cannot be unpacked ({error.kind})") from None


def _no_key(key_id: int) -> str:
    return f"master key {key_id} is not in CLICKGOOSE_MASTER_KEYS"


def _replace(opened: Opened, made: Replace) -> None:
    if not made.pattern:
        opened.put(made.field, made.constant)
        return
    value = opened.value(made.field)
    if value is None:
        return
    if not isinstance(value, str) or len(value) > LONGEST_SUBJECT:
        raise NotRepairable(f"{made.field} is no text of at most {LONGEST_SUBJECT:,} characters")
    opened.put(made.field, pattern(made.pattern).sub(made.by, value)[: 4 * LONGEST_SUBJECT])


def _remove(opened: Opened, made: Remove) -> None:
    if made.activity is not None:
        opened.content.without_activity(made.activity)
    elif made.unknown_signals:
        opened.content.without_unknown()
    else:
        opened.put(made.field, None)


def _cast(opened: Opened, made: Cast) -> None:
    scale = {"milliseconds": 1000.0, "seconds": 0.001}.get(made.to)
    if made.field == TIMES:
        opened.content.scale_times(scale or 1.0)
        return
    value = opened.value(made.field)
    if value is None:
        return
    if scale is not None:
        opened.put(made.field, _number(value, made.field) * scale)
    else:
        opened.put(made.field, _CASTS[made.to](value, made.field))


def _number(value: Any, field: str) -> float:
    try:
        number = float(value) if isinstance(value, str | int | float) else inf
    except (ValueError, OverflowError):
        number = inf
    if not abs(number) < 3.4e38:
        raise NotRepairable(f"{field} is nothing that a number can be made of")
    return number


def _boolean(value: Any, field: str) -> bool:
    found = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}.get(str(value).lower())
    if found is None:
        raise NotRepairable(f"{field} is neither true nor false, nor 1 or 0")
    return found


def _text(value: Any, field: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float):
        return str(value)
    raise NotRepairable(f"{field} is nothing that a text can be made of")


def _re_key(opened: Opened, made: ReKey) -> None:
    """Seal with the key that the event was opened with; take the merchant's new name."""
    if made.key_id is not None:
        opened.header = opened.header._replace(key_id=made.key_id)
    if made.merchant:
        opened.attested = opened.attested._replace(merchant=made.merchant)


_CASTS: Final[Mapping[str, Callable[[Any, str], Any]]] = {"number": _number, "boolean": _boolean, "text": _text}
_OPERATIONS: Final[Mapping[type, Callable[[Opened, Any], None]]] = {
    Replace: _replace,
    Remove: _remove,
    Cast: _cast,
    ReKey: _re_key,
}
