"""Answers that were gathered before the decision: of stores, in one round trip, or of an example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from scoring.rules.answers import Entity, Entry, Found, Membership, Query, Standing, Unanswered

_NOT_ASKED: Final = Unanswered("this was not asked")
_NOTHING: Final = Standing()


@dataclass(frozen=True, slots=True)
class GivenAnswers:
    """Answers by question. Whoever asked history puts every answer in; values in no list may be left out.

    ``lists_away``: why lists could not be asked, where they could not.
    """

    queries: Mapping[Query, Found | Unanswered] = field(default_factory=dict)
    members: Mapping[Membership, Entry] = field(default_factory=dict)
    standings: Mapping[Entity, Standing] = field(default_factory=dict)
    lists_away: Unanswered | None = None

    def history(self, query: Query, /) -> Found | Unanswered:
        """Answer a query."""
        return self.queries.get(query, _NOT_ASKED)

    def member(self, membership: Membership, /) -> Entry | Unanswered | None:
        """Return the line of the list that has the value, None where it has not."""
        return self.lists_away or self.members.get(membership)

    def standing(self, entity: Entity, /) -> Standing | Unanswered:
        """Return what is said of an entity."""
        return self.lists_away or self.standings.get(entity, _NOTHING)
