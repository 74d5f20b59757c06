"""A running flow decides by published rules: new ones within a second, whole, with a history that survives kill -9."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.stack.local import LocalStack
from scoring.rules.registry import RulesRegistry, Text
from scoring.rules.registry_state import in_force_digest, published
from scoring.storage import DirectoryStorage
from tests.integration.test_policies_in_a_flow import SECONDS, Flow
from tests.rules_registry_kit import ALICE
from tests.stack_fixture import Namespace

pytestmark = pytest.mark.stack
RULES = """
catalogues:
  orders_OF: {event_types: [login, payment], entity: .entities.transaction, window: 1d}
rules:
  - {id: first-TAG, event_types: [login], when: always, actions: [allow, {tag: TAG}]}
  - {id: second-TAG, event_types: [login], when: {field: .entities.device, exists: true}, actions: [{tag: other-TAG}]}
  - {id: third-TAG, event_types: [payment], when: {count: orders_OF, over: 1h, gte: 2}, actions: [review]}
"""


class Ruled(Flow):
    """A flow that follows a registry of its own."""

    def start(self) -> None:
        (self.directory / "rules").mkdir(exist_ok=True)
        self.env["CLICKGOOSE_RULES__ROOT"] = str(self.directory / "rules")
        super().start()

    def publish(self, tag: str) -> float:
        """Publish rules of a tag; return the seconds until the flow says that they are in force."""
        registry = RulesRegistry(DirectoryStorage(self.directory / "rules"))
        text = RULES.replace("TAG", tag).replace("OF", f"of_{self.topic.replace('.', '_').replace('-', '_')}"[-50:])
        digest = registry.add(None, [Text("rules.yaml", text.lower())], ALICE).file.digest
        state = registry.change(lambda before: published(before, None, digest, "live", ALICE))
        series = f'clickgoose_rules_info{{state="{in_force_digest(state)}"}}'
        return self.until(lambda: self.metric(series) == 1)


@pytest.fixture
def flow(stack: LocalStack, namespace: Namespace, tmp_path: Path) -> Iterator[Ruled]:
    running = Ruled(stack, namespace, tmp_path)
    try:
        yield running
    finally:
        running.child.stop()


def test_rules_that_are_published_decide_the_next_events_whole(flow: Ruled) -> None:
    flow.send(16)
    assert flow.rows("DISTINCT decided_by, ruleset, ruling") == [("model", "", "")]

    assert flow.publish("one") < SECONDS  # that it is a second is a matter of looks: tests/unit/test_rules_watch.py
    flow.send(16)
    by_type = "GROUP BY event_type ORDER BY event_type"
    told = flow.rows("event_type, groupUniqArray(decision), groupUniqArray(rules)", f"WHERE offset >= 8 {by_type}")
    assert told[0] == ("login", ["allow"], [["first-one", "second-one"]])
    # An order has two logins and two payments: the last of its events sees two others at least.
    assert sorted(told[1][2]) == [[], ["third-one"]] and "review" in told[1][1]
    assert flow.rows("DISTINCT decided_by, by_policy = decision", "WHERE offset >= 8 AND event_type = 'login'") == [
        ("rules", 0)
    ]

    sending = threading.Thread(target=flow.send, args=(400,))
    sending.start()
    flow.publish("two")
    sending.join()
    flow.send(16)
    sets = flow.rows("ruleset, groupUniqArray(rules)", "WHERE event_type = 'login' AND ruleset != '' GROUP BY ruleset")
    assert sorted(rules for _, rules in sets) == [[["first-one", "second-one"]], [["first-two", "second-two"]]]
    assert flow.rows("DISTINCT rules", "WHERE event_type = 'login' AND offset >= 216") == [
        (["first-two", "second-two"],)
    ]

    before = flow.rows("event_id, decision, rules, ruling", "ORDER BY event_id")
    flow.child.kill()
    flow.start()
    flow.send(16)
    after = {row[0]: row for row in flow.rows("event_id, decision, rules, ruling")}
    assert [after[row[0]] for row in before] == before
    assert flow.rows("count(), uniq(event_id)") == [(464, 464)]
    assert flow.metric('clickgoose_decided_rows_total{by="rules"}') >= 8
