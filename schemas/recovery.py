"""Recovery files: which dead letters are meant, and what is done to them so that they can be scored after all.

A file has steps; a letter is repaired by the first step whose conditions it meets. Fields are named as elsewhere: a
signal as in the catalogue, what the ingest tier attested begins with ``envelope.``, the clear header with ``header.``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from schemas.catalogue import Catalogue, Kind, Signal, load_catalogue
from schemas.dead_letter import Reason

MOST_STEPS: Final = 100
MOST_OPERATIONS: Final = 50  # of one step
MOST_VALUES: Final = 1_000  # of one list
MOST_CHARACTERS: Final = 4_096  # of a constant, and of a text that a pattern looks at
MOST_PATTERN: Final = 512
MOST_WORDS: Final = 400  # characters of why
NAME_FORM: Final = r"^[a-z0-9][a-z0-9_.-]{0,63}$"

FieldKind = Literal["number", "boolean", "category", "text", "id"]
# Names that the ingest tier attested. Those that an operation may change hold what a merchant chose; ``merchant`` is
# changed by re-key alone.
ENVELOPE: Final[Mapping[str, FieldKind]] = {
    "envelope.merchant": "text",
    "envelope.transaction": "text",
    "envelope.linked_id": "text",
    "envelope.card_token": "text",
    "envelope.event_type": "text",
    "envelope.received_at": "number",
}
CHANGEABLE: Final = ("envelope.transaction", "envelope.linked_id", "envelope.card_token", "envelope.event_type")
HEADER: Final[Mapping[str, FieldKind]] = {
    "header.key_id": "number",
    "header.session_id": "id",
    "header.device_id": "id",
    "header.event_id": "id",
    "header.sequence": "number",
    "header.sent_at": "number",
}
TIMES: Final = "activity.t"  # of all entries, in cast
TESTS: Final = ("equals", "in", "matches", "present", "range")
CASTS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "number": ("number", "milliseconds", "seconds"),
    "boolean": ("boolean",),
    "category": ("text",),
    "text": ("text",),
}
Value = str | float | bool
Test = Literal["equals", "in", "matches", "present", "range"]


def field_kind(name: str, catalogue: Catalogue) -> FieldKind | None:
    """Return what a field holds, None where there is none of that name."""
    signal = catalogue.by_name.get(name)
    return signal.kind if signal else ENVELOPE.get(name) or HEADER.get(name)


@dataclass(frozen=True, slots=True)
class FieldTest:
    """One test of one field. ``value``: a constant, several, a pattern, whether it is there, or low and high."""

    field: str
    test: Test
    value: Any


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a letter must meet, all of it; empty: no matter."""

    reasons: tuple[str, ...] = ()  # whole ones, or all that begin with one that ends in a dot
    stages: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()  # of the processor, as letters name it
    merchants: tuple[str, ...] = ()
    catalogue: tuple[int, int] | None = None  # versions that the agent spoke, both included
    detail: str = ""  # a pattern
    fields: tuple[FieldTest, ...] = ()


@dataclass(frozen=True, slots=True)
class Replace:
    """Put a constant into a field, or what a pattern finds in its text by another text."""

    field: str
    constant: Value | None = None
    pattern: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Remove:
    """Take away a signal, what a merchant named, all entries of an activity code, or signals that nobody knows."""

    field: str = ""
    activity: int | None = None
    unknown_signals: bool = False


@dataclass(frozen=True, slots=True)
class Cast:
    """Make of a field what its kind wants, or bring a number from seconds to milliseconds or back."""

    field: str
    to: str


@dataclass(frozen=True, slots=True)
class ReKey:
    """Open and seal with another master key than the header names; or give the event to a merchant's new name."""

    key_id: int | None = None
    merchant: str = ""


Operation = Replace | Remove | Cast | ReKey


