"""Loads what Numba has compiled, or compiles it: ``python -m infra.compiled_loops``, part of ``make setup``.

For a process that is about to work, and for the building of an image. It takes a minute or two of CPU once, and a
second afterwards.
"""

from __future__ import annotations

from typing import Final

from enrichers.warm import warm as enrichers
from flows.lookups.warm import compile_kernels as shared_counts
from flows.sinks.warm import warm as results
from flows.stages.device_state.warm import compile_kernels as velocity
from flows.stages.recognize.warm import compile_kernels as recognize
from flows.stages.warm import compile_kernels as stateless
from scoring.warm import warm as scoring

_ALL: Final = (stateless, velocity, recognize, shared_counts, enrichers, scoring, results)


def load_compiled_loops() -> None:
    """Load what is on disk and compile what is not: else the first batch waits for it."""
    for part in _ALL:
        part()


if __name__ == "__main__":
    load_compiled_loops()
