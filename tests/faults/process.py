"""The ordinary command line, in a process whose clock, disk and code can be made to fail while it runs.

The file that ``FAULTS_FILE`` names says what is wrong, as JSON: ``clock_ms`` (how far the process's clock is off),
``file_bytes`` (no file may grow beyond it: writing fails as on a full disk), and events whose sequence number is
``BUG_SEQUENCE`` make normalize raise. Without a file, and with nothing of that in it, nothing is wrong. Once it is so,
there is an empty file ``FAULTS_FILE.TURN``, where TURN is the object's ``turn``.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

BUG_SEQUENCE = 4_000_000_000
_LOOK_SECONDS = 0.02
_real_time, _real_time_ns = time.time, time.time_ns


class Faults:
    """What is wrong now."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen = ""
        self.clock_ms = 0
        threading.Thread(target=self._look_for_ever, daemon=True, name="faults").start()

    def time(self) -> float:
        """Return the time of a clock that is off."""
        return _real_time() + self.clock_ms / 1e3

    def time_ns(self) -> int:
        """Return the time of a clock that is off, in nanoseconds."""
        return _real_time_ns() + self.clock_ms * 1_000_000

    def _look_for_ever(self) -> None:
        while True:
            if self._file.exists() and (text := self._file.read_text("utf-8")) != self._seen:
                self._seen = text
                self._obey(json.loads(text))
            time.sleep(_LOOK_SECONDS)

    def _obey(self, wanted: dict[str, int]) -> None:
        self.clock_ms = wanted.get("clock_ms", 0)
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (wanted.get("file_bytes", hard), hard))
        self._file.with_name(f"{self._file.name}.{wanted['turn']}").touch()


class Buggy:
    """A stage, but for some rows."""

    def __init__(self, stage: Any) -> None:
        self._stage = stage
        self.name = stage.name

    def __call__(self, batch: Any, /) -> Any:
        if (batch.event.sequence == BUG_SEQUENCE).any():
            raise ZeroDivisionError("a bug that the test put there")
        return self._stage(batch)


def main() -> None:
    """Run the command line."""
    faults = Faults(Path(os.environ["FAULTS_FILE"]))
    time.time, time.time_ns = faults.time, faults.time_ns

    if "flow" in sys.argv:
        put_the_bug_in()
    from infra.cli import main as command

    sys.argv[0] = "clickgoose"
    command()


def put_the_bug_in() -> None:
    """Let the flow build its pipeline with a stage that raises on some rows."""
    import infra.flow

    healthy = infra.flow.pipeline_of

    def with_a_bug(*args: Any, **named: Any) -> Any:
        pipeline = healthy(*args, **named)
        return replace(pipeline, normalize=Buggy(pipeline.normalize))

    infra.flow.pipeline_of = with_a_bug


if __name__ == "__main__":
    main()
