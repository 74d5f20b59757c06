"""Answers of stores: history as it came in one round trip, lists as the process knows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scoring.rules.answers import Entity, Entry, Found, Membership, Query, Standing, Unanswered
from scoring.rules.lists import MerchantLists
from scoring.rules.recall import Recollected


@dataclass(frozen=True, slots=True)
class Gathered:
    """Answers for one event: ``queries`` as the history's ``read`` or ``recall`` gives them, ``lists`` of its merchant.

    What was recalled answers the plan that recalled it, and no other.
    """

    queries: Mapping[Query, Found | Unanswered] | Recollected | Unanswered
    lists: MerchantLists

    def history(self, query: Query, /) -> Found | Unanswered:
        """Answer a query."""
        if isinstance(self.queries, Recollected):
            raise TypeError("what was recalled has no answers to single queries")
        return self.queries if isinstance(self.queries, Unanswered) else self.queries[query]

    def member(self, membership: Membership, /) -> Entry | Unanswered | None:
        """Return the line of the list that has the value, None where it has not."""
        return self.lists.member(membership)

    def standing(self, entity: Entity, /) -> Standing | Unanswered:
        """Return what is said of an entity."""
        return self.lists.standing(entity)
