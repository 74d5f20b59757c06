"""The operations of a recovery file: replace, remove, cast and re-key, with all that they may not do."""

from __future__ import annotations

import re
from typing import Final

from schemas.catalogue import Catalogue
from schemas.envelope import EVENT_TYPE_FORM, MAX_NAME_BYTES
from schemas.log_codes import load_log_codes
from schemas.personal_data import find_personal_data
from schemas.recovery import (
    CASTS,
    CHANGEABLE,
    HEADER,
    MOST_CHARACTERS,
    MOST_PATTERN,
    TIMES,
    Cast,
    Conditions,
    Operation,
    ReKey,
    Remove,
    Replace,
    fits,
)
from scoring.rules.patterns import pattern
from scoring.rules.places import Placed, Reader, shown, suggestion

_OPERATIONS: Final = ("replace", "remove", "cast", "re-key")
_KEY_IDS: Final = 2**32 - 1
_KINDS: Final = {"number": "a number", "boolean": "true or false", "category": "text", "text": "text"}
_MERCHANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def safe_text(reader: Reader, node: Placed, where: str, most: int) -> str | None:
    """Return a text without personal data; say what is wrong with another."""
    text = reader.text(node, where, most)
    if text is None:
        return None
    if not text.strip():
        reader.say(node, f"{where} is empty; say something that helps later")
        return None
    held = find_personal_data(text)
    if held is not None:
        reader.say(node, f"{where} holds what passes for personal data ({held.value}); leave it out")
        return None
    return text


def is_pattern(reader: Reader, node: Placed, where: str, text: str) -> bool:
    """Tell whether a text is a pattern of RE2; say so where it is none."""
    try:
        pattern(text)
    except ValueError as error:
        reader.say(node, f"{where} is no pattern of RE2 ({error}); see github.com/google/re2/wiki/Syntax")
        return False
    return True


