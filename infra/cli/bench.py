"""``clickgoose bench``: floor, pipeline, single stages, ways of delivery, and decisions by rules."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from infra.bench.measure import Figures

bench_app = typer.Typer(
    help="Measure. Figures wander between machines: compare ratios of one run.", no_args_is_help=True
)
STAGES = (
    "decode", "verify_mask", "normalize", "velocity", "recognize", "relate", "enrich", "score", "judge", "decide",
)  # fmt: skip

Events = Annotated[int, typer.Option(min=1_000, help="Events to measure with")]
Batch = Annotated[int, typer.Option(min=1, max=4096, help="Events a batch")]
Seed = Annotated[int, typer.Option(help="Seed of the generator")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(bench_app, name="bench")


@bench_app.command("floor")
def floor(events: Events = 20_000, batch: Batch = 256, seed: Seed = 1, as_json: Json = False) -> None:
    """Measure the same work in a tight loop without any framework.

    Example: clickgoose bench floor --json
    """
    from infra.bench.floor import bench_floor
    from infra.flow import load_model
    from infra.settings import Settings
    from infra.traffic.dataset import dataset_keys

    _show(bench_floor(_recorded(events, seed), dataset_keys(), load_model(Settings()), batch), as_json)


@bench_app.command("pipeline")
def pipeline(events: Events = 20_000, batch: Batch = 256, seed: Seed = 1, as_json: Json = False) -> None:
    """Measure the real dataflow: all stages, state log, results encoded, a counting sink.

    Example: clickgoose bench pipeline --events 50000 --batch 64
    """
    from infra.bench.flow import bench_pipeline
    from infra.flow import bench_parts

    stages, encode = bench_parts()
    with tempfile.TemporaryDirectory() as folder:
        _show(bench_pipeline(_recorded(events, seed), stages, encode, batch, Path(folder)), as_json)


@bench_app.command("stage")
def stage(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(STAGES)}")],
    events: Events = 20_000,
    batch: Batch = 256,
    seed: Seed = 1,
    as_json: Json = False,
) -> None:
    """Measure one stage alone, on what the stages before it give.

    enrich and score are measured in batches of 256 and of 64, score beside XGBoost and ONNX Runtime.

    Example: clickgoose bench stage score --json
    """
    from infra.bench.flow import bench_stage
    from infra.flow import bench_parts

    if name not in STAGES:
        raise typer.BadParameter(f"there is no stage {name!r}; take one of {', '.join(STAGES)}")
    if name in ("enrich", "score"):
        _show((_enrich if name == "enrich" else _score)(_recorded(events, seed)), as_json)
        return
    _show(bench_stage(name, _recorded(events, seed), bench_parts()[0], batch), as_json)


@bench_app.command("delivery")
def delivery(
    seconds: Annotated[float, typer.Option(min=1, help="Seconds of each of the four runs")] = 8.0,
    rate: Annotated[float, typer.Option(min=1, help="Events a second of the runs that measure latency")] = 2_000.0,
    insert_seconds: Annotated[float, typer.Option(min=0, help="What the slow destination takes for a block")] = 0.25,
    epoch_seconds: Annotated[float, typer.Option(min=0.01, help="How often Bytewax ends an epoch")] = 1.0,
    as_json: Json = False,
) -> None:
    """Compare two ways to lose nothing: acknowledged offsets, and sinks that join their flush at the epoch.

    Example: clickgoose bench delivery --insert-seconds 2 --json
    """
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

    from infra.bench.delivery import Load, bench_delivery

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("delivery", total=4)
        load = Load(seconds, rate, insert_seconds=insert_seconds, epoch_seconds=epoch_seconds)
        found = bench_delivery(load, lambda: progress.advance(task))
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table("", *found, title=f"delivery, {insert_seconds:g} s an insert")
    for name in found["ratio"]:
        table.add_row(name, *(f"{figures[name]:,}" for figures in found.values()))
    Console().print(table)


@bench_app.command("state")
def state(
    devices: Annotated[int, typer.Option(min=1_000, help="Devices that events are drawn from")] = 1_000_000,
    events: Annotated[int, typer.Option(min=10_000, help="Events over 20 hours of event time")] = 3_000_000,
    batch: Batch = 256,
    seed: Seed = 1,
    as_json: Json = False,
) -> None:
    """Measure the memory of velocity: what an event, a snapshot and a start cost, by CPU time.

    Example: clickgoose bench state --devices 100000 --events 300000 --json
    """
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

    from infra.bench.state import Load, bench_state

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("state", total=1.0)
        found = bench_state(Load(devices, events, batch, seed), lambda share: progress.advance(task, share))
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table("", "value", title=f"state of {found['devices']:,} devices")
    for name in ("cpu_us_per_event", "rss_mb", "load_s", "snapshot_ms_p99"):
        table.add_row(name, f"{found[name]:,}")
    for scenario, figures in found["details"].items():
        for name, value in figures.items():
            table.add_row(f"  {scenario}: {name}", f"{value:,}")
    Console().print(table)


@bench_app.command("rules")
def rules(
    seconds: Annotated[float, typer.Option(min=0.3, help="Seconds of each of the three measurements of a load")] = 9.0,
    rules: Annotated[int, typer.Option(min=1, max=1_000, help="Live rules; six of ten ask history")] = 100,
    catalogues: Annotated[int, typer.Option(min=1, max=200, help="Catalogues that they ask, of four entities")] = 20,
    entities: Annotated[int, typer.Option(min=1, help="Of each of four kinds, with 20 earlier events each")] = 1_000,
    kafka: Annotated[str, typer.Option(help="Addresses of Kafka for the records; unset: kept in memory")] = "",
    as_json: Json = False,
) -> None:
    """Measure decisions through HTTP with history in a Valkey of its own, beside a bare FastAPI endpoint.

    Two loads. First the one whose figures are at the top: each rule is made for one of four event types, as in the
    ready-made library, so of 100 rules an event looks at 25; the types are mixed evenly. Then every_rule_looks: all
    rules are for one type, and each event looks at all 100.

    The service has one core, all else another. No rate is printed where an answer was wrong or lost.

    Example: clickgoose bench rules --seconds 5 --json
    """
    from rich.console import Console
    from rich.progress import Progress

    from infra.bench.rules import Load, bench_rules
    from infra.bench.rules_http import AnswersWrong

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("rules", total=1.0)
        load = Load(seconds, rules, catalogues, entities, kafka=kafka)
        try:
            found = bench_rules(load, lambda share: progress.advance(task, share))
        except AnswersWrong as wrong:
            typer.echo(f"There is no rate to print: {wrong}", err=True)
            raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(found))
        return
    _show_rules(found)


def _show_rules(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    loads = (found, found["every_rule_looks"])
    table = Table(
        "",
        "each rule for one of four event types",
        "every rule looks at every event",
        title=f"{found['rules']} live rules over {found['catalogues']} catalogues",
    )
    for name in found["an_event_looks_at"]:
        looked = f"{name.replace('_', ' ')} that an event looks at"
        table.add_row(looked, *(f"{one['an_event_looks_at'][name]:,}" for one in loads))
    for name in ("decisions_per_s", "baseline_per_s", "p50_ms", "p99_ms"):
        table.add_row(name, *(f"{one[name]:,}" for one in loads))
    for name in found["cpu_us_per_decision"]:
        table.add_row(f"CPU µs a decision, {name}", *(f"{one['cpu_us_per_decision'][name]:,}" for one in loads))
    table.caption = f"records go to {found['kafka']}"
    Console().print(table)
    memory = Table("", "value", title="MB per million members")
    for kind, sizes in found["mb_per_million_members"].items():
        for size, taken in sizes.items():
            memory.add_row(f"{kind}, {size}", f"{taken:,.0f}")
    Console().print(memory)


@bench_app.command("lists")
def lists(
    entries: Annotated[int, typer.Option(min=1_000, help="Entries of two lists")] = 1_000_000,
    as_json: Json = False,
) -> None:
    """Measure lists in the memory of a process: loading, bytes an entry, lookups, and taking changes in.

    Example: clickgoose bench lists --entries 100000 --json
    """
    from rich.console import Console
    from rich.table import Table

    from infra.bench.lists import bench_lists

    found = bench_lists(entries)
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table("", "value", title=f"lists of {found['entries']:,} entries")
    for name, value in found.items():
        table.add_row(name.replace("_", " "), f"{value:,}")
    Console().print(table)


def _enrich(values: list[bytes]) -> Figures:
    from enrichers.registry import SIGNALS
    from infra.bench.enrich import LARGE, bench_enrich
    from infra.bench.flow import parcels_before
    from infra.flow import bench_parts
    from schemas.batches import Related

    batches = [parcel.batch for parcel in parcels_before("enrich", values, bench_parts()[0], LARGE)]
    return bench_enrich(Related.concat(batches), SIGNALS)


def _score(values: list[bytes]) -> Figures:
    from importlib.util import find_spec

    if missing := [name for name in ("xgboost", "onnx") if find_spec(name) is None]:
        typer.echo(f"this compares with {' and '.join(missing)}: pip install 'clickgoose[train]'", err=True)
        raise typer.Exit(2)
    from infra.bench.flow import parcels_before
    from infra.bench.score import LARGE, bench_score
    from infra.flow import bench_parts, load_model
    from infra.settings import Settings
    from schemas.batches import Enriched

    batches = [parcel.batch for parcel in parcels_before("score", values, bench_parts()[0], LARGE)]
    return bench_score(Enriched.concat(batches), load_model(Settings()))


def _recorded(events: int, seed: int) -> list[bytes]:
    from infra.bench.events import recorded_events

    sys.stderr.write(f"making {events} sealed events (kept for the next time)\n")
    return recorded_events(events, seed)


def _show(figures: Figures, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(figures.report()))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=figures.name)
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_row("events", f"{figures.events:,}")
    table.add_row("events/s", f"{figures.events_per_s:,.0f}")
    table.add_row("CPU µs/event", f"{figures.cpu_us_per_event:.2f}")
    table.add_row("peak memory MiB", f"{figures.rss_peak_mb:,.0f}")
    table.add_row("batch", str(figures.batch))
    for name in ("us_per_event_of_256", "ms_per_batch_of_64"):
        if name in figures.details:
            table.add_row(name.replace("_", " "), f"{figures.details[name]:.2f}")
    for engine, by_batch in figures.details.get("engines", {}).items():
        for size, spent in by_batch.items():
            table.add_row(f"  {engine.replace('_', ' ')} µs/event of {size}", f"{spent:.2f}")
    for stage, spent in figures.details.get("stages", {}).items():
        table.add_row(f"  {stage} µs/event", f"{spent:.2f}")
    Console().print(table)
