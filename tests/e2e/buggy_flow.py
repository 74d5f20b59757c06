"""The flow with a bug in normalize: it raises on events 113 and 213. Run as a process by the tests."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np

import infra.flow
from infra.cli import main

BUGS = (113, 213)
healthy = infra.flow.pipeline_of


class Buggy:
    """normalize, but for some rows."""

    name = "normalize"

    def __init__(self, stage: Any) -> None:
        self._stage = stage

    def __call__(self, batch: Any, /) -> Any:
        if np.isin(batch.event.sequence, BUGS).any():
            raise ZeroDivisionError("a bug that the test put there")
        return self._stage(batch)


def broken(*args: Any) -> Any:
    pipeline = healthy(*args)
    return replace(pipeline, normalize=Buggy(pipeline.normalize))


if __name__ == "__main__":
    infra.flow.pipeline_of = broken
    sys.argv[0] = "clickgoose"
    main()
