"""The tables on the real engine: every column comes back, a row written again shows once, reads are narrow."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Any

import numpy as np
import pytest

from flows.sinks.clickhouse import ClickHouse
from flows.sinks.destination import DestinationError
from flows.sinks.encoded import EncodedParcel
from flows.sinks.packed_rows import pack_rows
from flows.sinks.tables import event_columns
from infra.clickhouse import migrate as runner
from infra.clickhouse.migrate import Migration, MigrationError, load_migrations, migrate
from schemas.card_tokens import hashed_card_token
from schemas.dead_letter import Reason
from schemas.environment import BROWSERS, SYSTEMS
from schemas.event_time import event_time
from schemas.result import DECISIONS
from schemas.ruling import encode_ruling
from schemas.smart_signals import SMART_SIGNALS
from schemas.travel import travel_kmh
from schemas.velocity import ENTITIES, KINDS, MEASURES, WINDOWS
from tests.builders import NOW
from tests.scored_parcels import BUILD, DATA, DENIED_BY_RULE, DENIED_BY_RULE_FROM, MODELS, RULING, encoded_parcel
from tests.stack_fixture import Namespace

pytestmark = pytest.mark.stack
WHOLE = """
SELECT *, event, session, device_hex, ip, smart, smart_versions, ledger, happened_at
FROM events FINAL
ORDER BY occurred_at
"""


@pytest.fixture
def tables(namespace: Namespace) -> Namespace:
    migrate(namespace.clickhouse_url)
    return namespace


def rows(namespace: Namespace, sql: str) -> list[dict[str, Any]]:
    client = namespace.clickhouse()
    names = [name for name, *_ in client.execute(f"DESCRIBE ({sql})")]
    return [dict(zip(names, row, strict=True)) for row in client.execute(sql)]


def moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def write(namespace: Namespace, *parcels: EncodedParcel) -> ClickHouse:
    there = ClickHouse(namespace.clickhouse_url)
    there.write(parcels)
    there.close()
    return there


def _check_event(found: dict[str, Any], item: EncodedParcel, row: int) -> None:
    batch, result = item.parcel.batch, item.results[row]
    event, origin, seen, velocity = batch.event, batch.origin, batch.environment, batch.velocity
    assert (found["event"], found["session"], found["device_hex"]) == (
        result.event_id, result.session_id, result.device_id,
    )  # fmt: skip
    assert (found["merchant"], found["transaction"], found["linked_id"]) == ("demo", "t", "")
    assert (found["key_id"], found["sequence"], found["catalogue"]) == (
        1, event.sequence[row], batch.signals.catalogue[row],
    )  # fmt: skip
    assert (found["occurred_at"], found["received_at"]) == (moment(result.occurred_at), moment(result.received_at))
    assert (found["topic"], found["partition"], found["offset"]) == ("events.raw", 0, origin.offset[row])
    assert found["appended_at"] == moment(int(origin.appended_at[row]))
    assert found["polled_at"] == moment(int(origin.polled_at[row]))
    assert (found["browser"], found["system"]) == (BROWSERS[seen.browser[row]], SYSTEMS[seen.system[row]])
    assert (found["device"], found["gpu"], found["browser_version"]) == ("unknown", "unknown", 147.0)
    assert np.isnan(found["screen_pixels_wide"]) and np.isnan(found["screen_pixels_high"])
    assert (found["engine"], found["gpu_driver"], found["gpu_model"], found["density"]) == (
        "unknown", "unknown", seen.gpu_model[row], "unknown",
    )  # fmt: skip
    assert all(np.isnan(found[name]) for name in ("engine_version", "engine_at_least", "system_version"))
    assert np.isnan(found["timezone_offset"])
    assert found["checks"] == seen.checks[row]
    assert [found[name] for name in ("events_5m", "events_1h", "events_24h")] == [1 + row, 1, 1]
    _check_counts(found, item, row)
    assert found["first_seen_at"] == moment(int(velocity.first_seen_at[row]))
    previous = int(velocity.previous_at[row])
    assert found["previous_at"] == (None if previous < 0 else moment(previous))
    assert (found["score"], found["decision"]) == (pytest.approx(result.score), result.decision)
    assert (found["model"], found["build"]) == (MODELS[row % 2], BUILD)
    _check_decision(found, item, row)
    assert found["factors"] == [factor.code for factor in result.factors]
    assert found["factor_texts"] == [factor.text for factor in result.factors]
    assert found["contributions"] == pytest.approx([factor.contribution for factor in result.factors])
    _check_rules(found, item, row)
    assert found["smart"] == dict(zip(SMART_SIGNALS, batch.smart.result[row].tolist(), strict=True))
    np.testing.assert_array_equal(np.float32(found["smart_confidences"]), batch.smart.confidence[row])
    assert found["smart_reasons"] == batch.smart.reasons[row].tolist()
    assert found["smart_versions"] == dict(zip(SMART_SIGNALS, DATA, strict=True))
    log, (first, last) = batch.activity, batch.activity.offsets[row : row + 2].tolist()
    for name in ("time", "code", "target", "value"):
        assert found[f"activity_{name}"] == getattr(log, name)[first:last].tolist(), name
    assert found["ledger"] == result.ledger


def _check_rules(found: dict[str, Any], item: EncodedParcel, row: int) -> None:
    ruled = row % DENIED_BY_RULE == DENIED_BY_RULE_FROM
    said = RULING if ruled else None
    assert found["degraded"] == ["shared_counts"] * (row % 4 == 3) + ["rule_history"] * ruled
    assert (found["ruleset"], found["decided_by"]) == (("ruleset-digest", "rules") if ruled else ("", "model"))
    assert found["rules"] == list(said.matched if said else ())
    assert (found["tags"], found["alerts"]) == ((["velocity"], ["fraud-team"]) if ruled else ([], []))
    assert (found["added"], found["ruling"]) == ((12.5, encode_ruling(RULING).decode()) if ruled else (0, ""))
    tried = DECISIONS[item.parcel.batch.decision.shadow_rules[row, 0]]
    assert (found["tried_rulesets"], found["tried_decisions"]) == ((["shadow-ruleset"], [tried]) if ruled else ([], []))
    assert found["by_policy"] == DECISIONS[item.parcel.batch.decision.by_policy[row]]


def _check_decision(found: dict[str, Any], item: EncodedParcel, row: int) -> None:
    grounds, score = item.parcel.batch.decision, item.parcel.batch.score
    assert found["event_type"] == ("payment", "login", "")[row % 3]
    assert (found["policy"], found["before"]) == (grounds.policy, DECISIONS[row % 3])
    assert (found["review"], found["deny"], found["margin"]) == (60 + row % 2, 85 + row % 2, 3 + row % 2)
    assert found["shadow_models"] == list(score.shadows)
    np.testing.assert_array_equal(np.float32(found["shadow_scores"]), score.shadow_score[row])
    assert math.isnan(found["shadow_scores"][1]) == (row % 5 == 0)
    would = [DECISIONS[decision] for decision in grounds.shadow[row]]
    assert found["shadow_decisions"] == ([would[0], ""] if row % 5 == 0 else would)


def _check_counts(found: dict[str, Any], item: EncodedParcel, row: int) -> None:
    batch, event = item.parcel.batch, item.parcel.batch.event
    for kind, name in enumerate(KINDS):
        assert [found[f"{name}_{window}"] for window in WINDOWS] == batch.velocity.counts[row, kind].tolist(), name
    for (entity, measure), counts in zip(
        product(ENTITIES, MEASURES), batch.shared.counts[row].reshape(-1, len(WINDOWS)).tolist(), strict=True
    ):
        expected = [None if math.isnan(count) else round(count) for count in counts]
        assert [found[f"{entity}_{measure}_{window}"] for window in WINDOWS] == expected, (entity, measure)
    assert found["happened_at"] == moment(int(event_time(batch)[row]))
    assert (found["device_events"], found["session_events"]) == (40 + row, 3)
    assert found["session_started_at"] == moment(int(event.occurred_at[row]) - 9)
    assert found["earlier_scores"] == ([87.5, 3.25] if row % 2 else [])
    assert (found["country"], found["asn"]) == (("", 0) if row % 2 else ("DE", 3320))
    assert found["fingerprint"] == 0
    assert found["card"] == hashed_card_token("demo", event.card_token[row]) and "card" not in found["card"]
    assert len(found["card"]) == (0 if row % 2 else 32)
    speed = travel_kmh(batch.network, batch.history, event_time(batch))
    np.testing.assert_array_equal(np.float32(found["travel_kmh"]), speed[row])
    assert math.isnan(found["travel_kmh"]) == bool(row % 2)


def test_what_is_not_known_is_no_number(tables: Namespace) -> None:
    write(tables, encoded_parcel(8))
    client = tables.clickhouse()
    found = client.execute(
        "SELECT count(address_devices_5m), count(account_events_1h), max(card_devices_24h) FROM events"
    )
    assert found == [(6, 0, 70)]
    assert client.execute("SELECT count() FROM events WHERE has(degraded, 'shared_counts')") == [(2,)]


def test_every_column_of_an_event_comes_back(tables: Namespace) -> None:
    item = encoded_parcel(8)
    write(tables, item)
    found = rows(
        tables,
        WHOLE,
    )
    assert len(found) == 8
    for row, event in enumerate(found):
        _check_event(event, item, row)
    described = {name for name, *_ in tables.clickhouse().execute("DESCRIBE TABLE events")}
    assert {name for name in described if name in found[0]} >= described - {"written_at", "stands"} - {
        name for name in described if name.endswith(("_bytes", "_text"))
    }


def test_addresses_and_ids_with_zero_bytes_at_their_end_are_whole(tables: Namespace) -> None:
    item = encoded_parcel(2)
    write(tables, item)
    found = tables.clickhouse().execute("SELECT lower(hex(event_id)), lower(hex(address)) FROM events ORDER BY offset")
    address = item.parcel.batch.event.address
    assert found == [(r.event_id, address[row].tobytes().hex()) for row, r in enumerate(item.results)]


def test_dead_letters_and_the_archive_come_back_byte_for_byte(tables: Namespace) -> None:
    item = encoded_parcel(2, dead=2)
    write(tables, item)
    client = tables.clickhouse(settings={"strings_as_bytes": True})
    letters = client.execute(
        "SELECT reason, stage, detail, topic, partition, offset, event_id, merchant, attempts, payload_format,"
        " payload_sha256, payload, processor FROM dead_letters FINAL ORDER BY offset"
    )
    assert letters == [
        (
            letter.reason.encode(), b"normalize", b"too far", b"events.raw", 0, letter.offset,
            (letter.event_id or "").encode(), b"demo", 1, b"envelope", letter.payload_sha256.encode(), letter.payload,
            b"clickgoose",
        )
        for letter in item.parcel.errs
    ]  # fmt: skip
    times = tables.clickhouse().execute("SELECT received_at, first_failed_at FROM dead_letters ORDER BY offset")
    assert times == [(moment(x.received_at), moment(x.first_failed_at)) for x in item.parcel.errs]
    archive = client.execute("SELECT partition, offset, event_id, merchant, payload FROM raw_archive ORDER BY offset")
    assert archive == [
        (0, row, bytes.fromhex(result.event_id), b"demo", value)
        for row, (result, value) in enumerate(zip(item.results, item.parcel.batch.values, strict=True))
    ]


def test_what_is_written_twice_shows_once_and_the_first_result_stands(tables: Namespace) -> None:
    first = encoded_parcel(5, dead=2)
    write(tables, first)
    client = tables.clickhouse()
    score = client.execute("SELECT groupArray(score) FROM (SELECT score FROM events FINAL ORDER BY offset)")
    again = encoded_parcel(5, dead=2)
    again.parcel.batch.score.score[:] = 99.0
    write(tables, again)
    assert client.execute("SELECT count() FROM events") == [(10,)]
    for _ in range(2):  # before and after the engine has merged the parts
        assert client.execute("SELECT count(), uniqExact(event_id) FROM events FINAL") == [(5, 5)]
        found = client.execute("SELECT groupArray(score) FROM (SELECT score FROM events FINAL ORDER BY offset)")
        assert found == score
        assert client.execute("SELECT count() FROM dead_letters FINAL") == [(2,)]
        assert client.execute("SELECT count() FROM raw_archive FINAL") == [(5,)]
        assert client.execute("SELECT count() FROM activity") == [(int(first.parcel.batch.activity.offsets[-1]),)]
        for table in ("events", "dead_letters", "raw_archive"):
            client.execute(f"OPTIMIZE TABLE {table} FINAL")
    assert client.execute("SELECT count() FROM events") == [(5,)]


def test_counts_a_minute_do_not_count_a_replay_twice(tables: Namespace) -> None:
    item = encoded_parcel(50)
    write(tables, item)
    write(tables, item)
    found = tables.clickhouse().execute("SELECT decision, sum(events) FROM counts_per_minute GROUP BY decision")
    decisions = [result.decision for result in item.results]
    assert dict(found) == {name: decisions.count(name) for name in DECISIONS if name in decisions}
    minutes = tables.clickhouse().execute("SELECT min(minute), sum(events) FROM counts_per_minute")
    assert minutes == [(moment(NOW // 60_000 * 60_000), 50)]


def test_a_timeline_is_read_by_its_key_and_in_order(tables: Namespace) -> None:
    item = encoded_parcel(12)
    write(tables, item)
    client = tables.clickhouse()
    narrow = "FROM activity WHERE merchant = 'demo' AND transaction = 't'"
    found = client.execute(f"SELECT time, code, target, value {narrow} ORDER BY occurred_at, position")
    log = item.parcel.batch.activity
    assert found == list(
        zip(log.time.tolist(), log.code.tolist(), log.target.tolist(), log.value.tolist(), strict=True)
    )
    plan = "\n".join(line for (line,) in client.execute(f"EXPLAIN indexes = 1 SELECT * {narrow}"))
    key = plan[plan.index("PrimaryKey") :]
    assert "merchant" in key and "transaction" in key


def test_an_event_is_found_by_its_id_through_the_index(tables: Namespace) -> None:
    item = encoded_parcel(3)
    write(tables, item)
    client = tables.clickhouse()
    where = f"FROM events WHERE event_id = unhex('{item.results[1].event_id}')"
    assert client.execute(f"SELECT event, offset {where}") == [(item.results[1].event_id, 1)]
    assert "by_event" in str(client.execute(f"EXPLAIN indexes = 1 SELECT score {where}"))


def test_rows_that_waited_in_the_backup_are_the_same_rows(tables: Namespace) -> None:
    item = encoded_parcel(6, dead=2)
    there = ClickHouse(tables.clickhouse_url)
    letters = there.letters([item], "ClickHouse: NetworkError 210")
    assert [letter.reason for letter in letters] == [Reason.SINK_CLICKHOUSE] * 8
    assert [letter.offset for letter in letters] == list(range(8))
    there.rewrite(letters)
    there.close()
    found = rows(
        tables,
        WHOLE,
    )
    for row, event in enumerate(found):
        _check_event(event, item, row)
    client = tables.clickhouse()
    assert client.execute("SELECT count() FROM raw_archive") == [(6,)]
    assert client.execute("SELECT DISTINCT reason FROM dead_letters") == [("normalize.out_of_range",)]


def test_a_refusal_names_the_error_and_no_value(tables: Namespace) -> None:
    tables.clickhouse().execute("DROP TABLE events")
    there = ClickHouse(tables.clickhouse_url)
    with pytest.raises(DestinationError) as caught:
        there.write([encoded_parcel(2)])
    assert str(caught.value) == "ClickHouse: ServerException 60"
    away = ClickHouse("clickhouse://127.0.0.1:1/default", connect_seconds=0.5)
    with pytest.raises(DestinationError, match="ClickHouse: NetworkError"):
        away.write([encoded_parcel(2)])


def test_migrations_are_applied_once_and_in_order(namespace: Namespace) -> None:
    names = [migration.name for migration in load_migrations()]
    assert migrate(namespace.clickhouse_url) == names
    assert migrate(namespace.clickhouse_url) == []
    applied = namespace.clickhouse().execute("SELECT name FROM schema_migrations FINAL ORDER BY applied_at")
    assert sorted(name for (name,) in applied) == sorted(names)


def test_events_of_the_build_before_keep_their_checks_and_are_unknown_in_new_columns(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load_migrations()
    monkeypatch.setattr(runner, "load_migrations", lambda: whole[: [m.name for m in whole].index("environment")])
    migrate(namespace.clickhouse_url)
    client = namespace.clickhouse()
    client.execute("INSERT INTO events (event_id, merchant, checks) VALUES ('0123456789abcdef', 'demo', 4294967295)")
    monkeypatch.setattr(runner, "load_migrations", lambda: whole)
    assert "environment" in migrate(namespace.clickhouse_url)
    found = client.execute("SELECT checks, engine, gpu_model, isNaN(system_version) FROM events FINAL")
    assert found == [(2**32 - 1, "", "", 1)]
    counts = client.execute("SELECT addresses_24h, account_devices_1h, device_events, session_started_at FROM events")
    assert counts == [(0, None, 0, None)]
    texts = client.execute(
        "SELECT country, card, earlier_scores, isNaN(travel_kmh), smart_versions[''] FROM events FINAL"
    )
    assert texts == [("", "", [], 1, "")]


def test_rows_that_the_build_before_left_in_the_backup_are_written_beside_new_ones(tables: Namespace) -> None:
    item = encoded_parcel(4)
    there = ClickHouse(tables.clickhouse_url)
    letters = there.letters([item], "ClickHouse: NetworkError 210")
    columns = event_columns(item.parcel.batch, item.results)
    for name in ("engine", "gpu_model", "system_version", "velocity_bytes", "shared_bytes", "session_started_at"):
        del columns[name]
    columns["checks"] = np.full(4, 2**32 - 1, np.uint32)
    older = [
        replace(letter, payload=packed) for letter, packed in zip(letters, pack_rows({"events": columns}), strict=True)
    ]
    there.rewrite([*letters[:2], *older[2:]])
    there.close()
    found = tables.clickhouse().execute(
        "SELECT offset, checks, gpu_model, sessions_24h, address_devices_5m FROM events FINAL ORDER BY offset"
    )
    new = (int(item.parcel.batch.environment.checks[0]), "GeForce RTX 3060", 9)
    old = (2**32 - 1, "", 0, None)
    assert found == [(0, *new, 2), (1, *new, 3), (2, *old), (3, *old)]


def test_an_interrupted_migration_is_finished_by_the_next_run(tables: Namespace) -> None:
    tables.clickhouse().execute("ALTER TABLE schema_migrations DELETE WHERE name = 'events_per_minute'")
    tables.clickhouse().execute("DROP TABLE events_per_minute_of_events")
    assert migrate(tables.clickhouse_url) == ["events_per_minute"]


def test_a_migration_that_was_changed_after_it_was_applied_is_refused(
    tables: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = [Migration(m.name, m.sql + "\n" * (m.name == "activity")) for m in load_migrations()]
    monkeypatch.setattr(runner, "load_migrations", lambda: changed)
    with pytest.raises(MigrationError, match="migration activity was changed after it was applied"):
        migrate(tables.clickhouse_url)


def test_a_database_of_a_newer_build_is_refused(tables: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    older = load_migrations()[:-1]
    monkeypatch.setattr(runner, "load_migrations", lambda: older)
    with pytest.raises(MigrationError, match=f"{load_migrations()[-1].name}, which this build"):
        migrate(tables.clickhouse_url)


def test_a_database_that_cannot_be_reached_is_said_in_one_sentence() -> None:
    with pytest.raises(MigrationError, match=r"^ClickHouse at 127\.0\.0\.1:1: [^\n]+$"):
        migrate("clickhouse://someone:secret@127.0.0.1:1/default")
