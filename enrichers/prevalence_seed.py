"""What is usual before any traffic came: combinations of attributes counted in the repaired population.

The file is made by ``python -m infra.data.prevalence``. Its body, little-endian: which combination u8[k], its key
u64[k], how many visitors show it u32[k].
"""

from __future__ import annotations

import lzma
from functools import cache
from pathlib import Path

import numpy as np

from enrichers.data_file import DataFileError, Described, Form, pack_data_file, read_data_file
from schemas.recognition import COMBINATIONS, PrevalenceSeed

SEED_FILE = Path(__file__).parent / "data" / "prevalence_seed.bin"
KIND = "prevalence"
_ROW_BYTES = 1 + 8 + 4
_FORM = Form(b"CGPS", lzma.compress, lzma.decompress)


def pack_prevalence_seed(seed: PrevalenceSeed, source: str, licence: str, visitors: int) -> bytes:
    """Return a file's bytes, the same for the same content."""
    body = b"".join(
        (seed.kinds.astype("u1").tobytes(), seed.keys.astype("<u8").tobytes(), seed.counts.astype("<u4").tobytes())
    )
    described = Described(KIND, seed.version, source, licence, (len(seed.keys), visitors), "")
    return pack_data_file(_FORM, described, body)


def load_prevalence_seed(path: Path = SEED_FILE) -> PrevalenceSeed:
    """Return the seed of a file, read once a process; DataFileError where it cannot be used."""
    return _read(path)


@cache
def _read(path: Path) -> PrevalenceSeed:
    return read_data_file(path, KIND, _FORM, _seed)


def _seed(described: Described, body: bytes) -> PrevalenceSeed:
    rows = described.rows[0]
    if len(body) != rows * _ROW_BYTES:
        raise ValueError("another length")
    kinds = np.frombuffer(body, "u1", rows)
    keys = np.frombuffer(body, "<u8", rows, rows).astype(np.uint64)
    counts = np.frombuffer(body, "<u4", rows, 9 * rows).astype(np.uint32)
    if np.any(kinds >= len(COMBINATIONS)) or not keys.all() or not counts.all():
        raise ValueError("impossible rows")
    return PrevalenceSeed(described.version, kinds.copy(), keys, counts)


__all__ = ["KIND", "SEED_FILE", "DataFileError", "load_prevalence_seed", "pack_prevalence_seed"]
