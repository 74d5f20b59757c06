"""Several parts of the pipeline in one process: a dataflow in a thread each, with the same topics between them.

Nothing is shared but the process: each part has its state, locks, consumers and sinks, so a process with all parts may
be replaced by one for each part at any time, and back. Bytewax runs a dataflow on the thread that starts it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector

from flows.stage_state import Part
from infra.flow_staged import StageProcess

_TICK_SECONDS: Final = 0.05


def roots_of(parts: Sequence[Part], state: Path | None, home: Path) -> dict[Part, Path]:
    """Return where each part keeps its state: several below ``state``, one in it; without it, below ``home``."""
    if state is None:
        return {part: home / f"flow-{part}" for part in parts}
    return {part: state if len(parts) == 1 else state / part for part in parts}


class StagesTogether:
    """Runs parts side by side. ``run`` returns after ``stop`` has drained them, and raises what ended the first."""

    def __init__(self, processes: Sequence[StageProcess]) -> None:
        order = tuple(Part)
        self._processes = sorted(processes, key=lambda process: order.index(process.part))
        self._stopping = threading.Event()
        self._failed: list[BaseException] = []
        self.registry = CollectorRegistry()
        self.registry.register(_ByPart({process.part: process.registry for process in self._processes}))

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Run until stopped, or until one part ends; ``ready`` is called once all of them read."""
        threads = [threading.Thread(target=self._one, args=(one,), name=one.part.value) for one in self._processes]
        for process, thread in zip(reversed(self._processes), reversed(threads), strict=True):
            thread.start()  # who lets rows in begins last
            while self._going(thread) and not process.reads():
                thread.join(_TICK_SECONDS)
        if self.reads():
            ready()
        while all(map(self._going, threads)):
            threads[-1].join(_TICK_SECONDS)
        for process, thread in zip(self._processes, threads, strict=True):
            process.stop()  # in the order of the pipeline: who waits for scores still gets them
            thread.join()
        if self._failed:
            raise self._failed[0]

    def _going(self, thread: threading.Thread) -> bool:
        return thread.is_alive() and not self._stopping.is_set()

    def _one(self, process: StageProcess) -> None:
        try:
            process.run()
        except BaseException as error:  # raised by `run`, in the thread that waits
            self._failed.append(error)

    def reads(self) -> bool:
        """Return whether all parts read and none was told to stop."""
        return not self._stopping.is_set() and all(process.reads() for process in self._processes)

    def stop(self) -> None:
        """Let each part in turn finish what it read, and end."""
        self._stopping.set()


class _ByPart(Collector):
    """The metrics of all parts, told apart by a label."""

    def __init__(self, registries: Mapping[Part, CollectorRegistry]) -> None:
        self._registries = registries

    def collect(self) -> Iterable[Metric]:
        found: dict[str, Metric] = {}
        for part, registry in self._registries.items():
            for family in registry.collect():
                same = found.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type, family.unit)
                )
                same.samples += [row._replace(labels={**row.labels, "part": part.value}) for row in family.samples]
        return found.values()
