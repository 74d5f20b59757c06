"""What makes a flow answer evenly: a seldom collector, and threads that take turns.

Measured by ``clickgoose bench latency``; docs/performance.md has the figures.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# Nothing of a batch is freed by the collector, and what waits for ClickHouse are hundreds of thousands of objects. It
# looks at each once while it is young, few at a time, as nothing else runs meanwhile (50,000 took 40 ms), and at all of
# them hardly ever.
_THRESHOLDS: Final = (1_000, 50_000, 10)
# A thread that computes lets another one go on after so long. The stages wait for Kafka and Redis several times a
# batch; with Python's 5 ms each of these waits could last that much longer while a sink makes its columns.
_TURN_SECONDS: Final = 0.0005


@contextmanager
def calm() -> Iterator[None]:
    """Spare the collector what is loaded, and let threads take short turns, while a dataflow runs."""
    thresholds, turn = gc.get_threshold(), sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    sys.setswitchinterval(_TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(turn)
        gc.set_threshold(*thresholds)
        gc.unfreeze()
