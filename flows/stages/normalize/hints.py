"""The system's version by client hints, where the user agent hides it. Hashes of every version that there may be."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product

import numpy as np

from schemas.batches import F32, U8, U32, U64
from schemas.catalogue import category_hash
from schemas.environment import SYSTEMS

# On Windows the hint is the version of the Universal API Contract (learn.microsoft.com, "Detect Windows 11 and CPU
# architecture using User-Agent Client Hints"): 0.1 to 0.3 are Windows 7 to 8.1, 1 to 10 are 10, and 13 and more are 11.
_OLD_WINDOWS = {"0.1.0": 7.0, "0.2.0": 8.0, "0.3.0": 8.1}


def _windows() -> Iterator[tuple[str, float]]:
    yield from _OLD_WINDOWS.items()
    yield from ((f"{contract}.0.0", 10.0 if contract <= 10 else 11.0) for contract in (*range(1, 11), *range(13, 41)))


def _macos() -> Iterator[tuple[str, float]]:
    for major, minor, patch in product(range(10, 31), range(17), range(11)):
        yield f"{major}.{minor}.{patch}", float(f"{major}.{minor}")


def _android() -> Iterator[tuple[str, float]]:
    for major in range(5, 31):
        yield str(major), float(major)
        for minor, patch in product(range(3), range(3)):
            yield f"{major}.{minor}.{patch}", float(f"{major}.{minor}")


_VERSIONS = {"windows": _windows, "macos": _macos, "android": _android}


@cache
def version_table() -> tuple[U64, F32]:
    """Return system and hash of every version, sorted, and what they mean."""
    found = {
        SYSTEMS.index(system) << 32 | category_hash(text): version
        for system, versions in _VERSIONS.items()
        for text, version in versions()
    }
    ordered = sorted(found)
    return np.array(ordered, np.uint64), np.array([found[key] for key in ordered], np.float32)


def hinted_version(hint: U32, system: U8) -> F32:
    """Return the version of Windows, macOS or Android by the hint for it, float32[n], NaN where it says nothing."""
    known, versions = version_table()
    wanted = hint | (system.astype(np.uint64) << np.uint64(32))
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[at] == wanted, versions[at], np.float32(np.nan))
