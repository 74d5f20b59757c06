"""What every process that runs a dataflow does beside it: addresses, partitions, metrics, and the end."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any

from confluent_kafka.admin import AdminClient
from prometheus_client import CollectorRegistry, start_http_server

from flows.breaker import BreakerLimits
from flows.metrics import FlowMetrics
from flows.run_stage import Monitor
from flows.sources.fence import Fence, FenceUnknown, KafkaGroup, Owner
from flows.sources.lag import Held
from infra.settings import FlowSettings

log = logging.getLogger("clickgoose.flow")
_METADATA_SECONDS = 10.0
_LEAST_BEAT_SECONDS = 0.5  # of the fence


class FlowRefused(Exception):
    """The flow cannot start; the message is one sentence for the user."""


def build_name() -> str:
    """Return what results and dead letters name as the build."""
    return f"clickgoose {version('clickgoose')}"


def monitor_of(settings: FlowSettings, metrics: FlowMetrics) -> Monitor:
    """Return what the stages are measured and guarded with."""
    limits = BreakerLimits(
        share=settings.dead_share_limit,
        least_rows=settings.dead_share_least_rows,
        rows=settings.dead_share_rows,
        run=settings.dead_run_limit,
        faults=settings.dead_faults,
    )
    return Monitor(time.time_ns, metrics, settings.bug_share_limit, processor=build_name(), limits=limits)


def required(value: str | None, variable: str) -> str:
    """Return an address, or say how to get one."""
    if value is None:
        raise FlowRefused(f"no address for this: run `clickgoose up`, or set {variable}")
    return value


def claimed(
    group: KafkaGroup,
    partitions: Iterable[int],
    owner: str,
    epoch_seconds: float,
    progress: Held,
    metrics: FlowMetrics,
) -> Fence:
    """Take the partitions before all others, wherever they run; Fenced where another reads one.

    ``progress`` gives the offsets to commit.
    """
    me = Owner(owner, socket.gethostname(), os.getpid(), max(_LEAST_BEAT_SECONDS, epoch_seconds))
    fence = Fence(group, me, progress.watermark, metrics.kafka_errors.inc)
    try:
        fence.claim(tuple(partitions))
    except FenceUnknown as error:
        raise FlowRefused(str(error)) from error
    return fence


def partitions_of(bootstrap: str, topic: str) -> tuple[int, ...]:
    """Return the topic's partitions; FlowRefused where it does not exist."""
    found = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}).list_topics(topic, timeout=_METADATA_SECONDS)
    partitions: Iterable[int] = found.topics[topic].partitions
    if found.topics[topic].error is not None:
        raise FlowRefused(f"Kafka has no topic {topic}: run `clickgoose up`, which creates it")
    return tuple(sorted(partitions))


def serve_metrics(
    registry: CollectorRegistry, port: int, host: str = "127.0.0.1", ready: Callable[[], bool] = lambda: True
) -> int:
    """Serve /metrics, and /ready: 200 while the flow reads, else 503. Return the port."""
    server, _ = start_http_server(port, host, registry)
    metrics = server.get_app()
    assert metrics is not None  # noqa: S101 - start_http_server has just set it

    def app(environ: Any, start_response: Any) -> Any:
        if environ.get("PATH_INFO") != "/ready":
            return metrics(environ, start_response)
        start_response("200 OK" if ready() else "503 Service Unavailable", [("Content-Type", "text/plain")])
        return [b"reading\n" if ready() else b"not reading\n"]

    server.set_app(app)
    return int(server.server_port)


def stop_on_signals(stop: Callable[[], None], bound_seconds: float | None = None) -> None:
    """Drain on SIGTERM and Ctrl-C: Bytewax's own answer to them is like kill -9 (docs/adr/0002).

    A drain that takes longer than ``bound_seconds`` ends the process, with exit code 1.
    """

    def heard(*_: object) -> None:
        stop()
        if bound_seconds is not None:
            timer = threading.Timer(bound_seconds, _end_at_once, (bound_seconds,))
            timer.daemon = True
            timer.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, heard)


def _end_at_once(seconds: float) -> None:
    log.error("the flow did not drain within %g s: it ends as on kill -9; nothing is lost, some is read again", seconds)
    os._exit(1)