class OperationReader:
    """Reads the operations of one step, whose conditions are known."""

    def __init__(self, reader: Reader, catalogue: Catalogue, when: Conditions) -> None:
        self._reader = reader
        self._catalogue = catalogue
        self._when = when

    def read(self, node: Placed, where: str) -> Operation | None:
        """Return an operation, None where it is none."""
        parts = self._reader.fields(node, where, _OPERATIONS)
        if node.is_mapping and len(node.value) != 1:
            self._reader.say(node, f"{where} must be one of {', '.join(_OPERATIONS)}; write each as an item of its own")
            return None
        for name, value in parts.items():
            read = {"replace": self._replace, "remove": self._remove, "cast": self._cast, "re-key": self._re_key}
            return read[name](value, f"{where}.{name}")
        return None

    def _replace(self, node: Placed, where: str) -> Operation | None:
        parts = self._reader.fields(node, where, ("field", "constant", "pattern", "by"))
        if not node.is_mapping:
            return None
        if (
            "field" not in parts
            or ("constant" in parts) == ("pattern" in parts)
            or ("by" in parts) != ("pattern" in parts)
        ):
            self._reader.say(
                node, f"{where} needs a field, and either a constant or a pattern and what it is replaced by"
            )
            return None
        field = self._field(parts["field"], f"{where}.field")
        if field is None:
            return None
        if "constant" in parts:
            return self._constant(field, parts["constant"], f"{where}.constant")
        return self._pattern(field, parts, where)

    def _constant(self, field: str, node: Placed, where: str) -> Operation | None:
        signal = self._catalogue.by_name.get(field)
        value = node.value
        good = fits(signal, value) if signal else isinstance(value, str) and len(value.encode()) <= MAX_NAME_BYTES
        if not good or (isinstance(value, str) and len(value) > MOST_CHARACTERS):
            wanted = _KINDS[signal.kind] if signal else f"text of at most {MAX_NAME_BYTES} bytes"
            self._reader.say(node, f"{where} cannot be {shown(node)}; {field} takes {wanted}")
            return None
        if field == "envelope.event_type" and not re.match(EVENT_TYPE_FORM, value):
            self._reader.say(node, f"{where} is {value!r}; event types are like payment or pay_out")
            return None
        if isinstance(value, str) and value.strip() and safe_text(self._reader, node, where, MOST_CHARACTERS) is None:
            return None
        return Replace(field, constant=value)

    def _pattern(self, field: str, parts: dict[str, Placed], where: str) -> Operation | None:
        signal = self._catalogue.by_name.get(field)
        if signal is not None and signal.kind != "text":
            said = f"{where}.pattern is for texts, and {field} is a {signal.kind}; give a constant"
            self._reader.say(parts["pattern"], said)
            return None
        text = self._reader.text(parts["pattern"], f"{where}.pattern", MOST_PATTERN)
        by = parts["by"].value
        if not isinstance(by, str) or len(by) > MOST_CHARACTERS:
            self._reader.say(parts["by"], f"{where}.by must be text, '' to take away what the pattern finds")
            return None
        if text is None or not is_pattern(self._reader, parts["pattern"], f"{where}.pattern", text):
            return None
        groups = [int(number) for number in re.findall(r"\\(\d)", by)]
        if any(number > pattern(text).groups for number in groups) or re.search(r"\\[^\d\\]|\\$", by):
            self._reader.say(parts["by"], f"{where}.by names a group that the pattern has not; write \\1 for its first")
            return None
        if by.strip() and safe_text(self._reader, parts["by"], f"{where}.by", MOST_CHARACTERS) is None:
            return None
        return Replace(field, pattern=text, by=by)

    def _remove(self, node: Placed, where: str) -> Operation | None:
        parts = self._reader.fields(node, where, ("field", "activity", "unknown_signals"))
        if not node.is_mapping:
            return None
        if len(parts) != 1:
            self._reader.say(node, f"{where} takes one of field, activity or unknown_signals")
            return None
        if "field" in parts:
            field = self._field(parts["field"], f"{where}.field")
            return Remove(field) if field else None
        if "activity" in parts:
            code = self._code(parts["activity"], f"{where}.activity")
            return None if code is None else Remove(activity=code)
        if parts["unknown_signals"].value is not True:
            self._reader.say(parts["unknown_signals"], f"{where}.unknown_signals can only be true; leave it out")
            return None
        return Remove(unknown_signals=True)

    def _code(self, node: Placed, where: str) -> int | None:
        codes = load_log_codes()
        if isinstance(node.value, int) and not isinstance(node.value, bool) and node.value in codes.by_code:
            return int(node.value)
        if isinstance(node.value, str) and node.value in codes.by_name:
            return codes.code(node.value)
        hint = suggestion(str(node.value), (*codes.by_name, *map(str, codes.by_code)))
        self._reader.say(node, f"{where} is {shown(node)}, which is no log code; {hint}")
        return None

    def _cast(self, node: Placed, where: str) -> Operation | None:
        parts = self._reader.fields(node, where, ("field", "to"))
        if not node.is_mapping:
            return None
        if len(parts) < 2:
            self._reader.say(node, f"{where} needs a field and what it is cast to")
            return None
        name = parts["field"].value
        if name == TIMES:
            to = self._reader.chosen(parts["to"], f"{where}.to", ("milliseconds", "seconds"))
            return Cast(TIMES, to) if to else None
        signal = self._catalogue.by_name.get(name) if isinstance(name, str) else None
        if signal is None:
            hint = suggestion(str(name), (*self._catalogue.by_name, TIMES))
            self._reader.say(parts["field"], f"{where}.field is {shown(parts['field'])}, which is no signal; {hint}")
            return None
        to = self._reader.chosen(parts["to"], f"{where}.to of {name}, a {signal.kind},", CASTS[signal.kind])
        return Cast(signal.name, to) if to else None

    def _re_key(self, node: Placed, where: str) -> Operation | None:
        parts = self._reader.fields(node, where, ("key_id", "merchant"))
        if not node.is_mapping:
            return None
        if not parts:
            self._reader.say(node, f"{where} needs a key_id, or the merchant's new name")
            return None
        key_id = self._reader.whole(parts["key_id"], f"{where}.key_id", 0, _KEY_IDS) if "key_id" in parts else None
        merchant = ""
        if "merchant" in parts:
            merchant = self._merchant(parts["merchant"], f"{where}.merchant") or ""
        return ReKey(key_id, merchant) if key_id is not None or merchant else None

    def _merchant(self, node: Placed, where: str) -> str | None:
        text = self._reader.text(node, where, 64)
        if text is None:
            return None
        if not _MERCHANT.fullmatch(text):
            self._reader.say(node, f"{where} is {text!r}, which is no merchant; use letters, digits, '.', '_' or '-'")
            return None
        if not self._when.merchants:
            self._reader.say(node, f"{where} gives events away; name whose they are in when.merchant")
            return None
        return text

    def _field(self, node: Placed, where: str) -> str | None:
        """Return the name of a field that may be changed."""
        name = node.value
        if isinstance(name, str) and (name in self._catalogue.by_name or name in CHANGEABLE):
            return name
        if name == "envelope.merchant":
            self._reader.say(node, f"{where} cannot be {name}; write re-key: {{merchant: NEW}}")
        elif name in HEADER or name == "envelope.received_at":
            self._reader.say(
                node, f"{where} cannot be {name}: it says which event this is; only re-key changes a key id"
            )
        else:
            hint = suggestion(str(name), (*self._catalogue.by_name, *CHANGEABLE))
            self._reader.say(node, f"{where} is {shown(node)}, which is no field; {hint}")
        return None
