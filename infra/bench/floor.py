"""floor: what the same work costs in a tight loop without any framework. The flow is judged against it.

One loop over batches: decrypt, lay out the vector, log statistics, count by device, 24 column rules, ONNX score with
factors, encode. No stages, no parcels, no dead letters, no checks of the environment.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from infra.bench.measure import Figures, RowsLost, measured
from schemas.activity_statistics import activity_statistics
from schemas.batches import Activity, Signals
from schemas.catalogue import load_catalogue
from schemas.envelope import sealed_start
from schemas.keys import KeyRing
from schemas.payload import decode_payloads
from schemas.sealed import HEADER_BYTES, NONCE_BYTES, unpack_body
from scoring.model import Model

_RULES = 24


def bench_floor(values: Sequence[bytes], keys: KeyRing, model: Model, batch: int) -> Figures:
    """Measure one pass over the records, after a warm-up of 4 batches."""
    loop = _Loop(keys, model)
    for first in range(0, min(4 * batch, len(values)), batch):
        loop.step(values[first : first + batch])
    loop = _Loop(keys, model)

    def work() -> int:
        return sum(loop.step(values[first : first + batch]) for first in range(0, len(values), batch))

    figures = measured("floor", batch, work)
    if figures.events != len(values):
        raise RowsLost(f"the floor scored {figures.events} of {len(values)} events")
    return figures


class _Loop:
    def __init__(self, keys: KeyRing, model: Model) -> None:
        self._keys = keys
        self._model = model
        self._catalogue = load_catalogue()
        self._ciphers: dict[bytes, AESGCM] = {}
        self._seen: dict[bytes, int] = {}

    def step(self, values: Sequence[bytes]) -> int:
        bodies, devices = self._open(values)
        signals, activity, _ = decode_payloads(bodies, self._catalogue)
        counts = self._count(devices)
        rules = _rules(signals.numbers)
        features = self._features(signals, activity, counts)
        verdict = self._model.run(features)
        return len(_encode(verdict.score, verdict.top_factor, rules))

    def _open(self, values: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
        bodies, devices = [], []
        for value in values:
            at = sealed_start(value)
            head = value[at : at + HEADER_BYTES]
            cipher = self._ciphers.get(head[8:24])
            if cipher is None:
                key = self._keys.derive(int.from_bytes(head[4:8], "little"), head[8:24], "seal")
                cipher = self._ciphers[head[8:24]] = AESGCM(key or b"")
            sealed = at + HEADER_BYTES + NONCE_BYTES
            bodies.append(unpack_body(cipher.decrypt(value[at + HEADER_BYTES : sealed], value[sealed:], head))[1])
            devices.append(head[24:40])
        return bodies, devices

    def _count(self, devices: Sequence[bytes]) -> NDArray[np.float32]:
        found = []
        for device in devices:
            self._seen[device] = seen = self._seen.get(device, 0) + 1
            found.append(seen)
        return np.array(found, np.float32)

    def _features(self, signals: Signals, activity: Activity, counts: NDArray[np.float32]) -> NDArray[np.float32]:
        matrix = np.full((len(counts), len(self._model.manifest.features)), np.nan, np.float32)
        blocks = (
            signals.numbers,
            signals.booleans,
            signals.categories,
            activity_statistics(activity).table.T,
            counts[:, None],
        )
        at = 0
        for block in blocks:
            width = min(block.shape[1], matrix.shape[1] - at)
            matrix[:, at : at + width] = block[:, :width]
            at += width
        return matrix


def _rules(numbers: NDArray[np.float32]) -> NDArray[np.uint32]:
    found = np.zeros(len(numbers), np.uint32)
    for bit in range(_RULES):
        found |= (numbers[:, bit % numbers.shape[1]] > bit).astype(np.uint32) << np.uint32(bit)
    return found


def _encode(scores: NDArray[np.float32], factors: NDArray[np.generic], rules: NDArray[np.uint32]) -> list[bytes]:
    rows = zip(scores.tolist(), factors.tolist(), rules.tolist(), strict=True)
    return [f'{{"score":{score:.2f},"factors":{top},"rules":{bits}}}'.encode() for score, top, bits in rows]
