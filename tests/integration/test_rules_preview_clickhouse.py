"""A preview over the real engine: what comes back is what was recorded, in the order of event time; figures by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from flows.run_stage import Monitor, run_stage
from flows.sinks.clickhouse import ClickHouse
from flows.sinks.decisions import DecisionTable, RecordedParcel
from flows.stages.read_records import ReadRecords
from infra.cli import rules as rules_command
from infra.flow_shared import entity_key
from infra.rules_preview import PastEvent
from infra.rules_preview_events import Asked, PastEvents, PreviewError
from infra.settings import Settings
from schemas.decision_record import DecisionRecord, SignalSeen, encode_record
from schemas.event_time import event_time
from schemas.result import DECISIONS
from scoring.judge_events import PARTS, events_of
from scoring.rules.history_keys import HistoryKeys
from scoring.rules.recorded import digested
from scoring.rules.ruleset import Rulebook
from tests.builders import NOW
from tests.decided import decided
from tests.migrated import migrate
from tests.rules_kit import ruleset
from tests.scored_parcels import encoded_parcel
from tests.stack_fixture import Namespace
from tests.wire import parcel, raw_batch

pytestmark = pytest.mark.stack
MINUTE = 60_000
KEYS = HistoryKeys(entity_key(Settings()))
RULES = """
catalogues:
  payments: {event_types: [payment], entity: .entities.user, window: 1d}
rules:
  - id: large
    event_types: [payment]
    when: {field: .data.amount, gt: 100}
    actions: [review]
  - id: often
    event_types: [payment]
    when: {count: payments, over: 10m, gte: 2}
    actions: [deny]
  - id: never
    when: {field: .data.nothing, exists: true}
    actions: [deny]