@dataclass(frozen=True, slots=True)
class Step:
    """What is done to letters that meet the conditions; ``line`` is where the step begins."""

    when: Conditions
    do: tuple[Operation, ...]
    line: int = 1

    @property
    def key_id(self) -> int | None:
        """Return the master key that the step names."""
        return next((one.key_id for one in self.do if isinstance(one, ReKey) and one.key_id is not None), None)


@dataclass(frozen=True, slots=True)
class RecoveryFile:
    """A whole file. ``digest``: SHA-256 of its text, hex."""

    name: str
    author: str
    why: str
    steps: tuple[Step, ...]
    text: str
    digest: str

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return the reasons that any step asks for, empty where one does not say."""
        if not all(step.when.reasons for step in self.steps):
            return ()
        return tuple(dict.fromkeys(reason for step in self.steps for reason in step.when.reasons))


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a recovery file, for editors: `repair check` says more, and with suggestions."""
    catalogue = load_catalogue()
    text = {"type": "string", "minLength": 1, "maxLength": MOST_CHARACTERS}
    pattern = {"type": "string", "minLength": 1, "maxLength": MOST_PATTERN, "description": "RE2"}
    value = {"type": ["string", "number", "boolean"]}
    reasons = {"anyOf": [{"enum": [*(reason.value for reason in Reason)]}, {"pattern": r"^[a-z]+\.$"}]}
    tests = {
        "equals": value,
        "in": {"type": "array", "items": value, "minItems": 1, "maxItems": MOST_VALUES},
        "matches": pattern,
        "present": {"type": "boolean"},
        "range": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
    }
    some_tests = _mapping(tests) | {"minProperties": 1}
    names = [*catalogue.by_name, *ENVELOPE, *HEADER]
    when = {
        "reason": _one_or_more(reasons),
        "stage": _one_or_more(text),
        "version": _one_or_more(text),
        "merchant": _one_or_more(text),
        "catalogue": {"anyOf": [{"type": "integer"}, tests["range"]]},
        "detail": pattern,
        "fields": {"type": "object", "propertyNames": {"enum": names}, "additionalProperties": some_tests},
    }
    changed = {"enum": [*catalogue.by_name, *CHANGEABLE]}
    replace = {"field": changed, "constant": value, "pattern": pattern, "by": {"type": "string"}}
    remove = {
        "field": changed,
        "activity": {"type": ["integer", "string"], "description": "a log code, or its name"},
        "unknown_signals": {"const": True},
    }
    casts = sorted({to for every in CASTS.values() for to in every})
    cast = {"field": {"enum": [*catalogue.by_name, TIMES]}, "to": {"enum": casts}}
    key = {"key_id": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}, "merchant": text}
    operation = _mapping(
        {
            "replace": _mapping(replace, "field"),
            "remove": _mapping(remove) | {"minProperties": 1, "maxProperties": 1},
            "cast": _mapping(cast, "field", "to"),
            "re-key": _mapping(key) | {"minProperties": 1},
        }
    )
    step = {
        "when": _mapping(when) | {"minProperties": 1},
        "do": {
            "type": "array",
            "items": operation | {"minProperties": 1, "maxProperties": 1},
            "minItems": 1,
            "maxItems": MOST_OPERATIONS,
        },
    }
    whole = {
        "name": {"type": "string", "pattern": NAME_FORM},
        "author": text,
        "why": text | {"maxLength": MOST_WORDS},
        "steps": {"type": "array", "items": _mapping(step, *step), "minItems": 1, "maxItems": MOST_STEPS},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A recovery file of clickgoose",
        **_mapping(whole, *whole),
    }


def _mapping(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    found = {"type": "object", "additionalProperties": False, "properties": dict(properties)}
    return found | {"required": list(required)} if required else found


def _one_or_more(one: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": MOST_VALUES}]}


def fits(signal: Signal, constant: Any) -> bool:
    """Return whether a constant may stand for a signal."""
    number = isinstance(constant, int | float) and not isinstance(constant, bool)
    if signal.kind == "number":
        return number and abs(float(constant)) < 3.4e38
    if signal.kind == "boolean":
        return isinstance(constant, bool)
    return isinstance(constant, str)
