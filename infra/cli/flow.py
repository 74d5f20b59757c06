"""``clickgoose flow``: run the dataflow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

flow_app = typer.Typer(help="Run the dataflow.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(flow_app, name="flow")


@flow_app.callback()
def group() -> None:
    """Run the dataflow."""


@flow_app.command("run")
def run(
    partitions: Annotated[str | None, typer.Option(help="Kafka partitions, as 0,1,2; unset: all of events.raw")] = None,
    state: Annotated[Path | None, typer.Option(help="Where state logs are kept; unset: <home>/flow")] = None,
    ready_file: Annotated[Path | None, typer.Option(help="Written once the flow reads; holds the metrics port")] = None,
) -> None:
    """Read events.raw, score, and write to ClickHouse, Redis and Kafka, until SIGTERM or Ctrl-C drains it.

    Example: clickgoose flow run --partitions 0,1
    """
    from infra.flow import (
        FlowProcess,
        FlowRefused,
        partitions_of,
        required,
        serve_metrics,
        stop_on_signals,
    )
    from infra.logs import log_json
    from infra.settings import Settings
    from infra.topics import RAW

    log_json()
    try:
        settings = Settings()
        bootstrap = required(settings.kafka.bootstrap, "CLICKGOOSE_KAFKA__BOOTSTRAP")
        wanted = _numbers(partitions) if partitions else partitions_of(bootstrap, RAW)
        process = FlowProcess(settings, wanted, state or settings.home / "flow")
        port = serve_metrics(process.registry, settings.flow.metrics_port)
        stop_on_signals(process.stop)
        process.run(lambda: _say_ready(ready_file, port))
    except FlowRefused as refused:
        typer.echo(str(refused), err=True)
        raise typer.Exit(2) from None
    except Exception as error:
        typer.echo(f"the flow stopped: {_cause(error)}", err=True)
        raise typer.Exit(1) from None


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise typer.BadParameter("partitions are numbers with commas between them, as 0,1,2") from None


def _say_ready(path: Path | None, port: int) -> None:
    if path is not None:
        temporary = path.with_suffix(".tmp")
        temporary.write_text(f"{port}\n", "utf-8")
        temporary.replace(path)


def _cause(error: BaseException) -> str:
    """Return the deepest cause's sentence: Bytewax wraps what a step raised."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{error}" or type(error).__name__
