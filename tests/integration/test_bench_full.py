"""The benchmarks through all real parts, each in a tiny form, on one stack."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, Final

import pytest
import typer
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from typer.testing import CliRunner

from infra.bench import e2e, ingest, latency, sinks
from infra.bench.events import Size, recorded_events
from infra.bench.measure import RowsLost
from infra.bench.pages import NO_LIMITS, Page, refusal, requests_of
from infra.bench.rig import Rig
from infra.cli import bench_full
from infra.flow import bench_parts
from infra.traffic.dataset import dataset_keys
from schemas.framing import unpack_frames
from schemas.sealed import HEADER_BYTES, NONCE_BYTES, read_header
from tests.kafka_parts import need_apache_kafka


@pytest.fixture(scope="module")
def records() -> list[bytes]:
    return recorded_events(1_000, 1, Size.FULL)


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    need_apache_kafka()
    with Rig(dataset_keys(), NO_LIMITS) as running:
        yield running


def test_latency_is_that_of_every_event_and_its_shares_are_those_of_the_ledger(rig: Rig, records: list[bytes]) -> None:
    found = latency.bench_latency(rig, records, latency.Load(rate=150, seconds=1.0, warm_seconds=1.0))
    assert 0 < found["events"] <= 300
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p99"] <= found["latency_ms"]["max"]
    assert set(found["shares_ms"]) == set(latency.BUDGET_MS)
    assert set(found["cpu_share"]) == {"kafka", "redis", "clickhouse", "flow", "load"}
    assert found["up_to_each_mark_ms"]["readable"]["p50"] > 0


def test_e2e_finds_every_accepted_event_in_all_stores(rig: Rig, records: list[bytes]) -> None:
    found = e2e.bench_e2e(rig, records, e2e.Load(events=200, warm=40, pages=5)).report()
    assert found["events"] == 200
    assert found["events_per_s"] > 0
    spent = {one["name"]: one["cpu_us_per_event"] for one in found["processes"]}
    assert set(spent) == {"kafka", "redis", "clickhouse", "flow", "ingest", "load"}
    assert found["details"]["stored_bytes_per_event"]["kafka events.raw"] > 8_000
    assert found["details"]["rows_spilled_clickhouse"] >= 0
    assert found["details"]["events_without_shared_counts"] >= 0


def test_a_rate_is_not_stated_where_an_event_is_missing(rig: Rig) -> None:
    rows = rig.asked("SELECT uniqExact(event_id) FROM events")
    with pytest.raises(RowsLost, match="1 events were accepted, Redis lacks 1"):
        e2e._check(rig, rows, [uuid.uuid4().hex])


class Counters:
    """Stands for a rig whose flow spilled ten rows and had six of them redriven."""

    series: Final[dict[tuple[str, ...], float]] = {
        ("clickgoose_sink_rows_total{", "clickhouse", "written"): 90.0,
        ("clickgoose_sink_rows_total{", "clickhouse", "spilled"): 10.0,
        ("clickgoose_redriven_rows_total{", "clickhouse", ""): 6.0,
        ("clickgoose_shared_counts_degraded_rows_total", "", ""): 7.0,
    }

    def figure(self, series: str, *labels: str) -> float:
        values = [label.partition("=")[2].strip('"') for label in labels]
        return self.series.get((series, *[*values, "", ""][:2]), 0.0)


def test_rows_that_are_redriven_are_held_and_what_was_spilled_is_said() -> None:
    rig: Any = Counters()
    assert e2e._held(rig, "clickhouse") == 96
    assert e2e.went_on_without(rig) == {
        "rows_backup_redis": 0,
        "rows_spilled_redis": 0,
        "rows_backup_clickhouse": 0,
        "rows_spilled_clickhouse": 10,
        "events_without_shared_counts": 7,
    }


def test_ingest_is_compared_with_a_bare_endpoint_in_the_same_run(rig: Rig, records: list[bytes]) -> None:
    load = ingest.Load(seconds=0.3, rounds=1, pages=4, requests=200, connections=4)
    found = ingest.bench_ingest(rig, records, load).report()
    assert found["batch"] == 20
    details = found["details"]
    assert details["to_bare"] == pytest.approx(details["requests_per_s"] / details["bare_requests_per_s"], abs=0.01)
    assert details["body_bytes"] > 8_000


def test_sinks_are_measured_alone_and_hold_every_row(rig: Rig, records: list[bytes]) -> None:
    load = sinks.Load(batch=64, quick_rows=100, bulk_rows=200)
    found = sinks.bench_sinks(rig, records[600:850], *bench_parts(), load)
    assert set(found["sinks"]) == {"kafka", "redis", "clickhouse"}
    assert all(one["rows_per_s"] > 0 for one in found["sinks"].values())


def test_requests_carry_new_events_that_the_sessions_own_key_opens(records: list[bytes]) -> None:
    page = Page(1, bytes(16), "token", AESGCM(bytes(32)), b"sign")
    first, second = requests_of([*records[:3], *records[:3]], dataset_keys(), [page], 3)
    assert len({*first.event_ids, *second.event_ids}) == 6
    body = first.wire.partition(b"\r\n\r\n")[2]
    for sealed, event_id in zip(unpack_frames(body, 3), first.event_ids, strict=True):
        header = read_header(sealed)
        assert header is not None
        assert (header.event_id.hex(), header.session_id) == (event_id, page.session_id)
        start = HEADER_BYTES + NONCE_BYTES
        assert page.cipher.decrypt(sealed[HEADER_BYTES:start], sealed[start:], sealed[:HEADER_BYTES])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b'HTTP/1.1 200 OK\r\n\r\n{"results":[{"status":"ok"},{"status":"ok"}]}', None),
        (b'HTTP/1.1 200 OK\r\n\r\n{"results":[{"status":"ok"},{"status":"drop"}]}', "2 events were sent, 1 accepted"),
        (b"HTTP/1.1 503 Unavailable\r\n\r\n{}", "503"),
    ],
)
def test_an_answer_that_did_not_take_every_event_is_a_refusal(answer: bytes, said: str | None) -> None:
    found = refusal(answer, 2)
    assert found is None if said is None else said in str(found)


@pytest.mark.parametrize("command", ["e2e", "latency", "ingest", "sinks"])
def test_each_command_explains_itself_with_an_example(command: str) -> None:
    app = typer.Typer()
    bench_full.add(app)
    shown = CliRunner().invoke(app, [command, "--help"])
    assert shown.exit_code == 0
    assert f"Example: clickgoose bench {command}" in shown.stdout
