"""relate: how much of what an event shows is shared with other devices, and how often it was seen lately.

An entity is named by a keyed hash of one way (BLAKE2b, 64 bits, with its kind in it), so the store that is shared
holds no address, account or card. Account and card belong to a merchant; the others are the same for all merchants.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from typing import Final

import numpy as np

from schemas.batches import U8, U64, Recognized, Related, Shared
from schemas.columns import widen
from schemas.event_time import event_time
from schemas.shared import SharedCounts, SharedQuery
from schemas.stage import StageOut
from schemas.velocity import ENTITIES

_MAPPED: Final = np.frombuffer(bytes(10) + b"\xff\xff", np.uint8)  # how an IPv4 address begins in 16 bytes
_CACHED: Final = 65_536
NO_KEY: Final = b"clickgoose shared counts"  # a key that everybody can know


class Relate:
    """Asks the injected store for the counts of every event's entities. Every row goes on.

    ``key`` makes the hashes: without knowing it nobody can try all addresses against what the store holds.
    """

    name = "relate"

    def __init__(self, counts: SharedCounts, key: bytes = NO_KEY) -> None:
        self._counts = counts
        self._hashes = {kind: Hashes(kind, key) for kind in (*ENTITIES, "device")}

    def __call__(self, batch: Recognized, /) -> StageOut[Related]:
        """Return the batch with its shared counts, [n, ENTITIES, MEASURES, WINDOWS]."""
        query = SharedQuery(
            entities=self.entities(batch),
            device=self._hashes["device"](_bytes(batch.event.device_id)),
            time=event_time(batch),
            partition=batch.origin.partition,
            offset=batch.origin.offset,
        )
        answer = self._counts.count(query)
        shared = Shared(answer.counts, np.full(len(batch), answer.degraded))
        return StageOut(widen(Related, batch, shared=shared))

    def entities(self, batch: Recognized) -> U64:
        """Return the hash of each entity, uint64[n, ENTITIES], 0 where the event has none."""
        event = batch.event
        values: dict[str, Sequence[Hashable]] = {
            "address": _bytes(event.address),
            "network": _bytes(networks(event.address)),
            "asn": batch.network.asn.tolist(),
            "account": _within(event.merchant, event.linked_id),
            "fingerprint": batch.environment.fingerprint.tolist(),
            "card": _within(event.merchant, event.card_token),
        }
        return np.stack([self._hashes[kind](values[kind]) for kind in ENTITIES], axis=1)


def networks(address: U8) -> U8:
    """Return the network of each address, uint8[n, 16]: /24 of IPv4 (mapped), /64 of IPv6."""
    found = address.copy()
    mapped = (address[:, :12] == _MAPPED).all(axis=1)
    found[mapped, 15] = 0
    found[~mapped, 8:] = 0
    return found


class Hashes:
    """The hashes of one kind's values, remembered for the values that came last."""

    def __init__(self, kind: str, key: bytes) -> None:
        self._kind = kind.encode()
        self._key = key[:64]
        self._known: dict[Hashable, int] = {}

    def __call__(self, values: Sequence[Hashable]) -> U64:
        """Return uint64[n]: 0 for a value that says nothing (0, all zeros, None)."""
        known = self._known
        found = [known.get(value, -1) for value in values]
        if -1 in found:
            if len(known) + len(values) > _CACHED:
                known.clear()
            for row, value in enumerate(values):
                if found[row] < 0:
                    found[row] = known[value] = self._hash(value)
        return np.array(found, np.uint64)

    def _hash(self, value: Hashable) -> int:
        if isinstance(value, tuple):
            merchant, own = value
            name = f"{len(merchant)}:{merchant}{own}".encode("utf-8", "surrogatepass")
        elif isinstance(value, int):
            name = value.to_bytes(8, "little")
        elif isinstance(value, bytes):
            name = value
        else:
            return 0
        if not name.strip(b"\0"):
            return 0
        digest = hashlib.blake2b(name, digest_size=8, key=self._key, person=self._kind)
        return int.from_bytes(digest.digest(), "little") or 1


def _bytes(column: U8) -> list[bytes]:
    text = np.ascontiguousarray(column).tobytes()
    return [text[at : at + 16] for at in range(0, len(text), 16)]


def _within(merchant: Sequence[str], own: Sequence[str]) -> list[tuple[str, str] | None]:
    return [(name, value) if value else None for name, value in zip(merchant, own, strict=True)]
