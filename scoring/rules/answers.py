"""What rules ask the stores, and what these answer: plain values, so that the same rules run on Redis and in memory.

**Time.** All times are Unix ms of event time. A query at ``at`` over ``over`` sees members with a time in
(at - over, at], and never the event's own, which an earlier delivery of it may have written: ``own`` names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, Protocol

Function = Literal["count", "sum", "min", "max", "avg", "distinct", "last", "since"]
FUNCTIONS: Final[tuple[Function, ...]] = ("count", "sum", "min", "max", "avg", "distinct", "last", "since")
MOST_MEMBERS: Final = 10_000
"""Of one entity in one catalogue: the newest stay, and answers say ``truncated`` where older ones were left out."""
LONGEST_TEXT: Final = 256
"""Characters of an entity or of a value that is kept; longer ones are errors, not cut: they would be mixed up."""

Value = bool | int | float | str
"""What a catalogue keeps of an event."""


class CatalogueName(NamedTuple):
    """A catalogue of a ruleset: the merchant's own ones and the global ones are different even where ids agree.

    The store adds the merchant whose event it is: history is never shared between merchants. What the members are is
    part of the name, so a changed definition begins a new history, and one that is the same in several rulesets (a
    draft in shadow, the next version) is shared by them.
    """

    scope: Literal["own", "global"]
    id: str
    definition: str = ""  # digest of what the members are; the window is no part of it
    stream: str = ""  # digest of event types, entity and time: a store keeps catalogues of one stream together
    value: str = ""  # digest of what is kept of an event; "": 1, so that every event of the stream counts


class Query(NamedTuple):
    """One question to the history of an entity. Equal queries are asked once."""

    catalogue: CatalogueName
    entity: str
    function: Function
    over: int  # ms
    at: int  # event time, ms
    own: str  # de-duplication id of the event that asks
    included: Value | None = None  # the event's own value where the rule includes the event itself


class Write(NamedTuple):
    """What an event adds to the history of an entity, after its reads. The same again changes nothing."""

    catalogue: CatalogueName
    entity: str
    dedupe: str
    value: Value
    at: int  # event time, ms
    window: int  # ms that the catalogue keeps, back from the newest member of the entity


class Found(NamedTuple):
    """The answer to a query. ``value`` None: no member that the function is made of; 0 for count, distinct and sum.

    ``since`` is in ms, from the newest member to the event.
    """

    value: Value | None
    truncated: bool = False


class Unanswered(NamedTuple):
    """The store gave no answer."""

    reason: str  # one sentence, without data of the event


class Entity(NamedTuple):
    """Somebody or something that the event names, as ``user`` or ``card``."""

    kind: str
    value: str


class Membership(NamedTuple):
    """Whether a value is in a list that rules name."""

    list: str
    value: str


class Entry(NamedTuple):
    """A line of a list; it holds for events before ``until`` (ms), and always where that is None."""

    list: str
    until: int | None = None

    def holds(self, at: int) -> bool:
        """Return whether it holds at an event's time."""
        return self.until is None or at < self.until


class Standing(NamedTuple):
    """What is said of an entity itself: the allow and deny lists that it is in, and rules that are snoozed for it."""

    allow: Entry | None = None
    deny: Entry | None = None
    snoozed: Mapping[str, int] = {}  # rule id: event time (ms) that it ends at


class Answers(Protocol):
    """Answers to what a plan asks; nothing else is asked. A store that is away answers ``Unanswered``."""

    def history(self, query: Query, /) -> Found | Unanswered:
        """Answer a query."""

    def member(self, membership: Membership, /) -> Entry | Unanswered | None:
        """Return the line of the list that has the value, None where it has not."""

    def standing(self, entity: Entity, /) -> Standing | Unanswered:
        """Return what is said of an entity."""
