"""What a file of rules says, once it was read and found good."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Literal

from scoring.rules.answers import CatalogueName, Function

Comparator = Literal["gt", "gte", "lt", "lte", "eq", "ne", "in", "not_in", "matches", "exists"]
ORDERS: Final = ("gt", "gte", "lt", "lte")
COMPARATORS: Final[tuple[Comparator, ...]] = (
    "gt", "gte", "lt", "lte", "eq", "ne", "in", "not_in", "matches", "exists",
)  # fmt: skip
Status = Literal["off", "shadow", "live"]
STATUSES: Final[tuple[Status, ...]] = ("off", "shadow", "live")

MOST_BYTES: Final = 256 << 10
MOST_RULES: Final = 1_000
MOST_CATALOGUES: Final = 200
DEEPEST: Final = 8
MOST_LEAVES: Final = 64  # comparisons in a rule
_DEFINITION: Final = 12  # hexadecimal digits of the digest of a catalogue's definition


@dataclass(frozen=True, slots=True)
class Catalogue:
    """History that events write: of which, for whom, what, and for how long. Selectors are as written."""

    name: CatalogueName
    event_types: tuple[str, ...]
    entity: str
    window: int  # ms
    value: str | None = None  # None: 1
    time: str | None = None  # None: the event's own
    dedupe: str | None = None  # None: the event's id


def definition_of(
    event_types: Iterable[str], entity: str, value: str | None, time: str | None, dedupe: str | None
) -> str:
    """Return a digest of what a catalogue's members are: 12 hexadecimal digits, whatever the order of event types."""
    return _digest(sorted(set(event_types)), entity, value, time, dedupe)


def stream_of(event_types: Iterable[str], entity: str, time: str | None, dedupe: str | None) -> str:
    """Return a digest of which events a catalogue takes in, and for whom: 12 hexadecimal digits.

    Catalogues of one stream take in the same events, each with its own value. "" where there is a de-duplication id: of
    two events with the same one, one catalogue may take in the first and another the second.
    """
    return "" if dedupe is not None else _digest(sorted(set(event_types)), entity, time)


def value_of(value: str | None) -> str:
    """Return a digest of what is kept of an event, "" where that is 1."""
    return "" if value is None else _digest(value)


def _digest(*parts: Any) -> str:
    return sha256(json.dumps(parts).encode("utf-8", "surrogatepass")).hexdigest()[:_DEFINITION]


@dataclass(frozen=True, slots=True)
class FieldOperand:
    """A value of the event."""

    selector: str
    times: float = 1.0


@dataclass(frozen=True, slots=True)
class HistoryOperand:
    """A function of what a catalogue holds of an entity over a window that ends at the event."""

    function: Function
    catalogue: Catalogue
    over: int  # ms
    of: str  # selector
    include_self: bool = False
    times: float = 1.0


@dataclass(frozen=True, slots=True)
class ListOperand:
    """Whether a value of the event is in a list."""

    list: str
    selector: str


@dataclass(frozen=True, slots=True)
class SignalOperand:
    """A smart signal of the session: its result, or its confidence from 0 to 1."""

    signal: str
    part: Literal["result", "confidence"] = "result"


@dataclass(frozen=True, slots=True)
class ScoreOperand:
    """The model's score of the session, 0 to 100."""

    times: float = 1.0


Operand = FieldOperand | HistoryOperand | ListOperand | SignalOperand | ScoreOperand


@dataclass(frozen=True, slots=True)
class Comparison:
    """One operand against a constant or another operand."""

    left: Operand
    comparator: Comparator
    right: Any  # a constant, or an Operand


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; of no parts always."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Condition


Condition = Comparison | All | AnyOf | Not
ALWAYS: Final = All(())


@dataclass(frozen=True, slots=True)
class Actions:
    """What a rule does where it matches."""

    decision: Literal["allow", "review", "deny"] | None = None
    score: float = 0.0  # points added to the score
    tags: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """An event, with history before it, that a rule must match or must not."""

    event: Mapping[str, Any]
    matches: bool
    history: tuple[Mapping[str, Any], ...] = ()  # events before it, or answers as {catalogue: ..., count: 3}
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    signals: Mapping[str, Any] = field(default_factory=dict)  # true, false or a confidence
    score: float | None = None
    line: int = 1


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition and what follows from it."""

    id: str
    when: Condition
    actions: Actions
    description: str = ""
    event_types: tuple[str, ...] = ()  # none: all
    status: Status = "live"
    priority: int = 0
    stop_on_match: bool = False
    examples: tuple[Example, ...] = field(default=(), compare=False)
    file: str = field(default="", compare=False)
    line: int = field(default=1, compare=False)
    column: int = field(default=1, compare=False)


def leaves(condition: Condition) -> list[Comparison]:
    """Return all comparisons of a condition, in order."""
    if isinstance(condition, Comparison):
        return [condition]
    if isinstance(condition, Not):
        return leaves(condition.part)
    return [leaf for part in condition.parts for leaf in leaves(part)]


def operands(comparison: Comparison) -> list[Operand]:
    """Return the one or two operands of a comparison."""
    return [comparison.left, *([comparison.right] if isinstance(comparison.right, Operand) else [])]
