"""Training on the real engine: stored features and late labels, joined, sampled and refused as it is said."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from infra.cli import model_train
from infra.training_clickhouse import Wanted, from_clickhouse
from infra.training_source import TrainingDataError, joined
from scoring.features import feature_schema
from scoring.stored_features import pack
from tests.migrated import migrate
from tests.stack_fixture import Namespace
from tests.tiny_model import tiny_set

pytestmark = pytest.mark.stack
ROWS = 300
DAY = 86_400_000
RANDOM = Random(12)
IDS = sorted(RANDOM.randbytes(16) for _ in range(ROWS))
SESSIONS = [RANDOM.randbytes(16) for _ in range(ROWS)]
DEVICES = [RANDOM.randbytes(16) for _ in range(ROWS // 4)]
TIMES = tiny_set().times[:ROWS] // 1_000 * 1_000
FIRST, LAST = int(TIMES[0]), int(TIMES[-1])
FRAUD = tiny_set().labels[:ROWS] == 1


@dataclass
class Tables:
    """A database with events and features, to which a test adds labels."""

    url: str
    client: Any

    def label(self, merchant: str, target: str, name: str, label: str, received: int = 0) -> tuple[Any, ...]:
        now = datetime.now(UTC)  # what is older than 400 days is deleted
        return (merchant, target, name, label, now, datetime.fromtimestamp((LAST + received) / 1000, UTC))

    def write_labels(self, *labels: tuple[Any, ...]) -> None:
        columns = "merchant, target, id, label, labelled_at, received_at"
        self.client.execute(f"INSERT INTO labels ({columns}) VALUES", list(labels))

    def label_all(self, rows: range = range(ROWS)) -> None:
        """Label events in turn by event, session and transaction."""
        names = (
            ("event", lambda row: IDS[row].hex()),
            ("session", lambda row: SESSIONS[row].hex()),
            ("transaction", lambda row: f"order-{row}"),
        )
        said = {True: ("chargeback", "confirmed_fraud"), False: ("genuine", "genuine")}
        targets = [(row, *names[row % 3]) for row in rows]
        self.write_labels(
            *(self.label("demo", target, name(row), said[bool(FRAUD[row])][row % 2]) for row, target, name in targets)
        )


@pytest.fixture
def tables(namespace: Namespace) -> Tables:
    migrate(namespace.clickhouse_url)
    client = namespace.clickhouse()
    moments = [datetime.fromtimestamp(at / 1000, UTC) for at in TIMES.tolist()]
    events = [
        {
            "event_id": IDS[row], "session_id": SESSIONS[row], "device_id": DEVICES[row % len(DEVICES)],
            "address": bytes(16), "merchant": "demo", "transaction": f"order-{row}", "occurred_at": moments[row],
            "received_at": moments[row], "appended_at": moments[row], "polled_at": moments[row],
        }
        for row in range(ROWS)
    ]  # fmt: skip
    client.execute(f"INSERT INTO events ({', '.join(events[0])}) VALUES", events)
    packed = pack(tiny_set().features[:ROWS])
    digest = feature_schema().digest()
    rows = [("demo", moments[row], IDS[row], digest, "goose-1", packed[row].tobytes()) for row in range(ROWS)]
    client.execute("INSERT INTO features (merchant, occurred_at, event_id, schema, model, packed) VALUES", rows[::-1])
    return Tables(namespace.clickhouse_url, client)


def wanted(**changed: Any) -> Wanted:
    return Wanted(**{"since": FIRST, "until": LAST + 1, "rows": 10_000, **changed})


def test_labels_of_events_sessions_and_transactions_join_the_features_bit_for_bit(tables: Tables) -> None:
    tables.label_all()
    found = from_clickhouse(tables.url, wanted())
    data = joined(found)
    assert (found.rows, len(data)) == (ROWS, ROWS)
    assert data.times.tolist() == TIMES.tolist()
    assert data.labels.tolist() == FRAUD.astype(int).tolist()
    assert data.features.tobytes() == tiny_set().features[:ROWS].tobytes()
    assert set(data.kinds) == {"fraud", "genuine"} and set(data.sources) == {"clickhouse"}
    assert (data.weights == 1).all()
    assert (data.campaigns >= 0).tolist() == FRAUD.tolist()
    same_device = [row for row in range(ROWS) if row % len(DEVICES) == int(np.flatnonzero(FRAUD)[0]) and FRAUD[row]]
    assert len(set(data.campaigns[same_device].tolist())) == 1
    assert f"{int(FRAUD.sum()):,} fraud" in found.told


def test_the_later_label_wins_and_another_merchants_says_nothing(tables: Tables) -> None:
    tables.label_all()
    honest = [row for row in np.flatnonzero(~FRAUD).tolist() if row % 3 == 0][:2]
    tables.write_labels(
        tables.label("demo", "transaction", f"order-{honest[0]}", "chargeback", 5_000),
        tables.label("other", "event", IDS[honest[1]].hex(), "chargeback", 5_000),
    )
    labels = joined(from_clickhouse(tables.url, wanted())).labels
    assert labels[honest].tolist() == [1, 0]


def test_events_without_a_label_are_left_out_or_genuine_once_they_are_old(tables: Tables) -> None:
    tables.label_all(range(100, ROWS))
    assert len(joined(from_clickhouse(tables.url, wanted()))) == ROWS - 100
    border = int(TIMES[60])
    data = joined(from_clickhouse(tables.url, wanted(genuine_until=border)))
    assert data.times.tolist() == [*TIMES[:60].tolist(), *TIMES[100:].tolist()]
    assert set(data.kinds[:60]) == {"unlabelled"} and not data.labels[:60].any()


def test_a_range_of_time_bounds_the_events(tables: Tables) -> None:
    tables.label_all()
    data = joined(from_clickhouse(tables.url, wanted(since=int(TIMES[50]), until=int(TIMES[250]))))
    assert data.times.tolist() == TIMES[50:250].tolist()


def test_a_cap_samples_by_label_in_order_of_time_and_weights_stand_for_all(tables: Tables) -> None:
    tables.label_all()
    found = from_clickhouse(tables.url, wanted(rows=120))
    data = joined(found)
    fraud, honest = int(FRAUD.sum()), int((~FRAUD).sum())
    assert len(data) == 120 and data.labels.sum() == min(fraud, 60)
    assert (np.diff(data.times) >= 0).all()
    assert data.weights[data.labels == 1].sum() == pytest.approx(fraud)
    assert data.weights[data.labels == 0].sum() == pytest.approx(honest)
    rows = np.searchsorted(TIMES, data.times)
    assert data.features.tobytes() == tiny_set().features[:ROWS][rows].tobytes()
    assert joined(from_clickhouse(tables.url, wanted(rows=120))).times.tolist() == data.times.tolist()
    assert "A sample of 120 of them" in found.told


def test_events_of_another_schema_are_counted_and_refused(tables: Tables) -> None:
    tables.label_all()
    moment = datetime.fromtimestamp(int(TIMES[3]) / 1000, UTC)
    late = datetime.fromtimestamp(LAST / 1000, UTC)
    columns = "event_id, session_id, device_id, address, merchant, transaction, occurred_at, received_at, appended_at"
    events = [(bytes([n]) * 16, bytes(16), bytes(16), bytes(16), "demo", "order-2", moment, late, late) for n in (1, 2)]
    tables.client.execute(f"INSERT INTO events ({columns}) VALUES", events)
    rows = [("demo", moment, one[0], "0123456789abcdef01", "goose-0", b"x") for one in events]
    tables.client.execute("INSERT INTO features (merchant, occurred_at, event_id, schema, model, packed) VALUES", rows)
    with pytest.raises(
        TrainingDataError, match=r"2 of schema 0123456789abcdef were scored .*its own begin at 20"
    ) as no:
        from_clickhouse(tables.url, wanted())
    assert "\n" not in str(no.value)


def test_too_few_labels_none_at_all_and_no_features_are_refused(tables: Tables) -> None:
    with pytest.raises(TrainingDataError, match="no label speaks of an event"):
        from_clickhouse(tables.url, wanted())
    tables.label_all(range(30))
    with pytest.raises(TrainingDataError, match=r"too few labels: \d+ fraudulent and \d+ genuine events, and each"):
        from_clickhouse(tables.url, wanted())
    tables.label_all()
    tables.client.execute("TRUNCATE TABLE features")
    with pytest.raises(TrainingDataError, match=r"0 fraudulent and 0 genuine events \(300 more have no stored"):
        from_clickhouse(tables.url, wanted())


def test_a_database_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(TrainingDataError, match=r"cannot read events from ClickHouse at 127\.0\.0\.1:9: ") as refused:
        from_clickhouse("clickhouse://u:secret@127.0.0.1:9/x", wanted())
    assert "secret" not in str(refused.value) and "\n" not in str(refused.value)


def run(*arguments: str) -> Any:
    app = typer.Typer()
    model_train.register(app)
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_command_trains_the_same_model_from_clickhouse_and_from_its_export(tables: Tables, tmp_path: Path) -> None:
    tables.label_all()
    stored = ("--since", "2020-01-01", "--url", tables.url, "--json")
    plan = ("--trees", "6", "--depth", "3", "--no-default", "--out", str(tmp_path / "models"))
    direct = run("train", "--from", "clickhouse", *stored, *plan)
    assert run("export-data", "--out", str(tmp_path / "data"), *stored)["events"] == ROWS
    again = run("train", "--from", "files", "--files", str(tmp_path / "data"), *plan, "--json")
    assert again["version"] == direct["version"]
    manifest = json.loads((tmp_path / "models" / direct["version"] / "manifest.json").read_bytes())
    assert manifest["data_window"] == {"first": FIRST, "last": LAST, "rows": ROWS, "sources": {"clickhouse": ROWS}}
    assert manifest["data"].startswith("Events that merchants labelled")
    assert "What is" not in manifest["data"] and "imulat" not in manifest["data"]
