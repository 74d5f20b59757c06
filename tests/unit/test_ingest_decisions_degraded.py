"""``POST /v1/decisions`` while history, lists or all of Redis are away: who decides, and what the answer says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scoring.policy import Policies
from tests.decisions_kit import (
    NEEDS_HISTORY,
    SEED,
    SESSION,
    ListsOfTests,
    in_force,
    service,
)


@pytest.mark.parametrize(
    ("said", "plain", "large", "tiny"),
    [
        ("model", ("allow", "default"), ("review", "rules"), ("allow", "rules")),
        ("allow", ("allow", "degraded"), ("review", "rules"), ("allow", "rules")),
        ("review", ("review", "degraded"), ("review", "rules"), ("review", "degraded")),
        ("deny", ("deny", "degraded"), ("deny", "degraded"), ("deny", "degraded")),
    ],
)
async def test_the_merchant_says_what_decides_while_history_is_away(
    tmp_path: Path, said: Any, plain: Any, large: Any, tiny: Any
) -> None:
    """Its own word counts for it alone; rules that need no history still have theirs, unless that is milder."""
    async with service(tmp_path, in_force(NEEDS_HISTORY)) as s:
        s.history.away = True
        s.change(policies=Policies(degraded_of={"demo-shop": said}, degraded="review"))
        found = [await s.decide(event_id=f"e{amount}", amount=amount) for amount in (20, 501, 0)]
        assert [(one["decision"], one["decided_by"]) for one in found] == [plain, large, tiny]
        assert all(one["degraded"] == ["history"] for one in found)
        assert [(one.decision, one.by, one.degraded) for one in s.records] == [
            (decision, by, ("history",)) for decision, by in (plain, large, tiny)
        ]
        assert (await s.decide("other-shop", amount=20))["decision"] == "review"
        assert s.metric("degraded_total", what="history") == 4
        no_need = await s.decide(event_id="x", event_type="login", data={"amount": 20})
        assert no_need["degraded"] == ["history"], "rules of all event types ask it too"


async def test_lists_that_cannot_be_asked_are_degraded_too(tmp_path: Path) -> None:
    async with service(tmp_path, in_force(SEED)) as s:
        s.change(lists=ListsOfTests(away=True), policies=Policies(degraded="review"))
        found = await s.decide()
        assert (found["decision"], found["decided_by"], found["degraded"]) == ("review", "degraded", ["lists"])
        nobody = await s.decide(event_id="b", entities={})
        assert (nobody["decision"], nobody["degraded"]) == ("allow", []), "nobody had to be asked about"


async def test_without_redis_an_event_is_decided_marked_and_recorded(tmp_path: Path) -> None:
    async with service(tmp_path, in_force(SEED), without_history=True) as s:
        s.tier.redis.away = True
        s.change(policies=Policies(degraded="review"))
        found = await s.decide(session_id=SESSION)
        assert (found["decision"], found["decided_by"]) == ("review", "degraded")
        assert found["degraded"] == ["history", "session", "answers"]
        assert [one["code"] for one in found["uncounted"]] == ["unwritten"]
        assert s.records[0].degraded == ("history", "session", "answers")
        s.change(rules=in_force({"rules": []}))
        no_rules = await s.decide(event_id="b")
        assert (no_rules["decision"], no_rules["degraded"]) == ("allow", ["answers"]), "nothing had to be asked"
