"""judge and decide together: what lists and rules say of scored events, and what comes of it."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from schemas.batches import Decided
from schemas.result import DECISIONS
from schemas.ruling import BY, NO_DECISION, decode_ruling, encode_ruling
from scoring.judge import Judge, no_rules
from scoring.judge_events import PARTS, events_of, parts_of
from scoring.policy import Policies, Policy
from scoring.rules.answers import Entity, Entry, Standing
from scoring.rules.evaluate import Engine
from scoring.rules.history import Step
from scoring.rules.in_force import InForce
from scoring.rules.memory_history import MemoryHistory
from scoring.rules.program import Happening
from scoring.rules.ruleset import Rulebook, Ruleset
from tests.builders import NOW
from tests.judging import Away, Came, FixedLists, came, decided, in_force, judge_by
from tests.rules_kit import ruleset

PAYMENTS = {"payments": {"event_types": ["payment"], "entity": ".entities.user", "window": "1d"}}
MANY = {"count": "payments", "over": "1h", "gte": 2}


def rules(*made: dict[str, Any], scope: Any = "global") -> Ruleset:
    usual: dict[str, Any] = {"actions": ["deny"]}
    return ruleset({"catalogues": PAYMENTS, "rules": [usual | one for one in made]}, scope)


def decisions(batch: Decided) -> list[str]:
    return [DECISIONS[one] for one in batch.decision.decision.tolist()]


def who(batch: Decided) -> list[str]:
    return [BY[one] for one in batch.decision.by.tolist()]


def of_user(action: str, user: str = "u1", **more: Any) -> dict[str, Any]:
    return {"id": f"{action}-{user}", "when": {"field": ".entities.user", "eq": user}, "actions": [action], **more}


def test_a_rule_denies_what_the_model_allows_and_allows_what_it_denies() -> None:
    judge = judge_by(rules(of_user("deny", "u1"), of_user("allow", "u2")))
    batch = decided(judge, [Came(1, user="u1", score=1), Came(2, user="u2", score=99), Came(3, user="u3", score=50)])
    assert decisions(batch) == ["deny", "allow", "review"]
    assert who(batch) == ["rules", "rules", "model"]
    assert batch.score.score.tolist() == [1, 99, 50]


def test_lists_come_before_rules_and_allow_before_deny() -> None:
    said = {
        Entity("user", "u1"): Standing(allow=Entry("friends"), deny=Entry("foes")),
        Entity("user", "u2"): Standing(deny=Entry("foes")),
        Entity("card", "c3"): Standing(deny=Entry("foes", until=NOW)),
    }
    judge = judge_by(rules(of_user("deny", "u1"), of_user("allow", "u2")), lists=FixedLists(standings=said))
    batch = decided(judge, [Came(1, user="u1", score=99), Came(2, user="u2"), Came(3, user="u3", card="c3")])
    assert list(zip(decisions(batch), who(batch), strict=True)) == [
        ("allow", "allow_list"), ("deny", "deny_list"), ("allow", "model"),
    ]  # fmt: skip
    first = batch.rules.said[0]
    assert first is not None and [reason.code for reason in first.reasons] == ["allow_list"]


def test_lists_decide_where_no_rule_is_published() -> None:
    lists = FixedLists(standings={Entity("user", "u2"): Standing(deny=Entry("foes"))})
    batch = decided(judge_by(InForce(), lists=lists), [Came(1), Came(2, user="u2"), Came(3, "other", user="u2")])
    assert who(batch) == ["model", "deny_list", "model"]


def test_points_move_the_score_that_the_policy_sees_and_not_the_models() -> None:
    judge = judge_by(rules({"id": "plus", "when": "always", "actions": [{"score": 35}]}))
    batch = decided(judge, [Came(1, score=10, session=1), Came(2, score=90, session=2)])
    assert decisions(batch) == ["review", "deny"]
    assert (batch.score.score.tolist(), batch.rules.added.tolist()) == ([10, 90], [35, 35])
    assert who(batch) == ["model", "model"]


def test_what_a_rule_decides_does_not_stand_for_the_session_but_what_the_score_says_does() -> None:
    judge = judge_by(rules(of_user("deny", "u1"), of_user("allow", "u2")))
    rows = [
        Came(1, user="u1", score=10),
        Came(2, user="u3", score=38),
        Came(3, user="u2", score=60),
        Came(4, user="u3", score=38),
    ]
    batch = decided(judge, rows)
    assert decisions(batch) == ["deny", "allow", "allow", "review"]
    assert [DECISIONS[one] for one in batch.decision.by_policy] == ["allow", "allow", "review", "review"]
    assert [DECISIONS[one] for one in batch.decision.before] == ["allow", "allow", "allow", "review"]


def test_an_event_sees_those_before_it_in_its_batch_and_never_itself() -> None:
    store = MemoryHistory()
    judge = judge_by(rules({"id": "many", "when": MANY}), store)
    rows = [Came(number, at=number) for number in range(4)]
    assert decisions(decided(judge, rows)) == ["allow", "allow", "deny", "deny"]
    assert decisions(decided(judge, rows)) == ["allow", "allow", "deny", "deny"]  # as after kill -9


def test_history_is_shared_with_decisions_over_http() -> None:
    book, store = rules({"id": "many", "when": MANY}), MemoryHistory()
    for number in range(2):
        event = {"event_type": "payment", "entities": {"user": "u1"}}
        plan = Engine(Rulebook(book)).plan("shop", Happening(event, "payment", f"over http {number}", NOW - 1000))
        store.write("shop", plan.writes)
    assert decisions(decided(judge_by(book, store), [Came(1), Came(2, "other")])) == ["deny", "allow"]


def test_rules_see_the_score_and_the_smart_signals_of_the_event() -> None:
    robot = {"id": "robot", "when": {"signal": "bot", "part": "confidence", "gt": 0.7}}
    scored = {"id": "scored", "when": {"all": [{"score": "model", "gt": 20}, {"signal": "bot", "eq": False}]}}
    batch = decided(judge_by(rules(robot, scored)), [Came(1, bot=0.75), Came(2, score=30), Came(3, bot=0.6, score=30)])
    assert [said.matched for said in batch.rules.said if said] == [("robot",), ("scored",), ()]


def test_an_event_whose_type_the_merchant_did_not_name_is_a_visit() -> None:
    judge = judge_by(rules({"id": "visits", "event_types": ["visit"], "when": "always"}))
    assert decisions(decided(judge, [Came(1, event_type=""), Came(2), Came(3, event_type="visit")])) == [
        "deny", "allow", "deny",
    ]  # fmt: skip


def test_what_no_rule_looks_at_is_passed_over() -> None:
    asked: list[Sequence[Step]] = []

    class Watched(MemoryHistory):
        def exchange(self, steps: Sequence[Step]) -> Any:
            asked.append(steps)
            return super().exchange(steps)

    own = {"shop": rules({"id": "many", "when": MANY, "event_types": ["payment"]}, scope="own")}
    judge = judge_by(in_force(Rulebook(of_merchant=own)), Watched())
    batch = judge(came([Came(1), Came(2, "other"), Came(3, event_type="login"), Came(4)])).oks
    assert [said is not None for said in batch.rules.said] == [True, False, False, True]
    assert [len(steps) for steps in asked] == [2]  # one round trip
    assert batch.rules.ruleset.tolist() == [0, -1, -1, 0]
    judge(came([Came(5, "other")]))
    assert len(asked) == 1


def test_shadow_rules_and_shadow_rulesets_change_nothing() -> None:
    live = rules(of_user("review", "u1"), {"id": "tried", "when": "always", "status": "shadow"})
    shadow = rules({"id": "deny-all", "when": "always"}, {"id": "plus", "when": "always", "actions": [{"score": 50}]})
    rows = [Came(1), Came(2, user="u2")]
    alone, beside = (decided(judge_by(in_force(live, *tried)), rows) for tried in ((), (shadow,)))
    assert decisions(alone) == decisions(beside) == ["review", "allow"]
    assert beside.rules.override.tolist() == alone.rules.override.tolist() == [1, NO_DECISION]
    assert [DECISIONS[one] for one in beside.decision.shadow_rules[:, 0]] == ["deny", "deny"]
    assert [said.shadows[0].matched for said in beside.rules.said if said] == [("deny-all", "plus")] * 2
    assert [said.matched for said in beside.rules.said if said] == [("review-u1",), ()]


def test_catalogues_of_a_shadow_are_written_so_that_it_has_history_when_it_goes_live() -> None:
    store, tried = MemoryHistory(), rules({"id": "many", "when": MANY})
    first = judge_by(in_force(ruleset({"rules": []}), tried), store)
    assert decisions(decided(first, [Came(1), Came(2)])) == ["allow", "allow"]
    assert decisions(decided(judge_by(tried, store), [Came(3, at=1)])) == ["deny"]


def test_another_merchants_shadow_does_not_judge() -> None:
    tried = Rulebook(of_merchant={"other": rules({"id": "all", "when": "always"}, scope="own")})
    batch = decided(judge_by(in_force(Rulebook(), tried)), [Came(1), Came(2, "other")])
    assert [said is not None for said in batch.rules.said] == [False, True]
    assert [DECISIONS[one] for one in batch.decision.shadow_rules[:, 0]] == ["allow", "deny"]


@pytest.mark.parametrize(
    ("says", "wanted"),
    [
        ("model", [("allow", "model"), ("review", "rules"), ("deny", "deny_list"), ("allow", "model")]),
        ("review", [("review", "degraded"), ("review", "rules"), ("deny", "deny_list"), ("allow", "model")]),
        ("deny", [("deny", "degraded"), ("deny", "degraded"), ("deny", "deny_list"), ("allow", "model")]),
    ],
)
def test_while_the_store_is_away_the_merchants_policy_decides(says: Any, wanted: list[tuple[str, str]]) -> None:
    lists = FixedLists(standings={Entity("user", "u3"): Standing(deny=Entry("foes"))})
    rows = [Came(1), Came(2, user="u2"), Came(3, user="u3"), Came(4, event_type="login", user="u9", score=3)]
    live = rules({"id": "many", "when": MANY, "event_types": ["payment"]}, of_user("review", "u2"))
    judge = judge_by(live, Away(), lists)
    batch = decided(judge, rows, Policies(Policy(40, 80, 5), degraded=says))
    assert list(zip(decisions(batch), who(batch), strict=True)) == wanted
    assert batch.rules.degraded.tolist() == [True, True, False, False]
    assert [DECISIONS[one] for one in batch.decision.by_policy] == ["allow"] * 4


def test_lists_that_cannot_be_asked_degrade_every_event_of_theirs() -> None:
    batch = decided(judge_by(InForce(), lists=FixedLists(unanswered=True)), [Came(1), Came(2, "other")])
    assert batch.rules.degraded.tolist() == [True, False]
    assert [said.degraded for said in batch.rules.said if said] == [("lists",)]


def test_rules_are_taken_once_a_batch_and_swapped_between_two() -> None:
    current = [in_force(rules({"id": "all", "when": "always"})), InForce()]
    judge = Judge(lambda: current.pop(0), MemoryHistory())
    rows = [Came(number) for number in range(40)]
    assert set(decisions(decided(judge, rows))) == {"deny"}
    assert set(decisions(decided(judge, rows))) == {"allow"}


def test_what_is_kept_of_an_event_says_what_stores_answered_and_nothing_personal() -> None:
    last = {"last": "users_by_card", "of": ".entities.card", "ne": {"field": ".entities.user"}}
    catalogues = PAYMENTS | {
        "users_by_card": {
            "event_types": ["payment"],
            "entity": ".entities.card",
            "value": ".entities.user",
            "window": "1d",
        }
    }
    made = ruleset({"catalogues": catalogues, "rules": [{"id": "shared", "when": last, "actions": ["deny"]}]})
    judge = judge_by(made)
    batch = decided(
        judge, [Came(1, user="john@example.org", card="4111"), Came(2, user="jane@example.org", card="4111")]
    )
    ruling = batch.rules.said[1]
    assert ruling is not None and ruling.heard is not None and ruling.matched == ("shared",)
    assert ruling.heard.history == [([16], False)]  # the length of the text
    packed = encode_ruling(ruling)
    assert b"example.org" not in packed and b"4111" not in packed
    assert decode_ruling(packed) == ruling


def test_events_have_the_parts_that_rules_look_at() -> None:
    program = Engine(Rulebook(rules({"id": "fast", "when": {"field": '.velocity.events["5m"]', "gt": 3}}))).program
    assert parts_of(program("shop", "payment")) == {"velocity"}
    odd = Engine(Rulebook(rules({"id": "odd", "when": {"field": "[.facts.country] | first", "eq": "DE"}}))).program
    assert parts_of(odd("shop", "payment")) == set(PARTS)
    none = Engine(Rulebook(rules(of_user("deny")))).program
    assert parts_of(none("shop", "payment")) == set()


def test_the_event_is_as_the_documentation_says() -> None:
    batch = came([Came(1, user="u7", card="c9"), Came(2, user="", event_type="")])
    full, bare = events_of(batch, np.arange(2), np.array([NOW, NOW + 5]), PARTS)
    assert list(full) == ["event_id", "event_type", "occurred_at", "entities", "data", "velocity", "facts"]
    assert (full["event_id"], full["event_type"], full["occurred_at"]) == ("0" * 31 + "1", "payment", NOW)
    assert full["entities"]["user"] == "u7" and full["entities"]["card"] == "c9"
    assert not {"user", "card"} & set(bare["entities"])
    assert bare["event_type"] == "visit"
    assert full["velocity"]["events"] == {"5m": 1, "1h": 1, "24h": 1}
    assert set(full["facts"]) == {
        "country", "browser", "browser_version", "system", "device", "timezone_offset",
        "device_events", "device_age", "session_events", "session_age",
    }  # fmt: skip


def test_the_stage_without_rules_travels_between_processes() -> None:
    judge = pickle.loads(pickle.dumps(Judge(no_rules)))  # noqa: S301 - our own bytes
    assert judge(came([Came(1)])).oks.rules.said == (None,)
