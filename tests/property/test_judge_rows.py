"""The stage on batches against the engine on one event after the other, however rows are cut into batches."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.batches import Judged, Scored
from schemas.result import DECISIONS
from schemas.ruling import BY, NO_DECISION
from scoring.decide import Decide
from scoring.judge_events import PARTS, VISIT, events_of
from scoring.judge_heard import HeardAgain
from scoring.policy import FixedPolicies, Policies, Policy
from scoring.rules.answers import Entity, Entry, Standing
from scoring.rules.evaluate import Judgement, Signal
from scoring.rules.gathered import Gathered
from scoring.rules.in_force import InForce, joined_writes
from scoring.rules.memory_history import MemoryHistory
from scoring.rules.outage import settled
from scoring.rules.outcome import Outcome
from scoring.rules.program import Happening
from scoring.rules.ruleset import Rulebook
from tests.builders import NOW
from tests.judging import Came, FixedLists, came, judge_by
from tests.rules_kit import ruleset
from tests.strategies import same

CATALOGUES: dict[str, Any] = {
    "seen": {"event_types": ["payment", "login"], "entity": ".entities.user", "window": "1h"},
    "cards": {"event_types": ["payment"], "entity": ".entities.device", "value": ".entities.card", "window": "1h"},
}
POLICY = Policies(Policy(40, 80))
CONDITIONS: list[dict[str, Any]] = [
    {"count": "seen", "over": "10m", "gte": 2},
    {"distinct": "cards", "of": ".entities.device", "gte": 2, "include_self": True},
    {"since": "seen", "lt": "1m"},
    {"field": ".entities.user", "in": ["u1", "u3"]},
    {"field": ".entities.user.odd", "eq": "x"},
    {"score": "model", "gt": 50},
    {"signal": "bot", "part": "confidence", "gt": 0.5},
    {"field": ".velocity.events.odd", "exists": False},
]


@st.composite
def rules(draw: st.DrawFn) -> list[dict[str, Any]]:
    made = []
    for number in range(draw(st.integers(0, 4))):
        parts = draw(st.lists(st.sampled_from(CONDITIONS), min_size=1, max_size=3))
        points: Any = {"score": draw(st.sampled_from([-20, 15.5, 60]))}
        action = draw(st.sampled_from(["allow", "review", "deny", points, {"tag": "seen"}]))
        rule: dict[str, Any] = {
            "id": f"rule-{number}",
            "when": {draw(st.sampled_from(["all", "any"])): parts},
            "actions": [action],
        }
        if draw(st.booleans()):
            rule["event_types"] = draw(st.sampled_from([["payment"], ["login", VISIT]]))
        rule["priority"] = draw(st.integers(0, 1))
        rule["status"] = draw(st.sampled_from(["live", "live", "shadow", "off"]))
        made.append(rule)
    return made


ROWS = st.builds(
    Came,
    event=st.integers(1, 12),  # some come again
    merchant=st.sampled_from(["shop", "shop", "other"]),
    event_type=st.sampled_from(["payment", "login", ""]),
    user=st.sampled_from(["u1", "u2", "u3", ""]),
    card=st.sampled_from(["c1", "c2", ""]),
    score=st.sampled_from([0, 39, 45, 90]),
    at=st.integers(0, 20).map(lambda minutes: minutes * 60_000),
    bot=st.sampled_from([0.0, 0.625]),
    session=st.just(1),
)
LISTS = FixedLists(
    standings={
        Entity("user", "u2"): Standing(deny=Entry("foes", until=NOW + 600_000)),
        Entity("user", "u3"): Standing(snoozed={"rule-0": NOW + 600_000}),
    }
)


def by_rows(found: InForce, batch: Scored) -> list[Outcome]:
    """Judge one event after the other, as POST /v1/decisions does; the decision is made of the score alone."""
    store, outcomes = MemoryHistory(), []
    at = batch.event.occurred_at
    for row, event in enumerate(events_of(batch, np.arange(len(batch)), at, PARTS)):
        merchant = batch.event.merchant[row]
        happening = Happening(event, event["event_type"], event["event_id"], int(at[row]))
        plan = found.live.plan(merchant, happening)
        shadows = [shadow.plan(merchant, happening) for shadow in found.shadows_of(merchant)]
        smart, column = batch.smart, batch.smart.column("bot")
        signals = {"bot": Signal(bool(smart.result[row, column] == 1), float(smart.confidence[row, column]))}
        known = Judgement(signals, float(batch.score.score[row]), lambda score: DECISIONS[_by_policy(score)])
        answers = Gathered(store.read(merchant, plan.queries), LISTS.of(merchant))
        outcomes.append(settled(plan.decide(answers, known), POLICY.when_degraded(merchant)))
        store.write(merchant, joined_writes((plan, *shadows)))
    return outcomes


def _by_policy(score: float) -> int:
    return int(np.digitize(score, [40, 80]))


@settings(max_examples=120, deadline=None)
@given(rules(), rules(), st.lists(ROWS, min_size=1, max_size=14), st.data())
def test_batches_are_judged_as_one_event_after_the_other(
    live: list[dict[str, Any]], tried: list[dict[str, Any]], rows: list[Came], data: Any
) -> None:
    books = [Rulebook(ruleset({"catalogues": CATALOGUES, "rules": some})) for some in (live, tried)]
    found = InForce.of(books[0], books[1:])
    # A session each, so that hysteresis, which one event alone does not have, says nothing.
    batch = came([row._replace(session=place + 1) for place, row in enumerate(rows)])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=3)))
    judge = judge_by(found, lists=LISTS)
    bounds = zip([0, *cuts], [*cuts, len(rows)], strict=True)
    judged = Judged.concat([judge(batch.take(np.arange(first, last))).oks for first, last in bounds])
    assert same(judged, judge_by(found, lists=LISTS)(batch).oks)
    decided = Decide(FixedPolicies(POLICY), lambda _: Policy()).open(()).apply(judged).oks
    for row, wanted in enumerate(by_rows(found, batch)):
        said = judged.rules.said[row]
        quiet = not (wanted.matched or wanted.added or wanted.by not in ("model", "default"))
        assert said is not None or quiet
        assert DECISIONS[decided.decision.decision[row]] == wanted.decision
        assert BY[decided.decision.by[row]] == wanted.by
        assert judged.rules.added[row] == np.float32(wanted.added)
        if said is not None:
            assert (said.matched, said.tags, said.degraded) == (wanted.matched, wanted.tags, wanted.degraded)
            told = [one for one in wanted.trace if one.status not in ("off", "no_match")]
            assert [(one.rule, one.status, one.shadow) for one in said.trace] == [one[:1] + one[2:4] for one in told]
            assert judged.rules.ruleset_of(row) == wanted.rulesets


@settings(max_examples=60, deadline=None)
@given(rules(), st.lists(ROWS, min_size=1, max_size=10))
def test_what_is_kept_of_an_event_judges_it_again(live: list[dict[str, Any]], rows: list[Came]) -> None:
    found = InForce.of(Rulebook(ruleset({"catalogues": CATALOGUES, "rules": live})))
    batch = came(rows)
    judged = judge_by(found, lists=LISTS)(batch).oks
    at = batch.event.occurred_at
    for row, event in enumerate(events_of(batch, np.arange(len(batch)), at, PARTS)):
        said = judged.rules.said[row]
        if said is None:
            continue
        plan = found.live.plan(batch.event.merchant[row], Happening(event, event["event_type"], "x", int(at[row])))
        again = HeardAgain(said.heard, plan)
        known = Judgement({"bot": Signal(rows[row].bot >= 0.5, rows[row].bot)}, rows[row].score)
        outcome = plan.decide(again, known)
        assert not again.lost
        assert (outcome.matched, outcome.degraded) == (said.matched, said.degraded)
        override = int(judged.rules.override[row])
        decides = outcome.by in ("allow_list", "deny_list", "rules")
        assert (outcome.decision if decides else None) == (None if override == NO_DECISION else DECISIONS[override])
