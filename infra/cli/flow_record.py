"""``clickgoose flow record``: the process that records decisions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def record(
    partitions: Annotated[
        str | None, typer.Option(help="Kafka partitions, as 0,1,2; unset: all of events.decisions")
    ] = None,
    state: Annotated[Path | None, typer.Option(help="Holds a lock; unset: <home>/record")] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="Written once the process reads; holds its metrics port")
    ] = None,
    metrics_port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free port")] = 0,
) -> None:
    """Read events.decisions and write ClickHouse's decisions, until SIGTERM or Ctrl-C drains it.

    Several processes share the topic by --partitions, each with a --state of its own.

    Exit codes: 0 drained; 1 stopped by an error, or not drained in time; 2 refused to start.

    Examples:

      clickgoose flow record

      clickgoose flow record --partitions 0,1 --state /var/lib/clickgoose/record-0
    """
    from flows.sources.fence import Fenced
    from infra.cli.flow_parts import cause, numbers, say_ready
    from infra.flow_layout import LayoutRefused
    from infra.flow_serving import FlowRefused, partitions_of, required, serve_metrics, stop_on_signals
    from infra.logs import log_json
    from infra.record_decisions import RecordProcess
    from infra.settings import Settings
    from infra.topics import DECIDED

    settings = Settings()
    log_json()
    try:
        bootstrap = required(settings.kafka.bootstrap, "CLICKGOOSE_KAFKA__BOOTSTRAP")
        own = numbers(partitions) if partitions else partitions_of(bootstrap, DECIDED)
        process = RecordProcess(settings, own, state or settings.home / "record")
        port = serve_metrics(process.registry, metrics_port, settings.flow.metrics_host, process.reads)
        stop_on_signals(process.stop, settings.flow.drain_seconds)
        process.run(lambda: say_ready(ready_file, [str(port)]))
    except (FlowRefused, LayoutRefused, Fenced) as refused:
        typer.echo(str(refused), err=True)
        raise typer.Exit(2) from None
    except Exception as error:
        typer.echo(f"recording stopped: {cause(error)}", err=True)
        raise typer.Exit(1) from None
