"""``clickgoose flow``: run the dataflow."""

from __future__ import annotations

import gc
import os
import re
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.flow_parts import cause, ending, numbers, say_ready
from infra.cli.flow_rebalance import rebalance
from infra.cli.flow_record import record
from infra.cli.flow_state import state

if TYPE_CHECKING:
    from flows.stage_state import Part
    from infra.flow import Place
    from infra.settings import Settings

flow_app = typer.Typer(help="Run the dataflow.", no_args_is_help=True)
_AUTO_ORDINAL = re.compile(r".*-(\d+)")
_ADDRESS = re.compile(r"[^\s:]+:\d{1,5}")


def register(app: typer.Typer) -> None:
    """Add the group."""
    flow_app.command("state")(state)
    flow_app.command("rebalance")(rebalance)
    flow_app.command("record")(record)
    app.add_typer(flow_app, name="flow")


@flow_app.callback()
def group() -> None:
    """Run the dataflow."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the user asked for."""

    partitions: str | None
    processes: int
    ordinal: int | None
    state: Path | None
    ready_file: Path | None
    addresses: tuple[str, ...]
    as_cluster: bool
    stages: tuple[Part, ...]  # none: the whole pipeline as one

    def roots(self, settings: Settings) -> list[Path]:
        """Return where state is kept: that of each part of the pipeline by itself."""
        from infra.flow_staged_together import roots_of

        if not self.stages:
            return [self.state or settings.home / "flow"]
        return list(roots_of(self.stages, self.state, settings.home).values())

    @property
    def title(self) -> str:
        """Return what a process of it is called."""
        return "+".join(self.stages) or "process"


