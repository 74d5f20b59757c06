"""The JSON bodies of ``/v1/watchlists`` and ``/v1/snoozes``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from ingest_api.models import Model
from ingest_api.watchlist_items import LONGEST_AUTHOR, LONGEST_REASON, MAX_ENTRIES, MAX_LOOKUPS, Refusal

_AUTHOR = "Who changes this, for the audit: an id of your staff or system"
_REASON = "Why, for the audit; without personal data"
_UNTIL = "Event time at which it ends: ISO 8601 with its zone, or Unix milliseconds"
_VALUE = "The value as events name it; only a keyed digest of it is kept"
_RULE = r"^[a-z0-9][a-z0-9_-]{0,63}$"


def _example(**body: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [body]})


class ListValue(Model):
    """A value of a list."""

    kind: str = Field(
        default="", max_length=64, description="Of the entity, as your events call it under `entities`; named: none"
    )
    value: str | int | float = Field(description=_VALUE)


class ListEntry(ListValue):
    """A value that a list gets. The merchant is the API key's, never the body's."""

    until: str | int | None = Field(default=None, description=f"{_UNTIL}; unset: never")
    reason: str | None = Field(default=None, max_length=LONGEST_REASON, description="Why this one; unset: as above")


class _Change(Model):
    author: str = Field(min_length=1, max_length=LONGEST_AUTHOR, description=_AUTHOR)
    reason: str = Field(min_length=1, max_length=LONGEST_REASON, description=_REASON)


class AddRequest(_Change):
    """Values for a list; one that it has already is renewed."""

    mode: Literal["allow", "deny", "named"] | None = Field(
        default=None,
        description="What the list does: allow and deny decide by themselves, named is asked by rules. Needed for a "
        "list that is new; a name keeps its mode",
    )
    entries: list[ListEntry] = Field(min_length=1, max_length=MAX_ENTRIES)
    model_config = _example(
        mode="deny",
        author="ann",
        reason="chargebacks of May",
        entries=[
            {"kind": "card", "value": "tok_81c2", "until": "2027-06-01T00:00:00Z"},
            {"kind": "account", "value": "customer-42", "reason": "sold the account"},
        ],
    )


class RemoveRequest(_Change):
    """Values that leave a list."""

    entries: list[ListValue] = Field(min_length=1, max_length=MAX_ENTRIES)
    model_config = _example(author="ann", reason="won the dispute", entries=[{"kind": "card", "value": "tok_81c2"}])


class SnoozeEntry(ListValue):
    """A rule that keeps silent for events that name an entity."""

    rule: str = Field(pattern=_RULE, description="The rule's id")
    until: str | int = Field(description=f"{_UNTIL}; at most a year ahead")
    reason: str | None = Field(default=None, max_length=LONGEST_REASON, description="Why this one; unset: as above")


class SnoozeRequest(_Change):
    """Rules to be silenced for entities."""

    snoozes: list[SnoozeEntry] = Field(min_length=1, max_length=MAX_ENTRIES)
    model_config = _example(
        author="ann",
        reason="moves house, many addresses",
        snoozes=[{"rule": "many-addresses", "kind": "account", "value": "customer-42", "until": 1_790_000_000_000}],
    )


class SnoozedValue(ListValue):
    """A snooze to be ended."""

    rule: str = Field(pattern=_RULE, description="The rule's id")


class UnsnoozeRequest(_Change):
    """Snoozes that end now."""

    snoozes: list[SnoozedValue] = Field(min_length=1, max_length=MAX_ENTRIES)
    model_config = _example(
        author="ann",
        reason="has moved",
        snoozes=[{"rule": "many-addresses", "kind": "account", "value": "customer-42"}],
    )


class EntryOutcome(Model):
    """What became of one entry."""

    index: int = Field(ge=0, description="Its place in the request")
    status: Literal["added", "renewed", "removed", "absent", "refused"] = Field(
        description="renewed: it was there, and now has this end and reason; absent: there was nothing to remove"
    )
    reason: Refusal | None = Field(default=None, description="Why it is refused; left out where it is not")


class ChangesResponse(Model):
    """One outcome per entry, in the order sent."""

    changed: int = Field(ge=0, description="Entries that are in effect now, the absent ones included")
    refused: int = Field(ge=0)
    results: list[EntryOutcome]
    model_config = _example(
        changed=1,
        refused=1,
        results=[{"index": 0, "status": "added"}, {"index": 1, "status": "refused", "reason": "bad_kind"}],
    )


class LookupRequest(Model):
    """Values that are asked about."""

    entries: list[ListValue] = Field(min_length=1, max_length=MAX_LOOKUPS)
    model_config = _example(entries=[{"kind": "card", "value": "tok_81c2"}])


class Found(Model):
    """What a list says of a value, and its last change."""

    index: int = Field(ge=0)
    listed: bool = Field(description="Whether the list has it, ended or not")
    until: int | None = Field(default=None, description="Event time in Unix ms at which it ends; left out: never")
    since: int | None = Field(default=None, description="Unix ms of the last change; left out: there was none")
    author: str | None = Field(default=None, description="Of the last change")
    reason: str | None = Field(default=None, description="Of the last change")


class LookupResponse(Model):
    """One answer per value, in the order asked."""

    name: str
    mode: Literal["allow", "deny", "named"]
    results: list[Found]
    model_config = _example(
        name="bad-cards",
        mode="deny",
        results=[
            {
                "index": 0,
                "listed": True,
                "until": 1_811_894_400_000,
                "since": 1_790_000_000_000,
                "author": "ann",
                "reason": "chargebacks of May",
            }
        ],
    )


class ListSummary(Model):
    """A list."""

    name: str
    mode: Literal["allow", "deny", "named"]
    entries: int = Field(ge=0, description="Ended ones included")


class SnoozeSummary(Model):
    """A rule that is snoozed for somebody."""

    rule: str
    entries: int = Field(ge=0, description="Ended ones included")


class ListsResponse(Model):
    """Your own lists and snoozes; values are kept as digests, so nobody can list them."""

    lists: list[ListSummary]
    snoozes: list[SnoozeSummary]
    model_config = _example(
        lists=[{"name": "bad-cards", "mode": "deny", "entries": 1_204}],
        snoozes=[{"rule": "many-addresses", "entries": 1}],
    )
