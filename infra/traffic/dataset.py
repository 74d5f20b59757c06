"""Labelled batches as the source would read them: for training, benchmarks and golden runs.

Real envelopes, real sealing: the real stages run on them. The same seed gives the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from random import Random
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from infra.traffic.attackers import ATTACKERS, UNSCORED
from infra.traffic.craft import Craft
from infra.traffic.scenario import EVENTS_PER_ARRIVAL, Due, Mix, Scenario
from infra.traffic.sealing import bodies, seal_event
from infra.traffic.visits import Visit
from schemas.batches import I8, I64, Ledger, Origin, RawBatch
from schemas.envelope import Attested, wrap
from schemas.keys import KeyRing
from schemas.sealed import Codec, Header

TOPIC: Final = "events.raw"
START_MS: Final = 1_780_272_000_000  # 2026-06-01 00:00 UTC: no clock is changed in the weeks that follow
SPAN_MS: Final = 7 * 86_400_000
CODECS: Mapping[Codec, float] = {Codec.RAW: 0.9, Codec.DEFLATE_RAW: 0.05, Codec.LZ4: 0.05}
WELL_FORMED: Final = Mix(nuisances=0.0, kinds=tuple(kind for kind in ATTACKERS if kind not in UNSCORED))
LATE: Final = 0.85
"""From this share of the events on, recorded attackers take part that did not before: what a model is judged on."""
_KEY_ID: Final = 1


@dataclass(frozen=True, slots=True)
class LabelledBatch:
    """A batch as the source would read it, and what is true of each of its n rows."""

    raw: RawBatch
    labels: I8  # int8[n]: 1 for fraud, 0 for honest
    kinds: tuple[str, ...]  # n: infra.traffic.attackers, or honest
    campaigns: I64  # int64[n]: one number for each attack campaign, -1 for honest visitors and nuisances
    clients: tuple[str, ...]  # n: the recorded client that visits, "" where the visitor is simulated


def dataset_keys() -> KeyRing:
    """Return the keys that the dataset is sealed with: derived from a fixed text, and of use for nothing else."""
    return KeyRing({_KEY_ID: hashlib.sha256(b"clickgoose dataset").digest()})


def labelled_batches(
    events: int,
    seed: int,
    batch: int = 256,
    *,
    small: bool = False,
    mix: Mix = WELL_FORMED,
    codecs: Mapping[Codec, float] = CODECS,
    paces: Sequence[float] = (),
    craft: Craft | None = None,
) -> Iterator[LabelledBatch]:
    """Yield batches in order of event time, with what is true of their rows.

    They take about seven days, or come at ``paces``, events a minute: as many at each, one pace after the other. All
    rows are of partition 0, offsets rise by one. Some recorded attackers are in the last events only (``LATE``).
    ``small`` keeps activity logs to 60 entries; ``craft`` makes the visits, where they are of another make.
    """
    craft = craft or Craft(seed, small=small)
    gaps = [60_000 * EVENTS_PER_ARRIVAL / pace for pace in paces] or [SPAN_MS * EVENTS_PER_ARRIVAL / max(events, 1)]
    sealer = _Sealer(seed, codecs)
    craft.latecomers = False
    stream = _with_latecomers(craft, _at_paces(Scenario(craft, mix, START_MS, gaps[0]), events, gaps), events)
    offset = 0
    while rows := list(islice(stream, batch)):
        yield sealer.batch(rows, offset)
        offset += len(rows)


def _at_paces(scenario: Scenario, events: int, gaps: Sequence[float]) -> Iterator[Due]:
    """Yield so many events, the same share at each mean gap between arrivals (ms)."""
    stream, done = scenario.events(), 0
    for number, gap in enumerate(gaps, 1):
        scenario.become(gap)
        until = events * number // len(gaps)
        yield from islice(stream, until - done)
        done = until


def _with_latecomers(craft: Craft, stream: Iterator[Due], events: int) -> Iterator[Due]:
    """Yield the same, and let the recorded attackers that come late take part from then on."""
    for number, due in enumerate(stream):
        craft.latecomers = number >= events * LATE
        yield due


class _Sealer:
    """Gives visits their sessions, and events their ids and nonces, all from the seed."""

    def __init__(self, seed: int, codecs: Mapping[Codec, float]) -> None:
        self._random = Random(f"clickgoose sealing {seed}")
        self._ring = dataset_keys()
        self._codecs = tuple(codecs)
        self._weights = list(accumulate(codecs.values()))
        self._sessions: dict[str, tuple[bytes, AESGCM]] = {}

    def batch(self, rows: list[Due], offset: int) -> LabelledBatch:
        payloads = bodies([due.visit.events[due.number] for due in rows])
        received = [due.at + self._random.randint(8, 120) for due in rows]
        values = [self._record(due, body, at) for due, body, at in zip(rows, payloads, received, strict=True)]
        appended = np.array(received, np.int64) + 2
        polled = appended + 3
        origin = Origin(TOPIC, np.zeros(len(rows), np.int32), offset + np.arange(len(rows)), appended, polled)
        ledger = Ledger(("appended", "polled"), np.stack((appended, polled), axis=1) * 1000)
        labels = np.array([due.visit.label for due in rows], np.int8)
        campaigns = np.array([due.campaign for due in rows], np.int64)
        kinds = tuple(due.visit.kind for due in rows)
        clients = tuple(due.visit.client for due in rows)
        return LabelledBatch(RawBatch(origin, tuple(values), ledger), labels, kinds, campaigns, clients)

    def _record(self, due: Due, body: bytes, received: int) -> bytes:
        visit = due.visit
        session_id, cipher = self._session(visit)
        header = Header(_KEY_ID, session_id, visit.device_id, self._random.randbytes(16), due.number, due.at)
        codec = self._random.choices(self._codecs, cum_weights=self._weights)[0]
        sealed = seal_event(header, body, cipher, self._random.randbytes(12), codec, visit.spoil)
        attested = Attested(visit.merchant, visit.transaction, visit.linked_id, visit.card_token)
        return wrap(attested, received, visit.address, sealed)

    def _session(self, visit: Visit) -> tuple[bytes, AESGCM]:
        """Return the session of a visit; a transaction is one visit's own."""
        known = self._sessions.get(visit.transaction)
        if known is None:
            session_id = self._random.randbytes(16)
            key = self._ring.derive(_KEY_ID, session_id, "seal")
            if key is None:
                raise ValueError("the dataset's key ring has lost its key")
            known = self._sessions[visit.transaction] = (session_id, AESGCM(key))
            if len(self._sessions) > 20_000:
                for old in list(islice(self._sessions, 10_000)):
                    del self._sessions[old]
        return known
