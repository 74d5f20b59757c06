"""The flow on a topic of a test's own, as a process: ``python -m tests.flow_on_topic TOPIC STATE READY_FILE``."""

from __future__ import annotations

import sys
from pathlib import Path

from infra.flow import FlowProcess
from infra.flow_serving import partitions_of, required, serve_metrics, stop_on_signals
from infra.logs import log_json
from infra.settings import Settings
from infra.stack.files import write_atomically


def main(topic: str, state: str, ready: str) -> None:
    """Run until SIGTERM; the ready file holds the port of the metrics."""
    log_json()
    settings = Settings()
    partitions = partitions_of(required(settings.kafka.bootstrap, "CLICKGOOSE_KAFKA__BOOTSTRAP"), topic)
    process = FlowProcess(settings, partitions, Path(state), topic)
    port = serve_metrics(process.registry, 0)
    stop_on_signals(process.stop)
    process.run(lambda: write_atomically(Path(ready), f"{port}\n"))


if __name__ == "__main__":
    main(*sys.argv[1:])
