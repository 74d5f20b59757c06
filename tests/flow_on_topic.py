"""The flow on a topic of a test's own: ``python -m tests.flow_on_topic TOPIC STATE READY_FILE [GROUP]``."""

from __future__ import annotations

import sys
from pathlib import Path

from infra.flow import FlowProcess
from infra.flow_serving import partitions_of, required, serve_metrics, stop_on_signals
from infra.logs import log_json
from infra.settings import Settings
from infra.stack.files import write_atomically


def main(topic: str, state: str, ready: str, group: str = "clickgoose-score-events") -> None:
    """Run until SIGTERM; the ready file holds the port of the metrics."""
    log_json()
    settings = Settings()
    partitions = partitions_of(required(settings.kafka.bootstrap, "CLICKGOOSE_KAFKA__BOOTSTRAP"), topic)
    process = FlowProcess(settings, partitions, Path(state), topic, group=group)
    port = serve_metrics(process.registry, 0)
    stop_on_signals(process.stop)
    process.run(lambda: write_atomically(Path(ready), f"{port}\n"))


if __name__ == "__main__":
    main(*sys.argv[1:])
