"""Compiles the loops of shared counts, or loads them: part of ``infra.compiled_loops``."""

from __future__ import annotations

import numpy as np

from flows.lookups.memory_shared import MemorySharedCounts
from flows.lookups.packing import pack, unpack
from schemas.shared import SharedQuery
from schemas.velocity import ENTITIES

_ROWS = 1_000  # more than the tables begin with: they grow


def compile_kernels() -> None:
    """Count rows, forget them, dump them and load them, and make bytes of them: what Python calls is compiled then."""
    counts = MemorySharedCounts()
    names = np.arange(1, _ROWS + 1, dtype=np.uint64)
    rows = np.arange(_ROWS)
    entities = np.repeat(names[:, None], len(ENTITIES), axis=1)
    query = SharedQuery(entities, names, rows, np.zeros(_ROWS, np.int32), rows)
    counts.count(query)
    counts.forget()
    counts.load(list(counts.dump()))
    unpack(query, pack(query, 1).slots, [[[b""]]])
