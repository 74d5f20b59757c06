"""Benchmarks: what they report, and that they refuse to state a rate when rows were lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.bench.events import parcels
from infra.bench.floor import bench_floor
from infra.bench.flow import bench_pipeline, bench_stage, parcels_before
from infra.bench.measure import RowsLost
from infra.bench.score import bench_score
from infra.cli.bench import STAGES
from infra.flow import bench_parts
from infra.traffic.dataset import dataset_keys, labelled_batches
from schemas.batches import Enriched
from scoring.model import Model, find_model

EVENTS = 1_024
KEYS = {"events_per_s", "cpu_us_per_event", "rss_peak_mb", "machine", "events", "batch"}


@pytest.fixture(scope="module")
def values() -> list[bytes]:
    return [value for made in labelled_batches(EVENTS, 3, small=True) for value in made.raw.values]


def test_the_pipeline_accounts_for_every_event_and_names_every_stage(values: list[bytes], tmp_path: Path) -> None:
    report = bench_pipeline(values, *bench_parts(), 256, tmp_path).report()
    assert report.keys() >= KEYS
    assert report["details"]["scored"] + report["details"]["dead"] + report["details"]["dropped"] == EVENTS
    assert set(report["details"]["stages"]) == set(STAGES)


def test_the_floor_scores_the_same_events(values: list[bytes]) -> None:
    report = bench_floor(values, dataset_keys(), Model.load(find_model()), 256).report()
    assert report.keys() >= KEYS
    assert report["events"] == EVENTS


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_measured_alone(values: list[bytes], name: str) -> None:
    report = bench_stage(name, values, bench_parts()[0], 256).report()
    assert report["name"] == f"stage {name}"
    assert 0 < report["events"] <= EVENTS


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


def test_a_pipeline_that_loses_rows_has_no_rate(values: list[bytes], tmp_path: Path) -> None:
    stages, encode = bench_parts()

    def lossy(parcel):  # type: ignore[no-untyped-def] - the wrong thing on purpose
        encoded = encode(parcel)
        return type(encoded)(encoded.parcel, encoded.results[1:], encoded.records[1:])

    with pytest.raises(RowsLost, match="events in"):
        bench_pipeline(values, stages, lossy, 256, tmp_path)


def test_records_are_cut_into_parcels_with_rising_offsets(values: list[bytes]) -> None:
    spans = [parcel.spans[0] for parcel in parcels(values, 100)]
    assert [(span.first, span.next) for span in spans][:2] == [(0, 100), (100, 200)]
    assert spans[-1].next == EVENTS
