"""What came of an event: the decision, by what, and what was seen on the way. No personal data is in it."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from scoring.rules.load import Scope

Status = Literal["match", "no_match", "error", "snoozed", "off"]
DecidedBy = Literal["allow_list", "deny_list", "rules", "degraded", "model", "default"]


class Reason(NamedTuple):
    """Why, as a code (the rule's id, ``allow_list`` or ``deny_list``) and a sentence."""

    code: str
    text: str


class Traced(NamedTuple):
    """What a rule said. ``tree``: its condition with the values seen; of matches and errors, or of all if asked."""

    rule: str
    scope: Scope
    status: Status
    shadow: bool = False  # it was evaluated, but has no effect
    fault: str = ""
    tree: dict[str, Any] | None = None


class Outcome(NamedTuple):
    """The decision about an event. ``score``: the model's with what rules added, 0 to 100, None without either."""

    decision: str
    by: DecidedBy
    score: float | None
    added: float  # points of all rules, before the score is kept inside 0 to 100
    matched: tuple[str, ...]  # live rules, in the order of their priority
    tags: tuple[str, ...]
    alerts: tuple[str, ...]
    reasons: tuple[Reason, ...]
    trace: tuple[Traced, ...]  # rules after ``stopped_by`` are not in it
    stopped_by: str | None
    rulesets: str  # digest of the rulesets
    degraded: tuple[str, ...]  # what was not answered: history, lists
