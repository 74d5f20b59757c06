"""Benchmarks: what they report, and that they refuse to state a rate when rows were lost."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from flows.parcel import Parcel
from flows.sinks.encoded import EncodedParcel
from infra.bench.events import Size, cache_directory, forget, own_events, parcels, recorded_file
from infra.bench.feed import Feed
from infra.bench.floor import FloorWork
from infra.bench.flow import PipelineWork, StageWork, parcels_before
from infra.bench.measure import (
    Figures,
    ProcessFigures,
    RowsLost,
    added_sizes,
    batch_sizes,
    combined,
    machine,
)
from infra.bench.processes import Plan, bench_processes, bench_turns, check_account
from infra.bench.score import bench_score
from infra.cli import app
from infra.cli.bench_flow import MEASURED_ALONE, STAGES
from infra.cli.bench_parts import measuring, show, table_rows
from infra.flow import bench_parts
from infra.traffic.dataset import dataset_keys
from schemas.batches import Decided, Enriched
from scoring.model import Model, find_model

EVENTS = 1_024
KEYS = {
    "events_per_s", "cpu_us_per_event", "cpu_us_per_event_of_stages", "batch_sizes", "rss_peak_mb", "processes",
    "machine", "events", "seconds", "batch",
}  # fmt: skip


@pytest.fixture(scope="module")
def path() -> Path:
    return recorded_file(EVENTS, 3, Size.FULL)


@pytest.fixture(scope="module")
def values(path: Path) -> list[bytes]:
    return own_events(path, EVENTS)


def feed_of(values: list[bytes], events: int = EVENTS, batch: int = 256) -> Feed:
    return Feed(values, dataset_keys(), events, batch=batch)


def figures(**changed: Any) -> Figures:
    made = combined("pipeline", 256, 1_000, 0.5, [ProcessFigures("pipeline 0", 600, 0.03, 300.0),
                                                  ProcessFigures("pipeline 1", 400, 0.01, 200.0)])  # fmt: skip
    return replace(made, **changed)


def test_figures_of_several_processes_add_up() -> None:
    report = figures().report()
    assert report.keys() >= KEYS
    assert report["events_per_s"] == 2_000
    assert report["cpu_us_per_event"] == 40
    assert report["rss_peak_mb"] == 500
    assert [one["cpu_us_per_event"] for one in report["processes"]] == [50, 25]


def test_a_report_says_where_it_was_measured() -> None:
    found = machine()
    assert found["cores"] >= 1
    assert found["python"].startswith("3.")
    assert {"numpy", "bytewax", "onnxruntime"} <= found["versions"].keys()
    assert found["cpu"]


def test_batch_sizes_are_counted_in_classes_that_double() -> None:
    assert batch_sizes([1, 2, 3, 4, 64, 65, 128, 256, 0]) == {
        "1": 1, "2": 1, "3 to 4": 2, "33 to 64": 1, "65 to 128": 2, "129 to 256": 1,
    }  # fmt: skip
    assert added_sizes([{"129 to 256": 1, "1": 2}, {"1": 1, "3 to 4": 5}]) == {"1": 3, "3 to 4": 5, "129 to 256": 1}


def test_nothing_done_has_no_rate() -> None:
    with pytest.raises(RowsLost, match="no event came out"):
        combined("floor", 256, 0, 1.0, [])


def test_the_table_has_processes_stages_batches_and_details() -> None:
    report = figures(
        cpu_us_per_event_of_stages={"decode": 1.5}, batch_sizes={"129 to 256": 4}, details={"latency_ms": {"p50": 2.0}}
    ).report()
    rows = dict(table_rows(report))
    assert rows["events/s"] == "2,000"
    assert rows["  pipeline 1: CPU µs/event"] == "25.00"
    assert rows["  decode: CPU µs/event"] == "1.50"
    assert rows["  batches of 129 to 256"] == "4"
    assert rows["  p50"] == "2.00"


def test_the_report_is_a_table_or_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    show(figures(), as_json=True)
    assert json.loads(capsys.readouterr().out)["events"] == 1_000
    show(figures(), as_json=False)
    assert "CPU µs/event" in capsys.readouterr().out


def test_lost_rows_end_a_command_with_one_sentence_and_no_rate(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, measuring("pipeline") as measure:
        measure.say("pipeline")
        raise RowsLost("pipeline: 10 events in, 9 scored")
    said = capsys.readouterr()
    assert ended.value.exit_code == 1
    assert said.out == ""
    assert "There is no rate to print: pipeline: 10 events in, 9 scored" in said.err


@pytest.mark.parametrize("account", [{"scored": 99}, {"scored": 90, "dead": 10}, {"scored": 90, "dropped": 10}])
def test_rows_that_were_lost_or_refused_have_no_rate(account: dict[str, int]) -> None:
    with pytest.raises(RowsLost, match=r"100 events"):
        check_account("pipeline", 100, account)


def test_an_account_that_balances_is_good() -> None:
    check_account("pipeline", 1_000, {"scored": 995, "dead": 3, "dropped": 2})


def test_full_events_have_8_to_12_kilobytes_and_a_thousand_signals_and_a_log(values: list[bytes]) -> None:
    verified = parcels_before("verify_mask", values, bench_parts()[0], EVENTS)[0].batch
    sizes = [len(value) for value in values]
    assert len(verified) == EVENTS
    assert min(sizes) >= 8_000
    assert max(sizes) <= 12_288
    signals = verified.signals
    known = (signals.numbers == signals.numbers).sum(axis=1) + signals.known.sum(axis=1)
    assert (known + (signals.categories != 0).sum(axis=1)).min() >= 1_000
    entries = verified.activity.offsets[1:] - verified.activity.offsets[:-1]
    assert entries.min() >= 480


def test_the_pipeline_accounts_for_every_event_and_names_every_stage(values: list[bytes]) -> None:
    work, feed = PipelineWork(*bench_parts(), 256), feed_of(values, EVENTS + 300)
    done = work(feed)
    assert done.account == {"scored": EVENTS + 300, "dead": 0, "dropped": 0}
    assert set(done.stages) == {*STAGES, "remember", "snapshot", "encode"}
    assert all(seconds >= 0 for seconds in done.stages.values())
    assert sum(done.stages.values()) <= feed.watch.cpu * 1.05


def test_records_that_come_again_are_those_of_another_week(values: list[bytes]) -> None:
    (first, again) = feed_of(values[:64], 128, batch=64).batches(lambda records, _: records)
    decode = bench_parts()[0].decode
    before, after = (decode(next(parcels(records, 64)).batch).oks for records in (first, again))
    assert len(after) == 64
    seen = {row.tobytes() for row in before.event.event_id}
    assert not seen & {row.tobytes() for row in after.event.event_id}
    assert not {row.tobytes() for row in before.event.device_id} & {row.tobytes() for row in after.event.device_id}
    assert (after.event.received_at - before.event.received_at == 7 * 86_400_000).all()
    assert after.event.linked_id == before.event.linked_id
    assert (after.signals.categories == before.signals.categories).all()


def test_the_floor_scores_the_same_events(values: list[bytes]) -> None:
    model = Model.load(find_model())
    for compiled in (False, True):
        done = FloorWork(dataset_keys(), model, 256, compiled=compiled)(feed_of(values))
        assert done.account == {"scored": EVENTS}
        assert {"decrypt", "vector", "velocity", "rules", "score", "encode"} == set(done.stages)


@pytest.mark.parametrize("name", MEASURED_ALONE)
def test_a_stage_is_measured_alone(values: list[bytes], name: str) -> None:
    feed = feed_of(values[:512], 512)
    done = StageWork(name, *bench_parts(), 256)(feed)
    assert done.account == {"scored": 512, "dead": 0, "dropped": 0}
    assert feed.watch.cpu > 0


def test_two_processes_share_the_events_by_device(path: Path) -> None:
    shares: list[float] = []
    found = bench_processes(Plan("floor", path, 256, 2, EVENTS), shares.append).report()
    assert found["events"] == EVENTS
    assert [one["events"] for one in found["processes"]] == [EVENTS // 2, EVENTS // 2]
    assert found["batch_sizes"] == {"129 to 256": 4}
    assert sum(shares) == pytest.approx(1.0)
    assert found["cpu_us_per_event_of_stages"].keys() >= {"decrypt", "score", "rest"}


def test_batch_sizes_take_turns_in_one_process_and_are_told_apart(path: Path) -> None:
    found = bench_turns(Plan("floor", path, 256, 1, 4 * EVENTS, others=(64,)))
    assert {size: (one.batch, one.events) for size, one in found.items()} == {64: (64, 2_048), 256: (256, 2_048)}
    assert all(one.cpu_us_per_event > 0 and one.seconds > 0 for one in found.values())


def test_batch_sizes_for_which_no_events_are_left_have_no_rate(path: Path) -> None:
    with pytest.raises(RowsLost, match="no event came out"):
        bench_turns(Plan("floor", path, 256, 1, EVENTS, others=(64,)))


def test_a_process_that_fails_is_one_sentence(path: Path) -> None:
    with pytest.raises(RowsLost, match="a process of stage nothing failed with FileNotFoundError"):
        bench_processes(Plan("stage nothing", path.with_name("missing.bin"), 256, 1, EVENTS))


def test_the_score_is_measured_beside_xgboost_and_onnx_on_the_same_trees(values: list[bytes]) -> None:
    batches = [parcel.batch for parcel in parcels_before("score", values[:512], bench_parts()[0], 256)]
    report = bench_score(Enriched.concat(batches), Model.load(find_model())).report()
    assert report.keys() >= KEYS
    details = report["details"]
    assert details["us_per_event_of_256_at_most"] == 15
    assert details["ms_per_batch_of_64_at_most"] == 3
    assert set(details["engines"]) >= {"stage", "features", "score_and_factors", "onnx_plain", "xgboost_plain"}
    assert all(spent > 0 for by_batch in details["engines"].values() for spent in by_batch.values())
    assert details["engines"]["stage"]["256"] == details["us_per_event_of_256"]
    assert details["parity"]["score_and_xgboost"] < 1e-3
    assert max(details["parity"]["factors_and_onnx"], details["parity"]["onnx_plain_and_xgboost"]) < 1e-4


def test_too_few_events_for_one_batch_are_refused(values: list[bytes]) -> None:
    batches = [parcel.batch for parcel in parcels_before("score", values[:100], bench_parts()[0], 256)]
    with pytest.raises(ValueError, match="too few to measure"):
        bench_score(Enriched.concat(batches), Model.load(find_model()))


def test_a_pipeline_that_loses_rows_has_no_rate(values: list[bytes]) -> None:
    stages, encode = bench_parts()

    def lossy(parcel: Parcel[Decided]) -> EncodedParcel:
        return replace(encode(parcel), records=encode(parcel).records[1:])

    done = PipelineWork(stages, lossy, 256)(feed_of(values))
    with pytest.raises(RowsLost, match="events in"):
        check_account("pipeline", EVENTS, done.account)


def test_records_are_cut_into_parcels_with_rising_offsets(values: list[bytes]) -> None:
    spans = [parcel.spans[0] for parcel in parcels(values, 100, first=50)]
    assert [(span.first, span.next) for span in spans][:2] == [(50, 150), (150, 250)]
    assert spans[-1].next == EVENTS + 50


def test_the_cache_forgets_what_was_not_used_for_longest(tmp_path: Path) -> None:
    files = [tmp_path / f"events-{name}.bin" for name in "abc"]
    for at, file in enumerate(files):
        file.write_bytes(b"x" * 100)
        os.utime(file, (at, at))
    forget(tmp_path, 250, keep=files[0])
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["events-a.bin", "events-c.bin"]


def test_the_cache_lies_where_the_user_keeps_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "clickgoose" / "bench"


@pytest.mark.parametrize("words", [["stage", "nothing"], ["floor", "--size", "huge"], ["pipeline", "--processes", "0"]])
def test_what_cannot_be_measured_is_wrong_use(words: list[str]) -> None:
    assert CliRunner().invoke(app, ["bench", *words]).exit_code == 2
