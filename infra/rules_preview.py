"""A draft of rules on past events: what it would have decided, beside what was decided.

Events come in the order of their event time. Each sees the history that the draft's catalogues would have had, built
in memory from the events before it: those of the range, and as far back as the longest window before it. A rule that
asks for a window in which a write may be missing, as what it would have been was not kept, cannot be judged. Lists and
snoozes are not replayed: what a list decided stays as it was, and a rule that asks a list cannot be judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

from infra.rules_preview_figures import Flips, Quality, RuleSeen, is_unjudged
from infra.rules_preview_gaps import Gaps
from schemas.decision_record import Limits
from schemas.result import DECISIONS
from scoring.policy import decide
from scoring.rules.answers import Entity, Found, Membership, Query, Standing, Unanswered
from scoring.rules.conditions import all_operands
from scoring.rules.document import HistoryOperand, Rule, SignalOperand
from scoring.rules.evaluate import Engine, Judgement, Plan
from scoring.rules.memory_history import MemoryHistory
from scoring.rules.outcome import Outcome, Traced
from scoring.rules.past_view import Past, PastView, askable
from scoring.rules.ruleset import Rulebook

MOST_EXAMPLES: Final = 10  # of each kind of flip
_BY_MODEL: Final = "model"
_LISTED: Final = frozenset(("allow_list", "deny_list"))
_NO_LIST: Final = Unanswered("lists are not replayed")
_NOTHING: Final = Standing()


class PastEvent(NamedTuple):
    """An event that was decided about, and how. ``label``: 1 fraud, 0 genuine, None where nobody said.

    ``added``: points that the rules of then added. ``by_policy``: what the policy made of the score with them, None
    where that was not kept; ``limits``: what it went by.
    """

    merchant: str
    past: Past
    known: Judgement
    decided: str
    by: str
    source: str
    added: float = 0.0
    by_policy: str | None = None
    limits: Limits | None = None
    label: int | None = None


class _Answers:
    """History as it was replayed; no lists."""

    def __init__(self, found: Mapping[Query, Found | Unanswered]) -> None:
        self._found = found

    def history(self, query: Query, /) -> Found | Unanswered:
        return self._found[query]

    def member(self, membership: Membership, /) -> Unanswered:
        return _NO_LIST

    def standing(self, entity: Entity, /) -> Standing:
        return _NOTHING


class Preview:
    """A draft that is being tried. Give it events in the order of their time; those before ``since`` only warm it."""

    def __init__(self, draft: Rulebook, since: int, examples: int = MOST_EXAMPLES) -> None:
        self._engine = Engine(askable(draft))
        self._history, self._gaps = MemoryHistory(), Gaps()
        self._since, self._examples = since, examples
        self._rules: dict[tuple[str, str, str], RuleSeen] = {}
        self.warmed = self.events = self.listed = self.undecided = 0
        self.sources: Counter[str] = Counter()
        self.degraded = 0  # were decided while history or lists could not be asked
        self.decisions: Counter[tuple[str, str]] = Counter()
        self.flips: dict[tuple[str, str], Flips] = {}
        self.before, self.draft = Quality(), Quality()
        self._name_rules(draft)

    def _name_rules(self, draft: Rulebook) -> None:
        """Show every rule of the draft, also where it never is asked."""
        for merchant, ruleset in {"": draft.everyone, **draft.of_merchant}.items():
            for rule in ruleset.rules:
                self._rules[merchant, ruleset.scope, rule.id] = RuleSeen(rule.id, merchant or "global", rule.status)

    def see(self, event: PastEvent) -> None:
        """Judge an event, then write what it adds to history."""
        happening = event.past.happening
        program = self._engine.program(event.merchant, happening.event_type)
        view = PastView(event.past, partial(self._gaps.reach, event.merchant))
        plan = Plan(program, view)
        if happening.at >= self._since:
            self._judge(event, plan)
        else:
            self.warmed += 1
        self._history.write(event.merchant, plan.writes)
        for catalogue in program.written:
            if missing := view.hidden_write(catalogue):
                self._gaps.note(event.merchant, missing)

    def _judge(self, event: PastEvent, plan: Plan) -> None:
        self.events += 1
        self.sources[event.source] += 1
        self.degraded += event.by == "degraded"
        if event.by in _LISTED:
            self.listed += 1
            self._compare(event, event.decided, ())
            return
        answers = _Answers(self._history.read(event.merchant, plan.queries))
        outcome = plan.decide(answers, event.known._replace(decide=_undecided))
        self._note_rules(event, outcome)
        decision = None if self._is_open(event.merchant, outcome) else decision_of(event, outcome)
        if decision is None:
            self.undecided += 1
        else:
            self._compare(event, decision, outcome.matched)

    def _note_rules(self, event: PastEvent, outcome: Outcome) -> None:
        for traced in outcome.trace:
            self._seen(event.merchant, traced).note(traced.status, traced.fault, event.label)

    def _seen(self, merchant: str, traced: Traced) -> RuleSeen:
        return self._rules[merchant if traced.scope == "own" else "", traced.scope, traced.rule]

    def _is_open(self, merchant: str, outcome: Outcome) -> bool:
        """Return whether a rule that could not be judged might have decided otherwise."""
        open_rules = [
            one for one in outcome.trace if one.status == "error" and not one.shadow and is_unjudged(one.fault)
        ]
        if not open_rules:
            return False
        rules = {(one.scope, one.rule.id): one.rule for one in self._engine.book.of(merchant).rules}
        deciding = [rules[one.scope, one.rule] for one in outcome.trace if one.status == "match" and not one.shadow]
        top = next((rule for rule in deciding if rule.actions.decision), None)
        return any(_might_change(rules[one.scope, one.rule], top, outcome.decision) for one in open_rules)

    def _compare(self, event: PastEvent, decision: str, matched: Sequence[str]) -> None:
        self.decisions[event.decided, decision] += 1
        self.before.note(event.decided, event.label)
        self.draft.note(decision, event.label)
        if decision == event.decided:
            return
        flips = self.flips.setdefault((event.decided, decision), Flips())
        flips.events += 1
        flips.fraud += event.label == 1
        flips.genuine += event.label == 0
        if len(flips.examples) < self._examples:
            happening = event.past.happening
            flips.examples.append(
                {
                    "merchant": event.merchant, "event_id": happening.id, "source": event.source,
                    "occurred_at": happening.at, "decided_by": event.by, "matched": list(matched), "label": event.label,
                }
            )  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        """Return all figures."""
        rules = [rule.as_json() for rule in self._rules.values()]
        flips = [
            {"from": was, "to": now, "events": one.events, "fraud": one.fraud, "genuine": one.genuine,
             "examples": one.examples}
            for (was, now), one in sorted(self.flips.items(), key=lambda item: -item[1].events)
        ]  # fmt: skip
        return {
            "events": self.events, "warmed": self.warmed, "sources": dict(self.sources),
            "decided_by_lists": self.listed, "undecided": self.undecided, "decided_while_degraded": self.degraded,
            "flipped": sum(one.events for one in self.flips.values()), "flips": flips,
            "decisions": {was: {now: self.decisions[was, now] for now in DECISIONS} for was in DECISIONS},
            "recorded": self.before.as_json(), "draft": self.draft.as_json(), "rules": rules,
            "never_matched": [one["rule"] for one in rules if not one["matched"] and one["status"] != "off"],
            "erred": [one["rule"] for one in rules if one["errors"]],
            "unjudged": [one["rule"] for one in rules if one["unjudged"]],
        }  # fmt: skip


def decision_of(event: PastEvent, outcome: Outcome) -> str | None:
    """Return what the draft decides; None where a score decides and it was not kept by what."""
    if outcome.by != _BY_MODEL:
        return outcome.decision
    if outcome.added == event.added and event.by_policy is not None:
        return event.by_policy
    limits = event.limits
    if limits is None or outcome.score is None:
        return None
    before = DECISIONS.index(limits.before) if limits.before in DECISIONS else 0
    return DECISIONS[int(decide(np.float32(outcome.score), limits.review, limits.deny, limits.margin, before))]


def longest_window(draft: Rulebook) -> int:
    """Return the ms that the rules look back at most, 0 where none has a window."""
    every = (rule for ruleset in (draft.everyone, *draft.of_merchant.values()) for rule in ruleset.rules)
    found = (operand for rule in every for operand in all_operands(rule.when))
    return max((operand.over for operand in found if isinstance(operand, HistoryOperand)), default=0)


def event_types(draft: Rulebook, *, written_only: bool) -> tuple[str, ...] | None:
    """Return the event types that a draft looks at, None where it is all; ``written_only``: that write history."""
    found: set[str] = set()
    for ruleset in (draft.everyone, *draft.of_merchant.values()):
        found.update(name for catalogue in ruleset.catalogues for name in catalogue.event_types)
        for rule in () if written_only else ruleset.rules:
            if not rule.event_types:
                return None
            found.update(rule.event_types)
    return tuple(sorted(found))


def preview(draft: Rulebook, since: int, events: Iterable[PastEvent]) -> Preview:
    """Try a draft on events in the order of their time."""
    tried = Preview(draft, since)
    for event in events:
        tried.see(event)
    return tried


def _might_change(rule: Rule, top: Rule | None, decision: str) -> bool:
    """Return whether a rule, had it matched, could have changed what was decided."""
    if rule.stop_on_match and (top is None or rule.priority >= top.priority):
        return True
    if top is None:
        return rule.actions.decision is not None or rule.actions.score != 0
    if rule.actions.decision is None or rule.priority < top.priority:
        return False
    return rule.priority > top.priority or decision != "deny"


def _undecided(_: float) -> str:
    return "allow"  # the policy is asked afterwards, where it must be


def signals_of(draft: Rulebook) -> tuple[str, ...]:
    """Return the smart signals that a draft looks at."""
    every = (rule for ruleset in (draft.everyone, *draft.of_merchant.values()) for rule in ruleset.rules)
    found = (operand for rule in every for operand in all_operands(rule.when))
    return tuple(sorted({operand.signal for operand in found if isinstance(operand, SignalOperand)}))
