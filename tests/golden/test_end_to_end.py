"""From a file of records to files of results and dead letters: the same by call, by Bytewax, and on two workers."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bytewax.testing import TestingSink, TestingSource, cluster_main, run_main

from enrichers.present import present
from flows.checkpoints import Checkpoints
from flows.parcel import Parcel
from flows.pipeline import Pipeline, build_pipeline
from flows.progress import Progress
from flows.run_stage import Monitor
from flows.score_events import Parts, build_flow
from flows.sinks.encoded import EncodedParcel, encoder
from infra.traffic.dataset import labelled_batches
from schemas.batches import RawBatch
from schemas.dead_letter import encode_dead_letter
from scoring.deployment import only
from scoring.explain import Explainer
from scoring.model import Model, find_model
from tests.golden.conftest import Golden
from tests.wire import BAD, LATENESS, RING, mixture, parcel, raw_batch

RECORDS = "records.jsonl"


def generated() -> bytes:
    """Return 40 events of honest visitors and attackers in partition 0, and one of every kind of bad ones in 1."""
    (made,) = labelled_batches(40, seed=11, small=True)
    rows = [(0, value) for value in made.raw.values] + [(1, value) for value in mixture()]
    return b"".join(
        json.dumps({"partition": partition, "value": base64.b64encode(value).decode()}).encode() + b"\n"
        for partition, value in rows
    )


@pytest.fixture(scope="module")
def batches(golden: Golden) -> list[RawBatch]:
    """Return the records of each partition as one batch. The file is kept: it is what was on the wire once."""
    if golden.update:
        golden.check(RECORDS, generated())
    values: dict[int, list[bytes]] = {0: [], 1: []}
    for line in golden.read(RECORDS).splitlines():
        record = json.loads(line)
        values[record["partition"]].append(base64.b64decode(record["value"]))
    return [raw_batch(found, partition) for partition, found in values.items()]


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.load(find_model())


@pytest.fixture(scope="module")
def pipeline(model: Model) -> Pipeline:
    return build_pipeline(RING, only(model), lateness_ms=LATENESS)


def parcels(batches: list[RawBatch], rows: int) -> list[Parcel[RawBatch]]:
    """Return the batches in pieces of at most so many rows, the partitions in turn."""
    found = [
        (at, parcel(batch.take(np.arange(at, min(at + rows, len(batch))))))
        for batch in batches
        for at in range(0, len(batch), rows)
    ]
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


def written(done: list[EncodedParcel]) -> tuple[bytes, bytes]:
    """Return results without their ledgers, and dead letters, as lines in the order of their places."""
    results: list[tuple[int, int, bytes]] = []
    letters: list[tuple[int, int, bytes]] = []
    for item in done:
        for record in item.records:
            result: dict[str, Any] = json.loads(record)
            assert list(result.pop("ledger")) == [
                "appended", "polled", "decode", "verify_mask", "normalize", "velocity", "recognize", "relate", "enrich",
                "score", "judge", "decide",
            ]  # fmt: skip
            place = result["origin"]
            results.append((place["partition"], place["offset"], json.dumps(result).encode()))
        letters += [(letter.partition, letter.offset, encode_dead_letter(letter)) for letter in item.parcel.errs]
    return tuple(b"".join(line + b"\n" for *_, line in sorted(found)) for found in (results, letters))  # type: ignore[return-value]


def by_call(pipeline: Pipeline, model: Model, items: list[Parcel[RawBatch]]) -> tuple[bytes, bytes]:
    sessions = {partition: pipeline.keyed.open(()) for partition in (0, 1)}
    encode = encoder(Explainer(), present, "golden")
    monitor = Monitor.silent()
    return written([encode(pipeline.run(item, sessions[item.spans[0].partition], monitor)) for item in items])


def by_bytewax(
    pipeline: Pipeline, model: Model, items: list[Parcel[RawBatch]], state: Path, workers: int
) -> tuple[bytes, bytes]:
    monitor, out = Monitor.silent(), []
    checkpoints = Checkpoints(state, pipeline.keyed, Progress(["out"]), monitor)
    checkpoints.open({0: 10_000, 1: 10_000})
    parts = Parts(
        source=TestingSource(items),
        pipeline=pipeline,
        checkpoints=checkpoints,
        encode=encoder(Explainer(), present, "golden"),
        sinks={"out": TestingSink(out)},
        monitor=monitor,
    )
    flow = build_flow(parts)
    if workers == 1:
        run_main(flow)
    else:
        cluster_main(flow, [], 0, worker_count_per_proc=workers)
    checkpoints.finish()
    return written(out)


def test_the_account_balances_and_every_kind_of_bad_event_is_in_it(
    batches: list[RawBatch], pipeline: Pipeline, model: Model
) -> None:
    results, letters = by_call(pipeline, model, parcels(batches, 1024))
    reasons = [json.loads(line)["reason"] for line in letters.splitlines()]
    assert sorted(reasons) == sorted(reason.value for reason in BAD)
    duplicates = 2
    assert len(results.splitlines()) + len(reasons) + duplicates == sum(map(len, batches))
    decisions = {json.loads(line)["decision"] for line in results.splitlines()}
    assert {"allow", "deny"} <= decisions


def test_the_outcome_is_the_golden_one(
    batches: list[RawBatch], pipeline: Pipeline, model: Model, golden: Golden
) -> None:
    results, letters = by_call(pipeline, model, parcels(batches, 16))
    golden.check("results.jsonl", results)
    golden.check("dead_letters.jsonl", letters)


@pytest.mark.parametrize("rows", [1, 7, 1024])
def test_the_outcome_does_not_depend_on_how_records_were_polled(
    rows: int, batches: list[RawBatch], pipeline: Pipeline, model: Model
) -> None:
    assert by_call(pipeline, model, parcels(batches, rows)) == by_call(pipeline, model, parcels(batches, 16))


@pytest.mark.parametrize("workers", [1, 2])
def test_bytewax_gives_what_the_call_gives(
    workers: int, batches: list[RawBatch], pipeline: Pipeline, model: Model, tmp_path: Path
) -> None:
    items = parcels(batches, 16)
    assert by_bytewax(pipeline, model, items, tmp_path, workers) == by_call(pipeline, model, items)
