"""``clickgoose bench`` floor, pipeline, stage and pair: the flow's work, in processes of its own, without a stack."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.bench_parts import Batch, Events, Json, Measuring, Processes, Seconds, Seed, measuring

if TYPE_CHECKING:
    from pathlib import Path

    from infra.bench.measure import Figures
    from infra.bench.processes import Plan

STAGES = (
    "decode", "verify_mask", "normalize", "velocity", "recognize", "relate", "enrich", "score", "judge", "decide",
)  # fmt: skip
MEASURED_ALONE = (*STAGES, "encode")
_COMPARED = ("enrich", "score")  # stages of whose inner parts there is more to say
_SECONDS = 3.0

Size = Annotated[str, typer.Option(help="full: 8 to 12 KB sealed, 1,000 signals and more; checkout: about 3.5 KB")]
Batches = Annotated[
    list[int] | None, typer.Option("--batch", min=1, max=4096, help="Events a batch; several are measured in turn")
]


def add(bench: typer.Typer) -> None:
    """Add the commands to the group."""
    for command in (floor, pipeline, stage, pair):
        bench.command(command.__name__)(command)


def floor(
    events: Events = 20_000,
    seconds: Seconds = _SECONDS,
    processes: Processes = 1,
    batch: Batch = 256,
    size: Size = "full",
    seed: Seed = 1,
    as_json: Json = False,
) -> None:
    """Measure the same work in a tight loop without any framework.

    Decrypt, lay out the vector, twelve counters, 24 column rules, ONNX score with factors, encode.

    Example: clickgoose bench floor --processes 2 --json
    """
    with measuring("floor", as_json=as_json) as measure:
        plan = _plan("floor", _events_file(measure, events, seed, size), events, seconds, processes, batch)
        measure.show(_measured(plan, measure))


def pipeline(
    events: Events = 20_000,
    seconds: Seconds = _SECONDS,
    processes: Processes = 1,
    batch: Batches = None,
    size: Size = "full",
    seed: Seed = 1,
    scaling: Annotated[bool, typer.Option(help="Measure one process as well, and print the ratio of rates")] = False,
    most_growth_mb: Annotated[
        float, typer.Option(min=0, help="Fail where a process grows by more once its caches are full; 0: any")
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """Measure the real dataflow: all stages, state log, results encoded, a counting sink.

    Each process has its own devices, partition and state; all start together. Beyond 20,000 events they come again as
    those of another week, with new events, sessions and devices. Several batches take turns in the same processes,
    chunks of 1,024 events, and the figures of the last are at the top; with --scaling one process is measured first.

    Exit codes: 0 measured; 1 rows were lost, or the memory grew.

    Examples: clickgoose bench pipeline --processes 2 --scaling; clickgoose bench pipeline --batch 64 --batch 256;
    clickgoose bench pipeline --processes 2 --events 5000000 --seconds 0 --most-growth-mb 20
    """
    sizes = batch or [256]
    with measuring("pipeline", total=1 + scaling, as_json=as_json) as measure:
        path = _events_file(measure, events, seed, size)
        plan = _plan("pipeline", path, events, seconds * len(sizes), processes, sizes[-1])
        others = {}
        if scaling:
            others["1 process"] = _measured(replace(plan, processes=1, seconds=seconds), measure, "1 process")
        if len(sizes) > 1:
            *rest, figures = _in_turn(replace(plan, others=sizes[:-1]), measure)
            others |= {f"batch {one.batch}": one for one in rest}
        else:
            figures = _measured(plan, measure)
        measure.show(_compared(figures, others, processes) if others else figures)
        _refuse_growth(figures, most_growth_mb)


def stage(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(MEASURED_ALONE)}")],
    events: Events = 20_000,
    seconds: Seconds = 0.0,
    processes: Processes = 1,
    batch: Batch = 256,
    size: Size = "full",
    seed: Seed = 1,
    as_json: Json = False,
) -> None:
    """Measure one stage alone, on what the stages before it give.

    enrich and score are measured in batches of 256 and of 64 as well, score beside XGBoost and ONNX Runtime.

    Example: clickgoose bench stage score --json
    """
    if name not in MEASURED_ALONE:
        raise typer.BadParameter(f"there is no stage {name!r}; take one of {', '.join(MEASURED_ALONE)}")
    with measuring(f"stage {name}", as_json=as_json) as measure:
        path = _events_file(measure, events, seed, size)
        figures = _measured(_plan(f"stage {name}", path, events, seconds, processes, batch), measure)
        if name in _COMPARED:
            measure.say(f"the parts of {name}")
            inner = (_enrich if name == "enrich" else _score)(path, events)
            figures = replace(figures, details={**figures.details, **inner.details})
        measure.show(figures)


def pair(
    events: Annotated[int, typer.Option(min=256, max=20_000, help="Events of a round")] = 4_096,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Of each; the median of their ratios counts")] = 6,
    batch: Batch = 256,
    size: Size = "full",
    seed: Seed = 1,
    as_json: Json = False,
) -> None:
    """Measure floor and pipeline in turn in one process, and the ratio of their CPU per event.

    Exit codes: 0 measured; 1 rows were lost, or the ratio is above what CI allows.

    Example: clickgoose bench pair --rounds 12
    """
    with measuring("pair", as_json=as_json) as measure:
        path = _events_file(measure, events, seed, size)
        from infra.bench.events import own_events
        from infra.bench.pair import MOST_RATIO, bench_pair

        found = bench_pair(own_events(path, events), batch, rounds, measure.advance)
        measure.show(found)
    if found["ratios"]["pipeline_to_floor"] > MOST_RATIO:
        typer.echo(f"the pipeline costs more than {MOST_RATIO} times the floor: see docs/performance.md", err=True)
        raise typer.Exit(1)


def _plan(what: str, path: Path, events: int, seconds: float, processes: int, batch: int) -> Plan:
    from infra.bench.processes import Plan

    return Plan(what, path, batch, processes, events, seconds)


def _measured(plan: Plan, measure: Measuring, label: str = "") -> Figures:
    from infra.bench.processes import bench_processes

    measure.say(f"{plan.what} {label}".rstrip())
    return bench_processes(plan, measure.advance)


def _in_turn(plan: Plan, measure: Measuring) -> list[Figures]:
    from infra.bench.processes import bench_turns

    measure.say(f"{plan.what}, batches of {', '.join(map(str, (*plan.others, plan.batch)))} in turn")
    return list(bench_turns(plan, measure.advance).values())


def _events_file(measure: Measuring, events: int, seed: int, size: str) -> Path:
    """Return the file of the events, made where it is not there."""
    from infra.bench import events as made
    from infra.bench.processes import POOLS

    try:
        wanted = made.Size(size)
    except ValueError:
        raise typer.BadParameter(f"there is no size {size!r}; take full or checkout") from None
    measure.say(f"sealed events, {size}, made once")
    return made.recorded_file(min(events, POOLS[wanted]), seed, wanted)


def _compared(figures: Figures, others: dict[str, Figures], processes: int) -> dict[str, Any]:
    """Return the report with the other runs, and what they are to the last."""
    ratios = {}
    for label, other in others.items():
        if label == "1 process":
            ratios[f"rate_of_{processes}_processes_to_1"] = round(figures.events_per_s / other.events_per_s, 3)
        else:
            ratios[f"cost_of_{label.replace(' ', '_')}_to_{figures.batch}"] = round(
                other.cpu_us_per_event / figures.cpu_us_per_event, 3
            )
    name = f"{processes} processes" if processes > 1 else f"batch {figures.batch}"
    runs = {label: other.report() for label, other in others.items()} | {name: figures.report()}
    return {**figures.report(), "runs": runs, "ratios": ratios}


def _refuse_growth(figures: Figures, most_mb: float) -> None:
    grown = figures.details.get("rss_grown_mb_once_settled", {})
    if most_mb and not grown:
        typer.echo("the run was too short to say whether the memory grows: ask for 500,000 a process or more", err=True)
        raise typer.Exit(1)
    if most_mb and max(grown.values()) > most_mb:
        typer.echo(f"the memory of a process grew by {max(grown.values()):g} MiB, more than {most_mb:g}", err=True)
        raise typer.Exit(1)


def _enrich(path: Path, events: int) -> Figures:
    from enrichers.registry import SIGNALS
    from infra.bench.enrich import LARGE, bench_enrich
    from infra.bench.events import own_events
    from infra.bench.flow import parcels_before
    from infra.flow import bench_parts
    from schemas.batches import Related

    batches = parcels_before("enrich", own_events(path, events), bench_parts()[0], LARGE)
    return bench_enrich(Related.concat([parcel.batch for parcel in batches]), SIGNALS)


def _score(path: Path, events: int) -> Figures:
    from importlib.util import find_spec

    if missing := [name for name in ("xgboost", "onnx") if find_spec(name) is None]:
        typer.echo(f"this compares with {' and '.join(missing)}: pip install 'clickgoose[train]'", err=True)
        raise typer.Exit(2)
    from infra.bench.events import own_events
    from infra.bench.flow import parcels_before
    from infra.bench.score import LARGE, bench_score
    from infra.flow import bench_parts, load_model
    from infra.settings import Settings
    from schemas.batches import Enriched

    batches = parcels_before("score", own_events(path, events), bench_parts()[0], LARGE)
    return bench_score(Enriched.concat([parcel.batch for parcel in batches]), load_model(Settings()))
