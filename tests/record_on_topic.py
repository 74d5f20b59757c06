"""Recording of decisions on a test's own topic, as a process: ``python -m tests.record_on_topic TOPIC STATE READY``."""

from __future__ import annotations

import sys
from pathlib import Path

from infra.flow_serving import partitions_of, required, stop_on_signals
from infra.logs import log_json
from infra.record_decisions import RecordProcess
from infra.settings import Settings
from infra.stack.files import write_atomically


def main(topic: str, state: str, ready: str, group: str = "") -> None:
    """Run until SIGTERM."""
    log_json()
    settings = Settings()
    partitions = partitions_of(required(settings.kafka.bootstrap, "CLICKGOOSE_KAFKA__BOOTSTRAP"), topic)
    process = RecordProcess(settings, partitions, Path(state), topic, group=group or f"{topic}-record")
    stop_on_signals(process.stop)
    process.run(lambda: write_atomically(Path(ready), "reads\n"))


if __name__ == "__main__":
    main(*sys.argv[1:])
