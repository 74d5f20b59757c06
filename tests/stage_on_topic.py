"""Parts of the pipeline on topics of a test's own: ``python -m tests.stage_on_topic PARTS PREFIX STATE READY I N``.

``PARTS``: extract, enrich, score, or several with commas between them. ``PREFIX`` begins the names of the topics:
PREFIX.raw, PREFIX.extracted, PREFIX.enriched, PREFIX.outcomes. It is process I of N.
"""

from __future__ import annotations

import sys
from pathlib import Path

from flows.stage_state import Part
from infra.flow import Place
from infra.flow_serving import partitions_of, required, serve_metrics, stop_on_signals
from infra.flow_staged import StageProcess, StageTopics
from infra.flow_staged_together import StagesTogether, roots_of
from infra.logs import log_json
from infra.settings import Settings
from infra.stack.files import write_atomically


def main(named: str, prefix: str, state: str, ready: str, ordinal: str, processes: str) -> None:
    """Run until SIGTERM; the ready file holds the port of the metrics."""
    log_json()
    settings, place = Settings(), Place(int(ordinal), int(processes))
    topics = StageTopics(*(f"{prefix}.{name}" for name in ("raw", "extracted", "enriched", "outcomes")))
    bootstrap = required(settings.kafka.bootstrap, "CLICKGOOSE_KAFKA__BOOTSTRAP")
    own = place.partitions(partitions_of(bootstrap, topics.raw))
    roots = roots_of([Part(name) for name in named.split(",")], Path(state), Path())
    each = [StageProcess(settings, part, own, root, topics, place) for part, root in roots.items()]
    process = each[0] if len(each) == 1 else StagesTogether(each)
    port = serve_metrics(process.registry, 0)
    stop_on_signals(process.stop)
    process.run(lambda: write_atomically(Path(ready), f"{port}\n"))


if __name__ == "__main__":
    main(*sys.argv[1:])
