"""What stores answered about an event, noted while it is judged, so that it can be judged again from what is kept.

Answers are noted in the order of the plan's questions, which follows from ruleset and event. Nothing personal is noted:
no entity is, and of a text that history answered only the length is; who judges again says that such an event is lost.
"""

from __future__ import annotations

from typing import Any

from schemas.ruling import Heard
from scoring.rules.answers import Answers, Entity, Entry, Found, Membership, Query, Standing, Unanswered
from scoring.rules.evaluate import Plan

_NOT_ASKED = Unanswered("this was not asked when the event was judged")


class Hearing:
    """Answers that are passed on and noted."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._members: dict[Membership, Entry | Unanswered] = {}
        self._standings: dict[Entity, Standing | Unanswered] = {}

    def history(self, query: Query, /) -> Found | Unanswered:
        """Answer a query."""
        return self._answers.history(query)

    def member(self, membership: Membership, /) -> Entry | Unanswered | None:
        """Return the line of the list that has the value, None where it has not."""
        found = self._answers.member(membership)
        if found is not None:
            self._members[membership] = found
        return found

    def standing(self, entity: Entity, /) -> Standing | Unanswered:
        """Return what is said of an entity."""
        found = self._answers.standing(entity)
        if isinstance(found, Unanswered) or found.allow or found.deny or found.snoozed:
            self._standings[entity] = found
        return found

    def heard(self, plan: Plan) -> Heard | None:
        """Return what was answered to a plan, None where nothing was asked or said."""
        if not (plan.queries or self._members or self._standings):
            return None
        history = [_noted(self._answers.history(query)) for query in plan.queries]
        members = {plan.memberships.index(one): _line(said) for one, said in self._members.items()}
        standings = {plan.entities.index(one): _standing(said) for one, said in self._standings.items()}
        return Heard(history, members, standings)


def _noted(found: Found | Unanswered) -> tuple[Any, bool] | None:
    if isinstance(found, Unanswered):
        return None
    value = [len(found.value)] if isinstance(found.value, str) else found.value
    return value, found.truncated


def _line(said: Entry | Unanswered | None) -> tuple[str, int | None] | None:
    return None if said is None or isinstance(said, Unanswered) else (said.list, said.until)


def _standing(said: Standing | Unanswered) -> dict[str, Any] | None:
    if isinstance(said, Unanswered):
        return None
    found: dict[str, Any] = {"allow": _line(said.allow), "deny": _line(said.deny), "snoozed": dict(said.snoozed)}
    return {name: value for name, value in found.items() if value}


class HeardAgain:
    """What was noted, as the answers to the same plan. ``lost``: an answer that is asked for was not kept."""

    def __init__(self, heard: Heard | None, plan: Plan) -> None:
        self._heard = heard or Heard()
        self._plan = plan
        self.lost = len(self._heard.history) != len(plan.queries)

    def history(self, query: Query, /) -> Found | Unanswered:
        """Answer a query."""
        place = self._plan.queries.index(query)
        if place >= len(self._heard.history):
            return _NOT_ASKED
        noted = self._heard.history[place]
        if noted is None:
            return Unanswered("history was not answered")
        value, truncated = noted
        self.lost = self.lost or isinstance(value, list)
        return Found(None if isinstance(value, list) else value, truncated)

    def member(self, membership: Membership, /) -> Entry | Unanswered | None:
        """Return the line of the list that had the value."""
        place = self._plan.memberships.index(membership)
        if place not in self._heard.members:
            return None
        said = self._heard.members[place]
        return Unanswered("lists were not answered") if said is None else Entry(*said)

    def standing(self, entity: Entity, /) -> Standing | Unanswered:
        """Return what was said of an entity."""
        place = self._plan.entities.index(entity)
        if place not in self._heard.standings:
            return Standing()
        said = self._heard.standings[place]
        if said is None:
            return Unanswered("lists were not answered")
        allow, deny = (Entry(*said[name]) if name in said else None for name in ("allow", "deny"))
        return Standing(allow, deny, said.get("snoozed", {}))
