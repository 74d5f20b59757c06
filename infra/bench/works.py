"""What can be measured in processes of its own, by name: the floor, the pipeline, and every stage."""

from __future__ import annotations

from infra.bench.processes import Work

FLOOR, PIPELINE = "floor", "pipeline"


def work_of(what: str, batch: int, partition: int = 0) -> Work:
    """Load what the name means, with the shipped model and the generator's keys."""
    if what == FLOOR:
        from infra.bench.floor import FloorWork  # noqa: PLC0415 - heavy, and each work needs something else
        from infra.traffic.dataset import dataset_keys  # noqa: PLC0415
        from scoring.model import Model, find_model  # noqa: PLC0415

        return FloorWork(dataset_keys(), Model.load(find_model()), batch)
    from infra.bench.flow import PipelineWork, StageWork  # noqa: PLC0415
    from infra.flow import bench_parts  # noqa: PLC0415

    pipeline, encode = bench_parts()
    if what == PIPELINE:
        return PipelineWork(pipeline, encode, batch, partition)
    return StageWork(what.removeprefix("stage "), pipeline, encode, batch)
