"""Labels and events of the real engine: what the file says is what a plain loop over both would say."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import pytest
from typer.testing import CliRunner

from flows.lookups.labelled_fraud import load_labelled_fraud, read_reputation
from infra.cli.reputation import reputation_app
from infra.reputation import ReputationError, build_reputation, read_counts
from schemas.batches import Network
from schemas.envelope import address_bytes
from schemas.labels import FRAUD_LABELS, HALF_LIFE_DAYS, LABELS, TARGETS
from schemas.recognition import REPUTED, entity_keys
from tests.migrated import migrate
from tests.stack_fixture import Namespace

pytestmark = pytest.mark.stack
NOW = 1_780_272_000_000
DAY = 86_400_000
MERCHANTS = ("demo", "other")


class Seen(NamedTuple):
    """One event."""

    event_id: bytes
    session_id: bytes
    address: bytes
    asn: int
    merchant: str
    transaction: str
    at: int


class Told(NamedTuple):
    """One label."""

    merchant: str
    target: str
    id: str
    label: str
    received_at: int  # ms


@pytest.fixture
def tables(namespace: Namespace) -> Namespace:
    migrate(namespace.clickhouse_url)
    return namespace


def moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def write_events(tables: Namespace, events: list[Seen]) -> None:
    rows = [
        {
            "event_id": one.event_id, "session_id": one.session_id, "device_id": bytes(16), "address": one.address,
            "merchant": one.merchant, "transaction": one.transaction, "asn": one.asn, "occurred_at": moment(one.at),
            "received_at": moment(one.at + 40), "appended_at": moment(one.at + 50), "polled_at": moment(one.at + 60),
        }
        for one in events
    ]  # fmt: skip
    tables.clickhouse().execute(f"INSERT INTO events ({', '.join(rows[0])}) VALUES", rows)


def write_labels(tables: Namespace, labels: list[Told]) -> None:
    given = datetime.now(UTC)  # what is older than 400 days is deleted
    rows = [(*one[:4], given, moment(one.received_at)) for one in labels]
    tables.clickhouse().execute(
        "INSERT INTO labels (merchant, target, id, label, labelled_at, received_at) VALUES", rows
    )


def some_traffic(seed: int) -> tuple[list[Seen], list[Told]]:
    """Return 300 events of 40 addresses and 120 sessions, and labels for a part of them, many more than once."""
    random = Random(seed)
    lines = [
        (address_bytes(f"198.18.{random.randrange(4)}.{random.randrange(1, 20)}"), random.choice((0, 3320, 7018)))
        for _ in range(30)
    ]
    lines += [(address_bytes(f"2001:4860:{number % 3}::{number:x}"), 15169) for number in range(1, 11)]
    sessions = [(random.choice(MERCHANTS), f"order-{number % 70}", random.randbytes(16)) for number in range(120)]
    events = []
    for _ in range(300):
        (address, asn), (merchant, transaction, session) = random.choice(lines), random.choice(sessions)
        at = NOW - random.randrange(30) * 4 * DAY - random.randrange(DAY // 2)  # few partitions
        events.append(Seen(random.randbytes(16), session, address, asn, merchant, transaction, at))
    labels = []
    for number in range(160):
        one, target = random.choice(events), random.choice(TARGETS)
        name = {"event": one.event_id.hex(), "session": one.session_id.hex(), "transaction": one.transaction}[target]
        merchant = one.merchant if random.random() < 0.9 else random.choice(MERCHANTS)
        received = NOW - random.randrange(50) * DAY + number
        labels.append(Told(merchant, target, name, random.choice(LABELS), received))
    return events, labels


def naive(events: list[Seen], labels: list[Told], since: int) -> dict[str, dict[int, tuple[float, float]]]:
    """Return decayed events and fraud by kind and key, one event after the other."""
    last: dict[tuple[str, str, str], Told] = {}
    for label in sorted(labels, key=lambda one: one.received_at):
        last[label.merchant, label.target, label.id] = label
    totals: dict[str, dict[int, list[float]]] = {kind: defaultdict(lambda: [0.0, 0.0]) for kind in REPUTED}
    for one in events:
        names = (one.event_id.hex(), one.session_id.hex(), one.transaction)
        about = [last.get((one.merchant, target, name)) for target, name in zip(TARGETS, names, strict=True)]
        known = [label for label in about if label is not None]
        if not known or one.at < since:
            continue
        fraud = max(known, key=lambda label: label.received_at).label in FRAUD_LABELS
        weight = 0.5 ** ((NOW - one.at) / DAY / HALF_LIFE_DAYS)
        for kind, key in zip(REPUTED, keys_of(one.address, one.asn), strict=True):
            if key:
                totals[kind][key][0] += weight
                totals[kind][key][1] += weight * fraud
    return {kind: {key: (a, b) for key, (a, b) in found.items()} for kind, found in totals.items()}


def keys_of(address: bytes, asn: int) -> list[int]:
    none = np.full(1, np.nan, np.float32)
    network = Network(np.zeros(1, np.uint16), np.array([asn], np.uint32), none, none, np.zeros(1, np.uint16))
    return entity_keys(network, np.frombuffer(address, np.uint8).reshape(1, 16))[0].tolist()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_joins_and_decay_equal_a_plain_loop(tables: Namespace, tmp_path: Path, seed: int) -> None:
    events, labels = some_traffic(seed)
    write_events(tables, events)
    write_labels(tables, labels)
    since, out = NOW - 90 * DAY, tmp_path / "reputation.bin"
    built = build_reputation(tables.clickhouse_url, out, NOW, since)
    expected = naive(events, labels, since)
    assert built.rows == {kind: len(found) for kind, found in expected.items()} and built.rows["address"] > 10
    for kind, table in zip(REPUTED, read_reputation(out).tables, strict=True):
        found = dict(
            zip(table.keys.tolist(), zip(table.events.tolist(), table.fraud.tolist(), strict=True), strict=True)
        )
        assert found.keys() == expected[kind].keys()
        for key, counts in expected[kind].items():
            assert found[key] == pytest.approx(counts, rel=1e-6, abs=1e-9), (kind, key)
    lookup = load_labelled_fraud(out)
    some = np.array([keys_of(one.address, one.asn) for one in events], np.uint64)
    counted, fraud = lookup.count(some)
    assert counted[:, 0] == pytest.approx([expected["address"].get(key, (0, 0))[0] for key in some[:, 0].tolist()])
    assert fraud[:, 2] == pytest.approx([expected["asn"].get(key, (0, 0))[1] for key in some[:, 2].tolist()])
    assert lookup.version == built.version


ADDRESS = address_bytes("198.18.7.7")


def one_event(**changed: Any) -> Seen:
    base = Seen(b"\x01" * 16, b"\x02" * 16, ADDRESS, 3320, "demo", "order-1", NOW)
    return base._replace(**changed)


def test_the_last_label_of_a_target_wins_before_and_after_the_engine_merges(tables: Namespace) -> None:
    write_events(tables, [one_event()])
    write_labels(tables, [Told("demo", "transaction", "order-1", "genuine", NOW - 1_000)])
    write_labels(tables, [Told("demo", "transaction", "order-1", "chargeback", NOW - 3_000)])
    for _ in range(2):
        counts = read_counts(tables.clickhouse_url, NOW, NOW - DAY)
        assert (counts.events, counts.events_fraud) == (1, 0)
        tables.clickhouse().execute("OPTIMIZE TABLE labels FINAL")


def test_of_labels_received_together_the_narrowest_says_it(tables: Namespace) -> None:
    write_events(tables, [one_event()])
    write_labels(
        tables,
        [
            Told("demo", "transaction", "order-1", "genuine", NOW),
            Told("demo", "event", "01" * 16, "confirmed_fraud", NOW),
            Told("demo", "session", "02" * 16, "genuine", NOW),
        ],
    )
    assert read_counts(tables.clickhouse_url, NOW, NOW - DAY).events_fraud == 1


def test_an_event_that_was_written_twice_counts_once_and_one_of_the_future_as_of_now(tables: Namespace) -> None:
    event = one_event(at=NOW + 3 * DAY)
    write_events(tables, [event])
    write_events(tables, [event])
    write_labels(tables, [Told("demo", "transaction", "order-1", "chargeback", NOW)])
    counts = read_counts(tables.clickhouse_url, NOW, NOW - DAY)
    assert counts.weight.tolist() == counts.fraud.tolist() == [1.0]


def test_another_merchants_label_of_the_same_id_says_nothing(tables: Namespace) -> None:
    write_events(tables, [one_event()])
    write_labels(tables, [Told("other", "transaction", "order-1", "chargeback", NOW)])
    write_labels(tables, [Told("demo", "event", "no id", "chargeback", NOW)])
    counts = read_counts(tables.clickhouse_url, NOW, NOW - DAY)
    assert (counts.events, len(counts.weight)) == (0, 0)


def test_labels_are_kept_for_400_days(tables: Namespace) -> None:
    ((created,),) = tables.clickhouse().execute("SHOW CREATE TABLE labels")
    assert "TTL toDateTime(labelled_at) + toIntervalDay(400)" in created
    assert "ENGINE = ReplacingMergeTree(received_at)" in created


def test_the_command_builds_and_shows_a_file(tables: Namespace, tmp_path: Path) -> None:
    import time

    at = int(time.time() * 1000) - DAY
    write_events(tables, [one_event(at=at), one_event(event_id=b"\x05" * 16, at=at, transaction="order-2")])
    write_labels(
        tables,
        [Told("demo", "transaction", f"order-{n}", label, at) for n, label in ((1, "chargeback"), (2, "genuine"))],
    )
    out = str(tmp_path / "r.bin")
    run = CliRunner().invoke(reputation_app, ["build", "--out", out, "--url", tables.clickhouse_url, "--json"])
    assert run.exit_code == 0, run.output
    built = json.loads(run.stdout)
    assert (built["events"], built["fraud"], built["rows"]) == (2, 1, {"address": 1, "network": 1, "asn": 1})
    shown = json.loads(CliRunner().invoke(reputation_app, ["show", out, "--json"]).stdout)
    assert shown["version"] == built["version"]
    assert shown["kinds"]["asn"]["decayed_fraud"] == pytest.approx(0.977, abs=0.002)


def test_a_database_without_tables_is_refused_in_one_sentence(namespace: Namespace, tmp_path: Path) -> None:
    with pytest.raises(ReputationError, match="cannot read labels from ClickHouse at ") as refused:
        build_reputation(namespace.clickhouse_url, tmp_path / "x", NOW, 0)
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())
