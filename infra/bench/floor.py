"""floor: what the same work costs in a tight loop without any framework. The flow is judged against it.

One loop over batches: decrypt, lay out the vector with the log's statistics, twelve counters, 24 column rules, score
with factors by ONNX Runtime, encode. No stages, no parcels, no dead letters, no checks of what is in an event, no state
that is kept, no signals beside the catalogue's.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from infra.bench.feed import Feed
from infra.bench.processes import Done
from schemas.batches import Activity, Signals
from schemas.catalogue import load_catalogue
from schemas.envelope import sealed_start
from schemas.keys import KeyRing
from schemas.payload import decode_payloads
from schemas.sealed import HEADER_BYTES, NONCE_BYTES, unpack_body
from scoring.features import feature_schema
from scoring.log_statistics import log_statistics
from scoring.model import Model

_RULES = 24
_FACTORS = 5
_PARTS = ("decrypt", "vector", "velocity", "rules", "score", "encode")
_OUTPUTS = ["score", "top_contribution", "top_factor"]
_COUNTED = (slice(24, 40), slice(8, 24), slice(24, 26))  # of the header: device, session, and one of 65,536 groups
_WINDOWS_MS = (60_000, 3_600_000, 86_400_000, 604_800_000)
_SENT = slice(60, 68)
_WARM_BATCHES = 8


class _Result(msgspec.Struct):
    event_id: str
    score: float
    factors: list[tuple[int, float]]
    rules: int
    counts: list[int]


class FloorWork:
    """The loop. ``compiled``: the trees are walked by the compiled loop of the flow instead of by ONNX Runtime."""

    def __init__(self, keys: KeyRing, model: Model, batch: int, *, compiled: bool = False) -> None:
        self._keys = keys
        self._model = model
        self._batch = batch
        self._compiled = compiled

    def warm_up(self, records: Sequence[bytes]) -> None:
        """Do some batches with counters that are thrown away."""
        loop = _Loop(self._keys, self._model, self._compiled)
        for first in range(0, min(_WARM_BATCHES * self._batch, len(records)), self._batch):
            loop.step(records[first : first + self._batch])

    def __call__(self, feed: Feed) -> Done:
        """Do all that the feed gives."""
        loop = _Loop(self._keys, self._model, self._compiled)
        scored = sum(loop.step(records) for records in feed.batches(lambda records, _: records))
        engine = "compiled trees" if self._compiled else "ONNX Runtime"
        return Done(dict(zip(_PARTS, loop.spent, strict=True)), {"scored": scored}, {"score_by": engine})


class _Loop:
    def __init__(self, keys: KeyRing, model: Model, compiled: bool) -> None:
        self._keys = keys
        self._model = model
        self._compiled = compiled
        self._catalogue = load_catalogue()
        self._ciphers: dict[bytes, AESGCM] = {}
        self._seen: dict[tuple[bytes, int, int], int] = {}
        self._encoder = msgspec.json.Encoder()
        self.spent = [0.0] * len(_PARTS)  # CPU seconds

    def step(self, values: Sequence[bytes]) -> int:
        """Do one batch, and return how many results it has."""
        marks = [time.thread_time()]
        heads, bodies = self._open(values)
        marks.append(time.thread_time())
        signals, activity, _ = decode_payloads(bodies, self._catalogue)
        features = self._features(signals, activity)
        marks.append(time.thread_time())
        counts = self._count(heads)
        features[:, feature_schema().velocity.start :][:, : counts.shape[1]] = counts
        marks.append(time.thread_time())
        rules = _rules(signals.numbers)
        marks.append(time.thread_time())
        score, contribution, factor = self._score(features)
        marks.append(time.thread_time())
        results = self._encode(heads, score, contribution, factor, rules, counts)
        marks.append(time.thread_time())
        for part, (begun, ended) in enumerate(pairwise(marks)):
            self.spent[part] += ended - begun
        return len(results)

    def _open(self, values: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
        heads, bodies = [], []
        for value in values:
            at = sealed_start(value)
            head = value[at : at + HEADER_BYTES]
            cipher = self._ciphers.get(head[8:24])
            if cipher is None:
                key = self._keys.derive(int.from_bytes(head[4:8], "little"), head[8:24], "seal")
                cipher = self._ciphers[head[8:24]] = AESGCM(key or b"")
                if len(self._ciphers) > 50_000:
                    self._ciphers.clear()
            sealed = at + HEADER_BYTES + NONCE_BYTES
            bodies.append(unpack_body(cipher.decrypt(value[at + HEADER_BYTES : sealed], value[sealed:], head))[1])
            heads.append(head)
        return heads, bodies

    def _count(self, heads: Sequence[bytes]) -> NDArray[np.int64]:
        """Return int64[n, 12]: events so far of three entities in four windows."""
        seen, found = self._seen, []
        for head in heads:
            sent = int.from_bytes(head[_SENT], "little")
            for entity in _COUNTED:
                name = head[entity]
                for window in _WINDOWS_MS:
                    key = (name, window, sent // window)
                    seen[key] = count = seen.get(key, 0) + 1
                    found.append(count)
        if len(seen) > 2_000_000:
            seen.clear()
        return np.array(found, np.int64).reshape(len(heads), -1)

    def _features(self, signals: Signals, activity: Activity) -> NDArray[np.float32]:
        schema = feature_schema()
        matrix = np.full((len(signals), len(schema)), np.nan, np.float32)
        matrix[:, schema.numbers] = signals.numbers
        booleans = matrix[:, schema.booleans]
        np.copyto(booleans, signals.booleans, where=signals.known)
        categories = signals.categories
        np.copyto(matrix[:, schema.categories], categories, where=categories != 0, casting="unsafe")
        statistics = log_statistics(activity).T
        matrix[:, schema.activity] = statistics
        return matrix

    def _score(self, features: NDArray[np.float32]) -> tuple[NDArray[np.generic], ...]:
        if self._compiled:
            verdict = self._model.run(features)
            return verdict.score, verdict.top_contribution, verdict.top_factor
        score, contribution, factor = self._model.session.run(_OUTPUTS, {"features": features})
        return score, contribution, factor

    def _encode(
        self,
        heads: Sequence[bytes],
        score: NDArray[np.generic],
        contribution: NDArray[np.generic],
        factor: NDArray[np.generic],
        rules: NDArray[np.uint32],
        counts: NDArray[np.int64],
    ) -> list[bytes]:
        columns = (
            score.reshape(-1).tolist(), factor[:, :_FACTORS].tolist(), contribution[:, :_FACTORS].tolist(),
            rules.tolist(), counts.tolist(),
        )  # fmt: skip
        encode = self._encoder.encode
        return [
            encode(_Result(head[40:56].hex(), points, list(zip(top, why, strict=True)), bits, seen))
            for head, points, top, why, bits, seen in zip(heads, *columns, strict=True)
        ]


def _rules(numbers: NDArray[np.float32]) -> NDArray[np.uint32]:
    found = np.zeros(len(numbers), np.uint32)
    for bit in range(_RULES):
        found |= (numbers[:, bit % numbers.shape[1]] > bit).astype(np.uint32) << np.uint32(bit)
    return found
