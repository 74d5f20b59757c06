"""``clickgoose flow``: run the dataflow."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.flow_state import state

if TYPE_CHECKING:
    from infra.flow import Place
    from infra.settings import Settings

flow_app = typer.Typer(help="Run the dataflow.", no_args_is_help=True)
_AUTO_ORDINAL = re.compile(r".*-(\d+)")


def register(app: typer.Typer) -> None:
    """Add the group."""
    flow_app.command("state")(state)
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


@flow_app.command("run")
def run(
    processes: Annotated[int, typer.Option(min=1, help="How many processes share the partitions")] = 1,
    ordinal: Annotated[
        str | None, typer.Option(help="Run only this process, here: 0 to N-1, or auto: from a host name as flow-2")
    ] = None,
    partitions: Annotated[str | None, typer.Option(help="Kafka partitions, as 0,1,2; unset: all of events.raw")] = None,
    state: Annotated[Path | None, typer.Option(help="Where state is kept; unset: <home>/flow")] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="Written once all processes read; holds their metrics ports, one a line")
    ] = None,
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Read events.raw, score, and write to ClickHouse, Redis and Kafka, until SIGTERM or Ctrl-C drains it.

    Process I of N reads the partitions p with p % N == I and keeps their state in STATE/process-I. To change N, stop
    the flow and run `clickgoose flow rebalance`.

    Exit codes: 0 drained; 1 stopped by an error, or not drained in time; 2 refused to start.

    Examples:

      clickgoose flow run                                    one process, all partitions

      clickgoose flow run --processes 4                      four processes, restarted if they die

      clickgoose flow run --processes 4 --ordinal 2          only the third of four, in the foreground

      clickgoose flow run --processes 4 --ordinal auto       the same in a StatefulSet's pod
    """
    from flows.sources.fence import Fenced
    from flows.state_log import StateLocked
    from infra.flow import FlowRefused
    from infra.flow_layout import LayoutRefused
    from infra.flow_processes import FlowsFailed
    from infra.settings import Settings

    if parent is not None:
        _die_with(parent)
    number = None if ordinal is None else _ordinal(ordinal, processes)
    wanted = _Wanted(partitions, processes, number, state, ready_file)
    try:
        settings = Settings()
        if processes > 1 and number is None:
            _run_all(wanted, settings)
        else:
            _run_one(wanted, settings)
    except (FlowRefused, LayoutRefused, StateLocked, Fenced) as refused:
        typer.echo(str(refused), err=True)
        raise typer.Exit(2) from None
    except FlowsFailed as failed:
        typer.echo(str(failed), err=True)
        raise typer.Exit(failed.exit_code) from None
    except Exception as error:
        typer.echo(f"the flow stopped: {_cause(error)}", err=True)
        raise typer.Exit(1) from None


def _run_one(wanted: _Wanted, settings: Settings) -> None:
    """Run one process here."""
    from infra.flow import FlowProcess, Place, serve_metrics, stop_on_signals
    from infra.logs import log_json

    log_json(process=wanted.ordinal)
    place = Place(wanted.ordinal or 0, wanted.processes)
    own = place.partitions(_all_partitions(wanted, settings))
    process = FlowProcess(settings, own, _root(wanted, settings), place=place)
    port = serve_metrics(process.registry, settings.flow.metrics_port)
    stop_on_signals(process.stop)
    process.run(lambda: _say_ready(wanted.ready_file, [str(port)]))


def _run_all(wanted: _Wanted, settings: Settings) -> None:
    """Run every process as a child."""
    from infra.flow import Place, stop_on_signals
    from infra.flow_layout import StateRoot
    from infra.flow_processes import ChildOrder, FlowProcesses
    from infra.logs import log_json

    log_json()
    every = _all_partitions(wanted, settings)
    places = [Place(number, wanted.processes) for number in range(wanted.processes)]
    own = [place.partitions(every) for place in places]
    root = _root(wanted, settings)
    StateRoot(root, wanted.processes).close()  # refuses here, once, rather than in every child
    with tempfile.TemporaryDirectory(prefix="clickgoose-flow-") as folder:
        orders = []
        for place, numbers in zip(places, own, strict=True):
            file = Path(folder) / f"ready-{place.ordinal}"
            title = f"process {place.ordinal} of {wanted.processes} (partitions {','.join(map(str, numbers))})"
            orders.append(ChildOrder(title, _child_argv(wanted, place, root, file), file, _child_env(settings, place)))
        flow = FlowProcesses(orders)
        stop_on_signals(flow.stop)
        flow.run(lambda ports: _say_ready(wanted.ready_file, ports))


def _child_argv(wanted: _Wanted, place: Place, root: Path, ready_file: Path) -> list[str]:
    argv = [sys.executable, "-m", "infra.cli", "flow", "run", "--processes", str(place.processes)]
    argv += ["--ordinal", str(place.ordinal), "--state", str(root.absolute()), "--ready-file", str(ready_file)]
    return argv + (["--partitions", wanted.partitions] if wanted.partitions else [])


def _child_env(settings: Settings, place: Place) -> dict[str, str]:
    """Give each process a metrics port of its own, where they do not choose free ones."""
    port = settings.flow.metrics_port
    return {"CLICKGOOSE_FLOW__METRICS_PORT": str(port + place.ordinal)} if port else {}


def _all_partitions(wanted: _Wanted, settings: Settings) -> tuple[int, ...]:
    from infra.flow import partitions_of, required
    from infra.topics import RAW

    bootstrap = required(settings.kafka.bootstrap, "CLICKGOOSE_KAFKA__BOOTSTRAP")
    return _numbers(wanted.partitions) if wanted.partitions else partitions_of(bootstrap, RAW)


def _root(wanted: _Wanted, settings: Settings) -> Path:
    return wanted.state or settings.home / "flow"


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


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise typer.BadParameter("partitions are numbers with commas between them, as 0,1,2") from None


def _say_ready(path: Path | None, ports: list[str]) -> None:
    if path is not None:
        temporary = path.with_suffix(".tmp")
        temporary.write_text("".join(f"{port}\n" for port in ports), "utf-8")
        temporary.replace(path)


def _die_with(parent: int) -> None:
    """End as on kill -9 when the process that started this one ends: no orphan keeps the partitions."""
    from infra.stack.guard import die_with_parent

    die_with_parent()
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _cause(error: BaseException) -> str:
    """Return the deepest cause's sentence: Bytewax wraps what a step raised."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{error}" or type(error).__name__
