"""Results and table columns from scored batches, and rows packed for the backup and back."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from flows.sinks.kafka import OutputTopics, scored_records
from flows.sinks.packed_rows import pack_rows, unpack_rows
from flows.sinks.results import entities, velocities
from flows.sinks.tables import Table, event_columns, letter_columns, scored_tables, tables_of
from schemas.batches import Shared, Velocity
from schemas.result import (
    DECISIONS,
    DeviceHistory,
    EntityCounts,
    Place,
    RulesSaid,
    SessionSoFar,
    SharedEntities,
    TriedRules,
    Windows,
    decode_rejected,
    decode_result,
    encode_rejected,
)
from schemas.shared import unknown
from schemas.velocity import KINDS
from scoring.features import feature_schema
from scoring.stored_features import row_bytes, unpack
from tests.builders import NOW
from tests.scored_parcels import BUILD, DENIED_BY_RULE_FROM, MODELS, RULING, encoded_parcel


def test_a_result_says_what_its_row_says() -> None:
    item = encoded_parcel(6, first=40, partition=3)
    batch = item.parcel.batch
    for row, result in enumerate(item.results):
        assert bytes.fromhex(result.event_id) == batch.event.event_id[row].tobytes()
        assert bytes.fromhex(result.session_id) == batch.event.session_id[row].tobytes()
        assert bytes.fromhex(result.device_id) == batch.event.device_id[row].tobytes()
        assert (result.merchant, result.transaction) == ("demo", "t")
        assert (result.occurred_at, result.received_at) == (NOW + 1000 * row, NOW + 1000 * row + 10)
        assert result.score == pytest.approx(float(batch.score.score[row]))
        assert result.decision == DECISIONS[batch.decision.decision[row]]
        assert len(result.factors) == row % 3
        assert result.velocity.events == Windows(1 + row, 1, 1)
        assert (result.velocity.addresses, result.velocity.countries) == (Windows(1, 1, 2 + row), Windows(1, 3, 1))
        assert result.velocity.sessions == Windows(1, 1, 9)
        assert result.session == SessionSoFar(3, NOW + 1000 * row - 9)
        assert result.origin == Place("events.raw", 3, 40 + row)
        assert (result.versions.model, result.versions.build) == (MODELS[row % 2], BUILD)
        assert result.versions.policy == "policy-digest"
        assert result.ledger == {"received": NOW * 1000 + 40 + row, "polled": NOW * 1000 + 45 + row}


def test_what_a_row_does_not_share_or_nobody_knows_is_left_out() -> None:
    item = encoded_parcel(4)
    both, address, third, nothing = item.results
    assert both.shared.card == EntityCounts(Windows(70, 70, 70), Windows(70, 70, 70))
    assert address.shared == SharedEntities(address=EntityCounts(Windows(3, 3, 3_000_001), Windows(3, 3, 3)))
    assert third.shared.card is None
    assert json.loads(item.records[3])["shared"] == {}
    assert set(json.loads(item.records[0])["shared"]) == {"address", "card"}
    assert [result.degraded for result in item.results] == [[], [], ["rule_history"], ["shared_counts"]]
    assert nothing.shared == SharedEntities()


def test_a_device_without_a_past_has_none() -> None:
    item = encoded_parcel(4)
    first, second, third, _ = item.results
    assert first.history == DeviceHistory(40, NOW, NOW)
    assert second.history == DeviceHistory(41, NOW + 1000, None, [87.5, 3.25])
    assert third.history == DeviceHistory(42, NOW + 2000, NOW - 10)
    record = json.loads(item.records[1])
    assert record["history"]["previous_at"] is None
    assert record["velocity"]["addresses"] == {"5m": 1, "1h": 1, "24h": 3}
    assert record["session"] == {"events": 3, "started_at": NOW + 991}


def test_counts_of_any_size_are_told_apart() -> None:
    largest = 2**32 - 1
    rows = [(1, 2, 3), (3, 2, 1), (0, 0, 1), (2**21 - 1, 2**21 - 1, 2**21 - 1), (2**21 - 1, 0, 0)]
    for counts in (rows, [*rows, (largest, largest, largest), (0, 1, 2**21)]):
        section = Velocity(
            np.repeat(np.array(counts, np.uint32)[:, None], len(KINDS), axis=1),
            np.zeros(len(counts), np.int64),
            np.zeros(len(counts), np.int64),
        )
        assert [structs.astuple(found.countries) for found in velocities(section)] == counts


def test_a_result_of_a_build_that_counted_events_alone_can_be_read() -> None:
    record = json.loads(encoded_parcel(1).records[0])
    for name in ("shared", "history", "session"):
        del record[name]
    older = decode_result(json.dumps(record | {"velocity": {"events_5m": 1, "events_1h": 2, "events_24h": 3}}).encode())
    assert (older.velocity.events, older.history, older.session) == (Windows(0, 0, 0), None, None)


def test_smart_signals_that_are_not_computable_are_null() -> None:
    unknown, known = encoded_parcel(2).results
    assert unknown.smart_signals["bot"].result is None
    assert unknown.smart_signals["bot"].confidence is None
    assert known.smart_signals["bot"].result is True
    assert known.smart_signals["bot"].confidence == pytest.approx(0.9)


def test_merchants_are_told_nothing_of_shadow_models() -> None:
    item = encoded_parcel(5)
    for record in item.records:
        said = json.loads(record)
        said.pop("rules")  # a merchant is told of the rulesets that are tried on its events
        assert not re.search(r"shadow|before|by_policy|features", json.dumps(said))


def test_what_rules_said_is_told_with_who_decided() -> None:
    item = encoded_parcel(4)
    usual, ruled = item.results[0], item.results[DENIED_BY_RULE_FROM]
    assert usual.rules == RulesSaid("model", usual.score) and usual.versions.ruleset is None
    assert ruled.rules == RulesSaid(
        decided_by="rules",
        score=ruled.score + 12.5,
        added=12.5,
        matched=RULING.matched,
        reasons=RULING.reasons,
        tags=("velocity",),
        alerts=("fraud-team",),
        ruleset="ruleset-digest",
        degraded=("history",),
        shadows=(TriedRules("shadow-ruleset", "deny", ("tried",)),),
        by_policy="review",
    )
    assert (usual.standing, ruled.standing) == (usual.decision, "review"), "what the policy alone decided stands"
    assert (ruled.decision, ruled.versions.ruleset, ruled.degraded) == ("deny", "ruleset-digest", ["rule_history"])
    assert json.loads(item.records[0])["rules"] == {"decided_by": "model", "score": usual.score}
    assert b"heard" not in item.records[DENIED_BY_RULE_FROM]


def test_who_a_rule_alerts_reads_it_among_the_alerts_although_it_is_allowed() -> None:
    item = encoded_parcel(5)
    allowed = structs.replace(item.results[DENIED_BY_RULE_FROM], decision="allow")
    topics = {record.topic: dict(record.headers) for record in scored_records(allowed, b"{}", OutputTopics())}
    assert set(topics) == {"events.scored", "events.alerts"}
    assert topics["events.alerts"]["clickgoose.alert"] == b"fraud-team"
    assert [record.topic for record in scored_records(item.results[0], b"{}", OutputTopics())] == ["events.scored"]


def test_records_are_the_results_as_json() -> None:
    item = encoded_parcel(5)
    assert tuple(map(decode_result, item.records)) == item.results


def test_a_parcel_without_rows_has_no_records() -> None:
    item = encoded_parcel(0, dropped=2)
    assert (item.records, item.rows, tables_of([item])) == ((), 0, {})


def test_an_encoded_parcel_lets_go_of_the_signals_and_keeps_the_rest() -> None:
    batch = encoded_parcel(4).parcel.batch
    assert len(batch) == len(batch.signals) == 4
    assert batch.signals.numbers.size == batch.signals.categories.size == 0
    assert batch.signals.texts.column is not None
    assert batch.score.observed.shape == (4, 0) and batch.score.observed.base is None
    assert batch.score.features.shape == (4, row_bytes())
    assert len(batch.take(np.array([2, 0]))) == 2


def test_a_rejection_is_told_from_a_result() -> None:
    rejected = decode_rejected(encode_rejected("00" * 16, "mask.email"))
    assert rejected is not None
    assert (rejected.event_id, rejected.reason, rejected.status) == ("00" * 16, "mask.email", "rejected")
    assert decode_rejected(encoded_parcel(1).records[0]) is None


def _same(left: Table, right: Table) -> None:
    assert left.keys() == right.keys()
    for name, column in left.items():
        assert column.dtype == right[name].dtype, name
        np.testing.assert_array_equal(column, right[name], err_msg=name)


def test_rows_packed_for_the_backup_come_back_as_the_same_columns() -> None:
    item = encoded_parcel(7, dead=3)
    tables = scored_tables(item, archive=True)
    assert set(tables) == {"events", "features", "raw_archive"}
    (found,) = unpack_rows(pack_rows(tables))
    for name, table in tables.items():
        _same(found[name], table)
    letters = letter_columns(item.parcel.errs)
    (found,) = unpack_rows(pack_rows({"dead_letters": letters}))
    _same(found["dead_letters"], letters)


def test_rows_that_another_build_packed_with_other_columns_are_tables_of_their_own() -> None:
    item = encoded_parcel(3)
    events = event_columns(item.parcel.batch, item.results)
    older = {name: column for name, column in events.items() if name != "engine"}
    older["checks"] = older["checks"].astype(np.uint32)
    new, old = pack_rows({"events": events}), pack_rows({"events": older})
    first, second = unpack_rows([new[0], old[1], new[2]])
    assert first["events"]["offset"].tolist() == [0, 2]
    assert second["events"]["offset"].tolist() == [1]
    assert "engine" not in second["events"] and second["events"]["checks"].dtype == np.uint32


def test_columns_of_many_parcels_are_joined_in_order() -> None:
    tables = tables_of([encoded_parcel(2), encoded_parcel(0, dropped=1), encoded_parcel(3, first=10, dead=1)])
    assert tables["events"]["offset"].tolist() == [0, 1, 10, 11, 12]
    assert tables["raw_archive"]["payload"].tolist() == [b"sealed\0%d\0" % n for n in (0, 1, 10, 11, 12)]
    assert tables["dead_letters"]["offset"].tolist() == [13]
    assert "raw_archive" not in tables_of([encoded_parcel(2)], archive=False)
    assert unpack(tables["features"]["packed"].tolist())[:, 0].tolist() == [0, 1, 0, 1, 2]
    assert set(tables["features"]["schema"]) == {feature_schema().digest().encode()}
    assert tables["features"]["model"].tolist() == [MODELS[n].encode() for n in (0, 1, 0, 1, 0)]


def test_features_that_are_not_kept_are_not_written() -> None:
    whole = encoded_parcel(2)
    score = replace(whole.parcel.batch.score, features=np.empty((2, 0), np.uint8))
    bare = replace(whole, parcel=replace(whole.parcel, batch=replace(whole.parcel.batch, score=score)))
    assert set(tables_of([bare])) == {"events", "raw_archive"}
    assert len(tables_of([bare, whole])["features"]["packed"]) == 2


def test_a_shadow_that_failed_has_no_decision() -> None:
    item = encoded_parcel(6)
    table = event_columns(item.parcel.batch, item.results)
    assert table["shadow_models_text"].tolist() == [b"shadow-1,shadow-2"] * 6
    assert table["shadow_decisions_text"].tolist() == [
        b"allow,", b"review,deny", b"deny,allow", b"allow,review", b"review,deny", b"deny,",
    ]  # fmt: skip


def test_a_window_that_is_not_known_is_null_beside_those_that_are() -> None:
    counts = unknown(2)
    counts[0, 1] = [[np.nan, 7, 9], [np.nan, np.nan, 2]]
    counts[1, 1] = [[np.nan, np.nan, 1 << 22], [np.nan, np.nan, np.nan]]
    first, second = entities(Shared(counts, np.zeros(2, np.bool_)))
    assert first.network == EntityCounts(Windows(None, 7, 9), Windows(None, None, 2))
    assert second.network == EntityCounts(Windows(None, None, 1 << 22), Windows(None, None, None))
    assert (first.address, second.card) == (None, None)
