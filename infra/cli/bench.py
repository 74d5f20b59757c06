"""``clickgoose bench``: ways of delivery, topologies, replay, state, rules and lists; ``bench_flow`` has the flow."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli import bench_flow, bench_full
from infra.cli.bench_parts import Batch, Events, Json, Seed

if TYPE_CHECKING:
    from infra.bench.events import Size

bench_app = typer.Typer(
    help="Measure. Figures wander between machines: compare ratios of one run.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the group."""
    bench_flow.add(bench_app)
    bench_full.add(bench_app)
    app.add_typer(bench_app, name="bench")


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


@bench_app.command("topologies")
def topologies(events: Events = 20_000, seed: Seed = 1, as_json: Json = False) -> None:
    """Measure the flow as one, in three processes (--stage), and all its parts in one, through a real stack of its own.

    No rate is printed where an event was lost. Exit codes: 0 measured; 1 rows were lost or a part did not start.

    Example: clickgoose bench topologies --events 50000 --json
    """
    from rich.console import Console
    from rich.table import Table

    from infra.bench.measure import RowsLost
    from infra.bench.topologies import TOPOLOGIES, bench_topologies
    from infra.stack.child import StackError
    from infra.traffic.dataset import dataset_keys

    values = _recorded(events, seed)
    try:
        with Console(stderr=True).status("topologies") as status:
            found = bench_topologies(values, dataset_keys(), status.update)
    except (RowsLost, StackError) as failed:
        typer.echo(str(failed), err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(found))
        return
    ratios = ", ".join(f"{name} {found[f'{name}_to_fused']:.2f}" for name in TOPOLOGIES if name != "fused")
    table = Table("", *TOPOLOGIES, title=f"{events:,} events; to fused: {ratios}")
    table.add_row("events/s", *(f"{found[name]['events_per_s']:,.0f}" for name in TOPOLOGIES))
    spent = {name: found[name]["cpu_us_per_event"] for name in TOPOLOGIES}
    table.add_row("CPU µs/event", *(f"{sum(one.values()):,.0f}" for one in spent.values()))
    for part, figure in spent["staged"].items():
        table.add_row(f"  {part}", "", f"{figure:,.0f}", "")
    Console().print(table)


@bench_app.command("replay")
def replay(
    events: Events = 60_000,
    seed: Seed = 1,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="The better rate of each is taken")] = 3,
    into: Annotated[
        list[str] | None,
        typer.Option(help="Where a replay writes; repeat it for more. Unset: files, and kafka,clickhouse,redis"),
    ] = None,
    size: bench_flow.Size = "checkout",
    as_json: Json = False,
) -> None:
    """Measure replays from Kafka through a stack of its own, beside `bench pipeline` in the same run.

    The ratio at the top is of the first place. Exit codes: 0 measured; 1 rows were lost.

    Examples: clickgoose bench replay --json; clickgoose bench replay --into files --into kafka
    """
    from infra.bench.events import Size
    from infra.bench.measure import RowsLost
    from infra.bench.replay import PLACES, bench_replay
    from infra.traffic.dataset import dataset_keys

    if size not in list(Size):
        raise typer.BadParameter(f"there is no size {size!r}; take one of {', '.join(Size)}")
    try:
        values = _recorded(events, seed, Size(size))
        found = bench_replay(values, seed, rounds, into or PLACES, dataset_keys(), Size(size),
                             lambda word: typer.echo(word, err=True))  # fmt: skip
    except RowsLost as lost:
        typer.echo(f"There is no rate to print: {lost}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(found))
        return
    typer.echo(f"pipeline: {found['pipeline_events_per_s']:,.0f} events/s")
    for place in found["places"]:
        typer.echo(f"replay into {place['into']}: {place['events_per_s']:,.0f} events/s, ratio {place['ratio']:.3f}")


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


def _recorded(events: int, seed: int, size: Size | None = None) -> list[bytes]:
    from infra.bench.events import Size, recorded_events

    sys.stderr.write(f"making {events} sealed events (kept for the next time)\n")
    return recorded_events(events, seed, size or Size.CHECKOUT)