@flow_app.command("run")
def run(
    processes: Annotated[
        int | None, typer.Option(min=1, help="How many processes share the partitions; unset: 1")
    ] = None,
    ordinal: Annotated[
        str | None, typer.Option(help="Run only this process, here: 0 to N-1, or auto: from a host name as flow-2")
    ] = None,
    partitions: Annotated[str | None, typer.Option(help="Kafka partitions, as 0,1,2; unset: all of events.raw")] = None,
    state: Annotated[Path | None, typer.Option(help="Where state is kept; unset: <home>/flow")] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="Written once all processes read; holds their metrics ports, one a line")
    ] = None,
    as_cluster: Annotated[
        bool, typer.Option("--as-cluster", help="The processes are one Bytewax cluster, over loopback")
    ] = False,
    cluster: Annotated[
        str | None, typer.Option(help="host:port of every process of a Bytewax cluster, in order; needs --ordinal")
    ] = None,
    stage: Annotated[
        list[str] | None,
        typer.Option(
            help="Run a part of the pipeline: extract, enrich, score, or all; repeat it for several. Batches go over "
            "topics between them"
        ),
    ] = None,
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Read events.raw, score, and write to ClickHouse, Redis and Kafka, until SIGTERM or Ctrl-C drains it.

    Process I of N reads the partitions p with p % N == I and keeps their state in STATE/process-I. To change N,
    stop the flow and run `clickgoose flow rebalance`.

    With --stage a process runs one part: extract (decode, verify_mask; it alone needs the master keys), enrich
    (normalize to enrich) or score (score, judge, decide, and the results). Start all three: together they give what
    the flow in one process gives. Each keeps its state in <home>/flow-STAGE and may have as many processes as it needs.
    Several parts in one process are as many dataflows, each in a thread; --state is then the directory of all.

    Exit codes: 0 drained; 1 stopped by an error, or not drained in time; 2 refused to start.

    Examples: one process; four, restarted if they die; the third of four, in the foreground; the one that a pod of a
    StatefulSet is; a Bytewax cluster on this host, and one over hosts; one part, in two processes; all parts in one:

      clickgoose flow run

      clickgoose flow run --processes 4

      clickgoose flow run --processes 4 --ordinal 2

      clickgoose flow run --processes 4 --ordinal auto

      clickgoose flow run --processes 2 --as-cluster

      clickgoose flow run --cluster a:2101,b:2101 --ordinal 0

      clickgoose flow run --stage enrich --processes 2

      clickgoose flow run --stage all
    """
    from enrichers.data_file import DataFileError
    from enrichers.versions import data_versions
    from flows.sources.fence import Fenced
    from flows.state_log import StateLocked
    from infra.flow_layout import LayoutRefused
    from infra.flow_processes import FlowsFailed
    from infra.flow_serving import FlowRefused
    from infra.settings import Settings
    from infra.settings_refused import SettingsRefused

    if parent is not None:
        _die_with(parent)
    addresses = _addresses(cluster, processes, ordinal)
    count = len(addresses) or processes or 1
    number = None if ordinal is None else _ordinal(ordinal, count)
    try:
        parts = _parts(stage or (), as_cluster=as_cluster or bool(addresses))
        wanted = _Wanted(partitions, count, number, state, ready_file, addresses, as_cluster, parts)
        settings = Settings()
        data_versions()  # reads and checks every file: before Kafka is asked, and before processes start
        if count > 1 and number is None:
            _run_all(wanted, settings)
        else:
            _run_one(wanted, settings)
    except (FlowRefused, LayoutRefused, StateLocked, Fenced, DataFileError, SettingsRefused) as refused:
        typer.echo(str(refused), err=True)
        raise typer.Exit(2) from None
    except FlowsFailed as failed:
        typer.echo(str(failed), err=True)
        raise typer.Exit(failed.exit_code) from None
    except Exception as error:
        typer.echo(f"the flow stopped: {cause(error)}", err=True)
        raise typer.Exit(1 if parent is None else ending(error)) from None


def _run_one(wanted: _Wanted, settings: Settings) -> None:
    """Run one process here."""
    from infra.cores import cores_in
    from infra.flow import FlowProcess, Place
    from infra.flow_serving import serve_metrics, stop_on_signals
    from infra.flow_staged import StageProcess
    from infra.flow_staged_together import StagesTogether, roots_of
    from infra.logs import log_json

    log_json(process=wanted.ordinal)
    place = Place(wanted.ordinal or 0, wanted.processes, wanted.addresses)
    place.bind(cores_in(settings.flow.cores))  # before there are threads, which would stay unbound
    own = place.partitions(_all_partitions(wanted, settings))
    process: FlowProcess | StageProcess | StagesTogether
    if wanted.stages:
        roots = roots_of(wanted.stages, wanted.state, settings.home)
        each = [StageProcess(settings, part, own, root, place=place) for part, root in roots.items()]
        process = each[0] if len(each) == 1 else StagesTogether(each)
    else:
        process = FlowProcess(settings, own, wanted.roots(settings)[0], place=place)
    port = serve_metrics(process.registry, settings.flow.metrics_port, settings.flow.metrics_host, process.reads)
    stop_on_signals(process.stop, settings.flow.drain_seconds)

    def ready() -> None:
        gc.collect()
        gc.freeze()  # what was loaded stays for the life of the process: the collector need not look at it again
        say_ready(wanted.ready_file, [str(port)])

    process.run(ready)


def _run_all(wanted: _Wanted, settings: Settings) -> None:
    """Run every process as a child."""
    from infra.flow import Place
    from infra.flow_layout import StateRoot
    from infra.flow_processes import ChildOrder, FlowProcesses
    from infra.flow_serving import stop_on_signals
    from infra.logs import log_json

    log_json()
    every = _all_partitions(wanted, settings)
    addresses = _loopback(wanted.processes) if wanted.as_cluster else ()
    places = [Place(number, wanted.processes, addresses) for number in range(wanted.processes)]
    own = [place.partitions(every) for place in places]
    for root in wanted.roots(settings):
        StateRoot(root, wanted.processes).close()  # refuses here, once, rather than in every child
    with tempfile.TemporaryDirectory(prefix="clickgoose-flow-") as folder:
        orders = []
        for place, numbers in zip(places, own, strict=True):
            file = Path(folder) / f"ready-{place.ordinal}"
            listed = ",".join(map(str, numbers))
            title = f"{wanted.title} {place.ordinal} of {wanted.processes} (partitions {listed})"
            orders.append(
                ChildOrder(title, _child_argv(wanted, place, settings, file), file, _child_env(settings, place))
            )
        flow = FlowProcesses(orders, together=wanted.as_cluster, drain_seconds=settings.flow.drain_seconds + 2)
        stop_on_signals(flow.stop)
        flow.run(lambda ports: say_ready(wanted.ready_file, ports))


def _child_argv(wanted: _Wanted, place: Place, settings: Settings, ready_file: Path) -> list[str]:
    # Without --state several parts lie side by side below the home, which a child finds as this process did.
    state = wanted.state if len(wanted.stages) > 1 else wanted.roots(settings)[0]
    argv = [sys.executable, "-m", "infra.cli", "flow", "run", "--processes", str(place.processes)]
    argv += ["--ordinal", str(place.ordinal), "--ready-file", str(ready_file)]
    argv += ["--state", str(state.absolute())] if state else []
    argv += ["--cluster", ",".join(place.addresses)] if place.addresses else []
    argv += [word for part in wanted.stages for word in ("--stage", part.value)]
    return argv + (["--partitions", wanted.partitions] if wanted.partitions else [])


def _child_env(settings: Settings, place: Place) -> dict[str, str]:
    """Give each process a metrics port of its own, where they do not choose free ones."""
    port = settings.flow.metrics_port
    return {"CLICKGOOSE_FLOW__METRICS_PORT": str(port + place.ordinal)} if port else {}


def _all_partitions(wanted: _Wanted, settings: Settings) -> tuple[int, ...]:
    from infra.flow_serving import partitions_of, required
    from infra.topics import RAW

    bootstrap = required(settings.kafka.bootstrap, "CLICKGOOSE_KAFKA__BOOTSTRAP")
    return numbers(wanted.partitions) if wanted.partitions else partitions_of(bootstrap, RAW)


def _loopback(processes: int) -> tuple[str, ...]:
    from infra.stack.ports import HOST, free_port

    taken: set[int] = set()
    for _ in range(processes):
        taken.add(free_port(taken))
    return tuple(f"{HOST}:{port}" for port in sorted(taken))


def _addresses(cluster: str | None, processes: int | None, ordinal: str | None) -> tuple[str, ...]:
    if cluster is None:
        return ()
    found = tuple(part.strip() for part in cluster.split(","))
    if not all(_ADDRESS.fullmatch(address) for address in found) or len(set(found)) < len(found):
        raise typer.BadParameter("a cluster is host:port,host:port, each once and in the same order everywhere")
    if processes not in (None, len(found)):
        raise typer.BadParameter(f"a cluster of {len(found)} addresses has {len(found)} processes, not {processes}")
    if ordinal is None:
        raise typer.BadParameter("say which process of the cluster this is: --ordinal 0, or auto")
    return found


def _parts(named: Sequence[str], *, as_cluster: bool) -> tuple[Part, ...]:
    """Return the parts of the pipeline that are named, in its order; FlowRefused where there is no such part."""
    from flows.stage_state import Part
    from infra.flow_serving import FlowRefused

    if unknown := [name for name in named if name not in (*Part, "all")]:
        raise FlowRefused(f"there is no stage {unknown[0]!r} of the flow: give {', '.join(Part)} or all")
    if named and as_cluster:
        raise FlowRefused(
            "--stage runs processes of their own, not a Bytewax cluster: leave --as-cluster and --cluster out"
        )
    return tuple(part for part in Part if part in named or "all" in named)


def _ordinal(text: str, processes: int) -> int:
    if text == "auto":
        host = socket.gethostname()
        match = _AUTO_ORDINAL.fullmatch(host)
        if match is None:
            raise typer.BadParameter(f"the host name {host} ends in no ordinal, as in flow-2: give a number")
        text = match[1]
    if not text.isdecimal() or int(text) >= processes:
        raise typer.BadParameter(f"the ordinal {text} is none of {processes} processes: 0 to {processes - 1}, or auto")
    return int(text)


def _die_with(parent: int) -> None:
    """End as on kill -9 when the process that started this one ends: no orphan keeps the partitions."""
    from infra.stack.guard import die_with_parent

    die_with_parent()
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
