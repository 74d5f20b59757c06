"""``clickgoose bench e2e``, ``latency``, ``ingest`` and ``sinks``: full-size events, a real stack of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.bench_parts import Json, Measuring, Seed, measuring

if TYPE_CHECKING:
    from infra.bench.rig import Cores, Rig

Events = Annotated[int, typer.Option(min=100, help="Events to measure with, of 8 to 12 KB")]
Together = Annotated[int, typer.Option(min=1, max=100, help="Events a request")]
_POOL = 20_000  # events that are made, once; more of them come again, as new events


def add(group: typer.Typer) -> None:
    """Add the commands to the group."""
    group.command("e2e")(e2e)
    group.command("latency")(latency)
    group.command("ingest")(ingest)
    group.command("sinks")(sinks)


def e2e(
    events: Events = 40_000,
    processes: Annotated[int, typer.Option(min=1, max=16, help="Processes of the flow")] = 1,
    together: Together = 20,
    seed: Seed = 1,
    as_json: Json = False,
) -> None:
    """Measure HTTP -> Kafka -> flow -> Redis and ClickHouse, all real and on the same cores, with CPU by process.

    Every accepted event is looked for at the end. Exit codes: 0 measured; 1 an event was lost, or a part did not start.

    Example: clickgoose bench e2e --events 80000 --json
    """
    from infra.bench.e2e import Load, bench_e2e

    with measuring("e2e", as_json=as_json) as measure, _rig(measure) as rig:
        load = Load(events, min(4_000, events), processes, together)
        measure.show(bench_e2e(rig, _records(min(events, _POOL), seed), load, measure.say))


def latency(
    rate: Annotated[float, typer.Option(min=1, max=20_000, help="Events a second")] = 1_000.0,
    seconds: Annotated[float, typer.Option(min=0.5, help="Seconds that are counted")] = 20.0,
    warm: Annotated[float, typer.Option(min=0, help="Seconds before them that are not")] = 10.0,
    partitions: Annotated[int, typer.Option(min=1, max=1_024, help="Partitions of the flow's one process")] = 1,
    divide: Annotated[
        bool, typer.Option(help="The first core for the flow and Valkey, the others for all else: see flow.cores")
    ] = True,
    seed: Seed = 1,
    as_json: Json = False,
) -> None:
    """Measure from the append to Kafka until the score can be read in Redis, and each stage's share of it.

    Events come at random moments. Exit codes: 0 measured; 1 a score is missing, or a part did not start.

    Example: clickgoose bench latency --rate 1000 --seconds 30 --json
    """
    from infra.bench.latency import Load, bench_latency
    from infra.bench.pauses import machine_alone
    from infra.bench.rig import divided_cores

    cores = divided_cores() if divide else None
    with measuring("latency", as_json=as_json) as measure:
        measure.say("the machine alone")
        alone = machine_alone()
        with _rig(measure, partitions, cores) as rig:
            load = Load(rate, seconds, warm, seed)
            found = bench_latency(rig, _records(load.events, seed), load, measure.say)
        measure.show({**found, "machine_alone": alone})


def ingest(
    seconds: Annotated[float, typer.Option(min=0.2, help="Seconds of each measurement of a round")] = 4.0,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="The best one of each is taken")] = 3,
    together: Together = 20,
    seed: Seed = 1,
    as_json: Json = False,
) -> None:
    """Measure the ingest tier beside a bare FastAPI endpoint that reads a body of the same size, and with batches.

    The rate at the top is of batches. Exit codes: 0 measured; 1 an event was not accepted, or a part did not start.

    Example: clickgoose bench ingest --seconds 6 --json
    """
    from infra.bench.ingest import Load, bench_ingest

    with measuring("ingest", as_json=as_json) as measure, _rig(measure) as rig:
        load = Load(seconds, rounds, together)
        measure.show(bench_ingest(rig, _records(load.requests, seed), load, measure.say))


def sinks(events: Events = 20_480, seed: Seed = 1, as_json: Json = False) -> None:
    """Measure ClickHouse, Redis and Kafka as destinations, each alone: rows a second, CPU of client and store.

    Exit codes: 0 measured; 1 a row is missing, or a part did not start.

    Example: clickgoose bench sinks --events 40960 --json
    """
    from infra.bench.sinks import Load, bench_sinks
    from infra.flow import bench_parts

    with measuring("sinks", as_json=as_json) as measure, _rig(measure) as rig:
        measure.show(bench_sinks(rig, _records(events, seed), *bench_parts(), Load(), measure.say))


def _rig(measure: Measuring, partitions: int | None = None, cores: Cores | None = None) -> Rig:
    from infra.bench.pages import NO_LIMITS
    from infra.bench.rig import Rig
    from infra.traffic.dataset import dataset_keys

    measure.say("starting the stack")
    return Rig(dataset_keys(), NO_LIMITS, partitions=partitions, cores=cores)


def _records(events: int, seed: int) -> list[bytes]:
    from infra.bench.events import Size, recorded_events

    return recorded_events(max(events, 1_000), seed, Size.FULL)[:events]
