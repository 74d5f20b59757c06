"""The answer to a decision, byte for byte as plain dictionaries of it would be written."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ingest_api.decision_answer import Event, Trace, Uncounted, answer_of, replayed
from ingest_api.decision_store import Session
from scoring.rules.load import load
from scoring.rules.outcome import Outcome, Reason, Traced
from scoring.rules.places import Mistake
from scoring.rules.recorded import told_of
from scoring.rules.ruleset import Joined, Ruleset
from scoring.rules.texts import placed

RULES = b"""
rules:
  - {id: large, description: "More than 500", when: {field: .data.amount, gt: 500}, actions: [review, {tag: big}]}
  - {id: small, when: {field: .data.amount, lt: 5}, actions: [{score: -2.5}, {alert: desk}], priority: 3}
  - {id: odd, when: {field: .data.amount, eq: 7}, actions: [deny]}
"""


def rules_of(scope: Any) -> Ruleset:
    """Return the rules, as rules of everybody or of one merchant."""
    read = placed(RULES, "rules.yaml")
    assert not isinstance(read, Mistake)
    return Ruleset.of(load([read], scope), scope)


JOINED = Joined(rules_of("own"), rules_of("global"))
words = st.text(max_size=8)
numbers = st.floats(-1e9, 1e9)
tuples = st.lists(words, max_size=3).map(tuple)
scores = st.none() | numbers
decisions = st.sampled_from(("allow", "review", "deny"))
by: st.SearchStrategy[Any] = st.sampled_from(("allow_list", "rules", "degraded", "model", "default"))
statuses: st.SearchStrategy[Any] = st.sampled_from(("match", "no_match", "error", "snoozed", "off"))
trees = st.none() | st.dictionaries(words, st.none() | st.booleans() | numbers | words | st.lists(words), max_size=3)
faults = st.just("") | words


@st.composite
def outcomes(draw: st.DrawFn) -> Outcome:
    """Return any outcome of the rules: each of them says something, up to one that stops."""
    left = JOINED.rules[: draw(st.integers(0, len(JOINED.rules)))]
    trace = tuple(
        Traced(one.rule.id, one.scope, draw(statuses), draw(st.booleans()), draw(faults), draw(trees)) for one in left
    )
    matched = tuple(one.rule for one in trace if one.status == "match" and not one.shadow)
    reasons = tuple(draw(st.lists(st.builds(Reason, words, words), max_size=2)))
    stopped = draw(st.none() | words)
    more = (draw(tuples), draw(tuples), reasons, trace, stopped, draw(words), draw(tuples))
    return Outcome(draw(decisions), draw(by), draw(scores), draw(numbers), matched, *more)


events = st.builds(Event, words, words, st.integers(1, 10**14), st.integers(1, 10**14), st.none() | words)
sessions = st.none() | st.builds(Session, numbers, decisions, words, st.just({}))
uncounted = st.dictionaries(words, st.builds(Uncounted, st.sampled_from(("unfit", "ahead", "too_old")), words))
traces = st.sampled_from(("all", "matched", "none"))


def plainly(event: Event, outcome: Outcome, session: Session | None, shadows: Any, left: Any, trace: Trace) -> Any:
    """Return the members as the documentation names them."""
    live = {(one.scope, one.rule) for one in outcome.trace if one.status == "match" and not one.shadow}
    told = [one for one in outcome.trace if trace == "all" or one.status in ("match", "error", "snoozed")]
    body = {
        "replayed": False,
        **event._asdict(),
        "decision": outcome.decision,
        "decided_by": outcome.by,
        "score": outcome.score,
        "added": outcome.added,
        "model_score": session.score if session else None,
        "rules": [
            {"id": one.rule.id, "scope": one.scope, "priority": one.rule.priority}
            | {"reason": one.rule.description or one.rule.id, "decision": one.rule.actions.decision}
            | {"score": one.rule.actions.score, "tags": one.rule.actions.tags, "alerts": one.rule.actions.alerts}
            for one in JOINED.rules
            if (one.scope, one.rule.id) in live
        ],
        "tags": outcome.tags,
        "alerts": outcome.alerts,
        "reasons": [reason._asdict() for reason in outcome.reasons],
        "stopped_by": outcome.stopped_by,
        "degraded": outcome.degraded,
        "uncounted": [{"catalogue": name, **why._asdict()} for name, why in left.items()],
        "shadows": [
            {"rulesets": one.rulesets, "decision": one.decision, "decided_by": one.by}
            | {"score": one.score, "matched": one.matched}
            for one in shadows
        ],
        "versions": {"rulesets": outcome.rulesets, "model": (session.model or None) if session else None},
    }
    if trace != "none":
        body["trace"] = [traced(one) for one in told]
    return body


def traced(one: Traced) -> dict[str, Any]:
    """Return what a rule said, without what it did not say."""
    always = {"rule": one.rule, "scope": one.scope, "status": one.status}
    more = {"shadow": one.shadow or None, "fault": one.fault or None, "tree": one.tree}
    return always | {name: value for name, value in more.items() if value is not None}


@given(events, outcomes(), sessions, st.lists(outcomes(), max_size=2), uncounted, traces)
def test_the_answer_is_what_dictionaries_would_say(
    event: Event, outcome: Outcome, session: Session | None, shadows: list[Outcome], left: Any, trace: Trace
) -> None:
    answer = answer_of(event, outcome, told_of(outcome), JOINED, session, shadows, left, trace)
    plain = plainly(event, outcome, session, shadows, left, trace)
    assert answer == msgspec.json.encode(plain)
    assert replayed(answer) == msgspec.json.encode(plain | {"replayed": True})
