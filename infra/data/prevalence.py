"""Makes ``enrichers/data/prevalence_seed.bin``: how often the repaired population shows each combination.

``python -m infra.data.prevalence`` writes the file and says what is in it; the same population gives the same bytes.
Only combinations whose values are real there are counted (docs/traffic.md): what pictures and sound come out as is
simulated, and where visitors are was set by us.
"""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import Final

import numpy as np

from enrichers.prevalence_seed import SEED_FILE, pack_prevalence_seed
from flows.stages.normalize import Normalize
from flows.stages.recognize.combinations import Combinations
from infra.traffic.population import Population, Visitor
from infra.traffic.rows import columns
from infra.traffic.visits import Planned
from schemas.batches import U64, Event, Ledger, Normalized, Origin, Verified
from schemas.catalogue import load_catalogue
from schemas.recognition import COMBINATIONS, PrevalenceSeed

SEEDED: Final = ("browser", "system", "graphics", "screen", "hardware", "fonts")
VISITORS: Final = 20_000
_SOURCE: Final = "apify_fingerprint_datapoints"
_LICENCE: Final = "Apache-2.0"
_AT: Final = 1_780_272_000_000  # 2026-06-01 00:00 UTC
_BATCH: Final = 500


def batch_of(visitors: list[Visitor]) -> Normalized:
    """Return what normalisation makes of the first complete event of each visitor."""
    rows = len(visitors)
    signals, activity = columns([Planned(0, visitor.signals, {}, []) for visitor in visitors])
    times = np.full(rows, _AT, np.int64)
    ids = np.zeros((rows, 16), np.uint8)
    numbers = np.zeros(rows, np.uint32)
    texts = ("",) * rows
    address = np.frombuffer(b"".join(visitor.address for visitor in visitors), np.uint8).reshape(rows, 16).copy()
    first, untold = np.zeros(rows, np.uint8), (b"",) * rows
    event = Event(
        ids, ids, ids, address, numbers, numbers, times, times, texts, texts, texts, texts, texts, first, untold
    )
    origin = Origin("", np.zeros(rows, np.int32), np.arange(rows), times, times)
    ledger = Ledger((), np.zeros((rows, 0), np.int64))
    return Normalize()(Verified(origin, (b"",) * rows, ledger, event, signals, activity)).oks


def prevalence_seed(visitors: int = VISITORS, seed: int = 1) -> PrevalenceSeed:
    """Return the counts of that many visitors."""
    population, combinations = Population(seed), Combinations(load_catalogue())
    sizes = [min(_BATCH, visitors - first) for first in range(0, visitors, _BATCH)]
    table: U64 = np.concatenate([combinations.keys(batch_of(population.visitors(size, _AT))) for size in sizes])
    kinds, found, counts = [], [], []
    for name in SEEDED:
        kind = COMBINATIONS.index(name)
        own, times = np.unique(table[:, kind], return_counts=True)
        shown = own != 0
        kinds.append(np.full(int(shown.sum()), kind, np.uint8))
        found.append(own[shown])
        counts.append(times[shown].astype(np.uint32))
    version = metadata.version(_SOURCE)
    return PrevalenceSeed(version, np.concatenate(kinds), np.concatenate(found), np.concatenate(counts))


def main(path: Path = SEED_FILE) -> None:
    """Write the file."""
    seed = prevalence_seed()
    path.write_bytes(pack_prevalence_seed(seed, f"PyPI {_SOURCE}, repaired", _LICENCE, VISITORS))
    for kind, name in enumerate(COMBINATIONS):
        counts = seed.counts[seed.kinds == kind]
        if len(counts):
            once = np.count_nonzero(counts == 1) / counts.sum()
            sys.stdout.write(f"{name}: {len(counts)} combinations, {once:.2%} of the visitors alone with theirs\n")
    sys.stdout.write(f"{path}: {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
