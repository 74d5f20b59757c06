"""The flow with a bug in enrich: it raises on events whose sequence ends in 7. Run as a process by the tests."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import infra.flow
from infra.cli import main

healthy = infra.flow.pipeline_of


class Buggy:
    """enrich, but for some rows."""

    name = "enrich"

    def __init__(self, stage: Any) -> None:
        self._stage = stage

    def __call__(self, batch: Any, /) -> Any:
        if (batch.event.sequence % 20 == 7).any():
            raise ZeroDivisionError("a bug that the test put there")
        return self._stage(batch)


def broken(*args: Any, **named: Any) -> Any:
    pipeline = healthy(*args, **named)
    return replace(pipeline, enrich=Buggy(pipeline.enrich))


if __name__ == "__main__":
    infra.flow.pipeline_of = broken
    sys.argv[0] = "clickgoose"
    main()
