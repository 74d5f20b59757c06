"""Sealed events to measure with: from the generator's own distribution, made once and kept in a file.

They are generated in a process of their own, so that its memory is not counted as the flow's. The files lie in the
user's cache (``XDG_CACHE_HOME``, else ``~/.cache``), named after the generator's code, seed, count and size, and take
at most ``CACHE_BYTES`` together: the ones that were not used for longest go.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np

from flows.parcel import Parcel, Span
from schemas.batches import Ledger, Origin, RawBatch
from schemas.catalogue import load_catalogue
from schemas.framing import pack_frames, unpack_frames

TOPIC = "events.raw"
MOST_EVENTS: Final = 1_000_000  # of one file
CACHE_BYTES: Final = 1_500_000_000
_COUNTS: Final = (2_048, 20_000)
_LATER = 4_000_000_000_000  # ms: events count when they were received, whenever they are measured with


class Size(StrEnum):
    """How large the events are."""

    FULL = "full"  # 8 to 12 KB sealed, 1,000 signals and more: infra.traffic.long_forms
    CHECKOUT = "checkout"  # about 3.5 KB: as the agent sends them from a checkout, pages' first events among them


def recorded_events(events: int, seed: int, size: Size = Size.CHECKOUT) -> list[bytes]:
    """Return so many records of ``events.raw``, the same for the same code, count, seed and size."""
    return own_events(recorded_file(events, seed, size), events)


def own_events(path: Path, most: int) -> list[bytes]:
    """Return the first ``most`` records of a file that ``recorded_file`` made."""
    return unpack_frames(path.read_bytes(), MOST_EVENTS)[:most]


def recorded_file(events: int, seed: int, size: Size = Size.CHECKOUT) -> Path:
    """Return a file of these events or more, made where it is not there yet: frames, each behind its length.

    Full-size ones are made in few counts, so that all benchmarks of a run take theirs from one file.
    """
    events = next((count for count in _COUNTS if events <= count), events) if size is Size.FULL else events
    path = cache_directory() / f"events-{_digest(events, seed, size)}.bin"
    if path.exists():
        path.touch()
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    maker = multiprocessing.get_context("spawn").Process(target=_make, args=(path, events, seed, size))
    maker.start()
    maker.join()
    if maker.exitcode:
        raise RuntimeError(f"the generator of events ended with code {maker.exitcode}")
    forget(path.parent, CACHE_BYTES, keep=path)
    return path


def cache_directory() -> Path:
    """Return where the events are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "clickgoose" / "bench"


def forget(directory: Path, most: int, keep: Path) -> None:
    """Remove the files that were not used for longest, until they have at most so many bytes; ``keep`` stays."""
    known = sorted(directory.glob("events-*.bin"), key=lambda path: path.stat().st_mtime, reverse=True)
    taken = keep.stat().st_size
    for path in known:
        if path == keep:
            continue
        taken += path.stat().st_size
        if taken > most:
            path.unlink(missing_ok=True)  # another process may have been as quick


def _digest(events: int, seed: int, size: Size) -> str:
    """Name the cache after everything that the events depend on: a change of the generator makes new ones."""
    return hashlib.sha256(f"{events}:{seed}:{size}:{traffic_digest()}".encode()).hexdigest()[:16]


def traffic_digest() -> str:
    """Return a digest of the code that makes traffic, and of the catalogue that it speaks."""
    digest = hashlib.sha256(load_catalogue().digest().encode())
    for source in sorted(Path(str(files("infra.traffic"))).rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _make(path: Path, events: int, seed: int, size: Size) -> None:
    from infra.traffic.dataset import CODECS, WELL_FORMED, labelled_batches  # noqa: PLC0415 - only here it is paid for
    from infra.traffic.long_forms import LONG_FORMS, LongForms  # noqa: PLC0415
    from schemas.sealed import Codec  # noqa: PLC0415

    full = size is Size.FULL
    batches = labelled_batches(
        events,
        seed,
        mix=LONG_FORMS if full else WELL_FORMED,
        codecs={Codec.RAW: 1.0} if full else CODECS,  # the agent packs where the server asks for it
        craft=LongForms(seed) if full else None,
    )
    values = [value for made in batches for value in made.raw.values]
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_bytes(pack_frames(values[:events]))
    temporary.replace(path)


def parcels(values: Sequence[bytes], batch: int, partition: int = 0, first: int = 0) -> Iterator[Parcel[RawBatch]]:
    """Cut records into parcels of ``batch`` rows, as a source would that always finds enough.

    ``first`` is the offset of the first record.
    """
    for at in range(0, len(values), batch):
        part = tuple(values[at : at + batch])
        rows = len(part)
        offsets = np.arange(first + at, first + at + rows, dtype=np.int64)
        later = np.full(rows, _LATER, np.int64)
        origin = Origin(TOPIC, np.full(rows, partition, np.int32), offsets, later, later)
        ledger = Ledger(("appended", "polled"), np.zeros((rows, 2), np.int64))
        yield Parcel((Span(partition, first + at, first + at + rows),), RawBatch(origin, part, ledger), rows)