"""


def record(number: int, at: int, amount: Any, user: str, decision: str = "allow", **more: Any) -> DecisionRecord:
    entities, _ = digested({"user": user, "transaction": f"order-{number}"}, KEYS, "shop")
    data = {"amount": amount, "note": f"n{number}"}
    return decided(
        number, occurred_at=at, received_at=at + 5, entities=entities, data=data, decision=decision, by="default",
        matched=(), **more,
    )  # fmt: skip


# By hand: u1 pays at -20, -5, 0 and +1 minutes, so the last two see two payments within ten minutes before them.
RECORDS = [
    record(0, NOW - 20 * MINUTE, 5, "u1"),
    record(1, NOW - 5 * MINUTE, 5, "u1"),
    record(2, NOW - 4 * MINUTE, 5, "u1"),
    record(3, NOW, 5, "u1"),  # often: allow -> deny
    record(4, NOW + MINUTE, 500, "u1"),  # large and often: allow -> deny
    record(5, NOW + MINUTE, 500, "u2"),  # large: allow -> review
    record(6, NOW + 2 * MINUTE, "[card_number]", "u3", redacted=("/data/amount",)),  # cannot be judged
    record(7, NOW + 3 * MINUTE, 5, "u4", "deny"),  # nothing: deny -> allow
    record(8, NOW + 4 * MINUTE, 500, "u5", session_id="ab" * 16, signals={"vpn": SignalSeen(True, 0.5)}),
]


@pytest.fixture
def url(namespace: Namespace) -> Iterator[str]:
    migrate(namespace.clickhouse_url)
    yield namespace.clickhouse_url


def write(url: str, records: list[DecisionRecord]) -> None:
    batch = raw_batch([encode_record(one) for one in records])
    table = DecisionTable(ClickHouse(url))
    table.write([RecordedParcel(run_stage(ReadRecords(), parcel(batch), Monitor.silent()))])
    table.close()


def label(namespace: Namespace, target: str, name: str, said: str) -> None:
    namespace.clickhouse().execute(
        "INSERT INTO labels (merchant, target, id, label, labelled_at, received_at) SELECT "
        "'shop', %(target)s, %(name)s, %(said)s, now64(3), now64(6)",
        {"target": target, "name": name, "said": said},
    )


def run(*words: str) -> Any:
    app = typer.Typer()
    rules_command.register(app)
    return CliRunner().invoke(app, ["rules", "preview", *words])


def test_a_preview_says_what_was_reckoned_by_hand(url: str, namespace: Namespace, tmp_path: Path) -> None:
    write(url, [*RECORDS, RECORDS[3]])
    newer = "INSERT INTO decisions (merchant, event_id, event_type, occurred_at, received_at, record) VALUES"
    row = ("shop", "newer", "payment", datetime.fromtimestamp(NOW / 1000, UTC), datetime.now(UTC), '{"version": 9}')
    namespace.clickhouse().execute(newer, [row])
    label(namespace, "transaction", "order-4", "chargeback")
    label(namespace, "session", "ab" * 16, "genuine")
    label(namespace, "transaction", "order-7", "confirmed_fraud")
    draft, page = tmp_path / "draft.yaml", tmp_path / "draft.html"
    draft.write_text(RULES)
    words = [str(draft), "--url", url, "--alone", "--rules", str(tmp_path / "none"), "--html", str(page)]
    first, last = moment(NOW), moment(NOW + 60 * MINUTE)
    found = json.loads(run(*words, "--from", first, "--to", last, "--json").stdout)
    assert (found["events"], found["warmed"], found["unread"]) == (
        6,
        2,
        1,
    )  # ten minutes before, not twenty
    rules = {one["rule"]: one for one in found["rules"]}
    assert {name: rules[name]["matched"] for name in rules} == {"large": 3, "often": 2, "never": 0}
    assert (rules["large"]["unjudged"], found["undecided"], found["never_matched"]) == (1, 1, ["never"])
    flips = {(one["from"], one["to"]): [shown["event_id"] for shown in one["examples"]] for one in found["flips"]}
    assert flips == {
        ("allow", "deny"): ["payment-3", "payment-4"],
        ("allow", "review"): ["payment-5", "payment-8"],
        ("deny", "allow"): ["payment-7"],
    }
    assert (rules["large"]["fraud"], rules["large"]["genuine"], rules["large"]["precision"]) == (1, 1, 0.5)
    assert rules["large"]["recall"] == 0.5  # the fraud of payment-7 is missed
    assert found["recorded"] == quality(1, 1, 0, 1) and found["draft"] == quality(1, 1, 1, 0)
    assert page.read_text().startswith("<!doctype html>") and "payment-4" in page.read_text()
    shown = run(*words, "--from", first, "--to", last)
    assert shown.exit_code == 0 and "Never matched: never." in shown.stdout


def moment(at: int) -> str:
    return np.datetime_as_string(np.datetime64(at, "ms"), "ms")


def quality(fraud_stopped: int, fraud_allowed: int, genuine_stopped: int, genuine_allowed: int) -> dict[str, Any]:
    stopped, fraud = fraud_stopped + genuine_stopped, fraud_stopped + fraud_allowed
    return {
        "fraud_stopped": fraud_stopped, "fraud_allowed": fraud_allowed, "genuine_stopped": genuine_stopped,
        "genuine_allowed": genuine_allowed, "precision": fraud_stopped / stopped if stopped else None,
        "recall": fraud_stopped / fraud if fraud else None,
    }  # fmt: skip


def test_warmth_may_be_shortened_and_is_said(url: str, tmp_path: Path) -> None:
    write(url, RECORDS)
    (tmp_path / "draft.yaml").write_text(RULES)
    words = [str(tmp_path / "draft.yaml"), "--url", url, "--alone", "--from", moment(NOW), "--to", moment(NOW + 1)]
    cold = json.loads(run(*words, "--warm", "1m", "--json").stdout)
    assert (cold["warmed"], cold["warm_ms"], cold["longest_window_ms"], cold["flipped"]) == (0, MINUTE, 10 * MINUTE, 0)
    assert "shorter than the longest window" in run(*words, "--warm", "1m").stdout


def past(url: str, draft: str | None = None, rows: int = 8_192, merchant: str = "") -> list[PastEvent]:
    book = Rulebook(ruleset(draft or RULES))
    asked = Asked(NOW - 60 * MINUTE, NOW + 60 * MINUTE, 0, merchant)
    events = PastEvents(url, asked, book, KEYS, rows)
    found = list(events)
    assert events.total() == len(found)
    return found


def test_events_of_the_flow_are_those_that_its_rules_saw(url: str) -> None:
    item = encoded_parcel(24)
    there = ClickHouse(url)
    there.write([item])
    there.close()
    batch = item.parcel.batch
    at = event_time(batch)
    order = np.lexsort((np.arange(len(at)), at))
    made = events_of(batch, order, at[order], PARTS)
    draft = {"rules": [{"id": "vpn", "when": {"signal": "vpn", "eq": True}, "actions": ["deny"]}]}
    found = past(url, draft)  # type: ignore[arg-type]
    for event, wanted, row in zip(found, made, order.tolist(), strict=True):
        seen = dict(event.past.happening.event)
        assert ("card" in seen["entities"]) == ("card" in wanted["entities"])
        seen["entities"] = {**seen["entities"], "card": None}
        wanted["entities"] = {**wanted["entities"], "card": None}
        assert seen.pop("facts") == wanted.pop("facts")
        assert seen == wanted
        assert event.known.score == pytest.approx(float(batch.score.score[row]))
        column = batch.smart.column("vpn")
        result = int(batch.smart.result[row, column])
        assert event.known.signals["vpn"].result == (None if result < 0 else bool(result))
        assert event.decided == DECISIONS[int(batch.decision.decision[row])]
        assert event.limits is not None and event.limits.review == batch.decision.review[row]


@pytest.mark.parametrize("rows", [10, 8_192])
def test_both_sources_come_in_the_order_of_event_time_however_they_are_sliced(url: str, rows: int) -> None:
    there = ClickHouse(url)
    there.write([encoded_parcel(24)])
    there.close()
    write(url, RECORDS)
    found = past(url, rows=rows)
    times = [event.past.happening.at for event in found]
    assert times == sorted(times) and len(found) == 24 + len(RECORDS)
    assert len({(event.source, event.past.happening.id) for event in found}) == len(found)
    assert {event.merchant for event in past(url, merchant="shop")} == {"shop"}


def test_a_range_without_events_and_a_store_that_is_away(url: str, tmp_path: Path) -> None:
    assert past(url) == []
    with pytest.raises(PreviewError, match="cannot read past events"):
        list(PastEvents("clickhouse://127.0.0.1:1/x", Asked(0, 1, 0), Rulebook(), KEYS))
    (tmp_path / "draft.yaml").write_text(RULES)
    away = run(str(tmp_path / "draft.yaml"), "--url", "clickhouse://127.0.0.1:1/x", "--alone")
    assert away.exit_code == 1 and "cannot read past events" in away.output


def test_wrong_use_and_mistakes_have_their_exit_codes(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("rules: [{id: a}]")
    (tmp_path / "good.yaml").write_text(RULES)
    there = ["--url", "clickhouse://127.0.0.1:1/x", "--alone"]
    assert run(str(tmp_path / "bad.yaml"), *there).exit_code == 1
    assert "mistakes" in json.loads(run(str(tmp_path / "bad.yaml"), *there, "--json").stdout)
    assert run(str(tmp_path / "gone.yaml"), *there).exit_code == 2
    assert run(str(tmp_path / "good.yaml"), *there, "--from", "yesterday").exit_code == 2
    assert run(str(tmp_path / "good.yaml"), *there, "--warm", "long").exit_code == 2
