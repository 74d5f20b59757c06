"""Sealed events to measure with: from the generator's own distribution, made once and kept in a file.

They are generated in a process of their own, so that its memory is not counted as the flow's.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import tempfile
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np

from flows.parcel import Parcel, Span
from schemas.batches import Ledger, Origin, RawBatch
from schemas.catalogue import load_catalogue
from schemas.framing import pack_frames, unpack_frames

TOPIC = "events.raw"
_LATER = 4_000_000_000_000  # ms: events count when they were received, whenever they are measured with


def recorded_events(events: int, seed: int) -> list[bytes]:
    """Return so many records of ``events.raw``, the same for the same code, count and seed."""
    path = Path(tempfile.gettempdir()) / f"clickgoose-bench-{_digest(events, seed)}.bin"
    if not path.exists():
        maker = multiprocessing.get_context("spawn").Process(target=_make, args=(path, events, seed))
        maker.start()
        maker.join()
        if maker.exitcode:
            raise RuntimeError(f"the generator of events ended with code {maker.exitcode}")
    return unpack_frames(path.read_bytes(), events)


def _digest(events: int, seed: int) -> str:
    """Name the cache after everything that the events depend on: a change of the generator makes new ones."""
    return hashlib.sha256(f"{events}:{seed}:{traffic_digest()}".encode()).hexdigest()[:16]


def traffic_digest() -> str:
    """Return a digest of the code that makes traffic, and of the catalogue that it speaks."""
    digest = hashlib.sha256(load_catalogue().digest().encode())
    for source in sorted(Path(str(files("infra.traffic"))).rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _make(path: Path, events: int, seed: int) -> None:
    from infra.traffic.dataset import labelled_batches  # noqa: PLC0415 - only the generating process pays for it

    values = [value for made in labelled_batches(events, seed) for value in made.raw.values]
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(pack_frames(values[:events]))
    temporary.replace(path)


def parcels(values: Sequence[bytes], batch: int, partition: int = 0) -> Iterator[Parcel[RawBatch]]:
    """Cut records into parcels of ``batch`` rows, as a source would that always finds enough."""
    for first in range(0, len(values), batch):
        part = tuple(values[first : first + batch])
        rows = len(part)
        offsets = np.arange(first, first + rows, dtype=np.int64)
        later = np.full(rows, _LATER, np.int64)
        origin = Origin(TOPIC, np.full(rows, partition, np.int32), offsets, later, later)
        ledger = Ledger(("appended", "polled"), np.zeros((rows, 2), np.int64))
        yield Parcel((Span(partition, first, first + rows),), RawBatch(origin, part, ledger), rows)
