"""relate: how much of what an event shows is shared with other devices, and how often it was seen lately.

An entity is named by a keyed hash of one way (BLAKE2b, 64 bits, with its kind in it), so the store that is shared
holds no address, account or card. Account and card belong to a merchant; the others are the same for all merchants.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from flows.stages.entity_hashes import OwnHashes, ValueHashes
from flows.stages.told_rows import merged, others, told_rows, what_was_told
from schemas.batches import U8, U64, Recognized, Related, Shared
from schemas.columns import widen
from schemas.event_time import event_time
from schemas.shared import SharedCounts, SharedQuery
from schemas.stage import StageOut
from schemas.velocity import ENTITIES

_MAPPED: Final = np.frombuffer(bytes(10) + b"\xff\xff", np.uint8)  # how an IPv4 address begins in 16 bytes
_SIZES: Final = {"address": 16, "network": 16, "asn": 8, "fingerprint": 8, "device": 16}  # bytes of a value
_ADDRESS, _NETWORK, _ASN, _FINGERPRINT, _DEVICE = range(len(_SIZES))
_PLACES: Final = [list(_SIZES).index(kind) if kind in _SIZES else -1 for kind in ENTITIES]
NO_KEY: Final = b"clickgoose shared counts"  # a key that everybody can know


class Relate:
    """Asks the injected store for the counts of every event's entities. Every row goes on.

    ``key`` makes the hashes: without knowing it nobody can try all addresses against what the store holds.
    """

    name = "relate"

    def __init__(self, counts: SharedCounts, key: bytes = NO_KEY) -> None:
        self._counts = counts
        self._values = ValueHashes(_SIZES, key)
        self._accounts, self._cards = OwnHashes("account", key), OwnHashes("card", key)

    def __call__(self, batch: Recognized, /) -> StageOut[Related]:
        """Return the batch with its shared counts, [n, ENTITIES, MEASURES, WINDOWS].

        Redriven rows that were counted before they failed go on with what was said of them then.
        """
        told = told_rows(batch.event)
        if told is None:
            return StageOut(widen(Related, batch, shared=self._asked(batch)))
        before = [(row, one.shared) for row, one in zip(told.tolist(), what_was_told(batch.event, told), strict=True)]
        known = {row: shared for row, shared in before if shared is not None}  # unless it failed here
        rows = np.array(list(known), np.intp)
        fresh = others(rows, len(batch))
        found = merged(fresh, self._asked(batch.take(fresh)), rows, list(known.values()))
        return StageOut(widen(Related, batch, shared=found))

    def _asked(self, batch: Recognized) -> Shared:
        entities, device = self.named(batch)
        query = SharedQuery(
            entities=entities,
            device=device,
            time=event_time(batch),
            partition=batch.origin.partition,
            offset=batch.origin.offset,
        )
        answer = self._counts.count(query)
        return Shared(answer.counts, np.full(len(batch), answer.degraded))

    def named(self, batch: Recognized) -> tuple[U64, U64]:
        """Return the hash of each entity, uint64[n, ENTITIES], 0 where the event has none, and of the device."""
        event = batch.event
        values = np.zeros((len(batch), len(_SIZES), 2), np.uint64)
        values[:, _ADDRESS] = _words(event.address)
        values[:, _NETWORK] = _words(networks(event.address))
        values[:, _ASN, 0] = batch.network.asn
        values[:, _FINGERPRINT, 0] = batch.environment.fingerprint
        values[:, _DEVICE] = _words(event.device_id)
        hashes = self._values(values)
        entities = hashes[:, _PLACES]
        entities[:, ENTITIES.index("account")] = self._accounts.of(event.merchant, event.linked_id)
        entities[:, ENTITIES.index("card")] = self._cards.of(event.merchant, event.card_token)
        return entities, hashes[:, _DEVICE]


def networks(address: U8) -> U8:
    """Return the network of each address, uint8[n, 16]: /24 of IPv4 (mapped), /64 of IPv6."""
    found = address.copy()
    mapped = (address[:, :12] == _MAPPED).all(axis=1)
    found[mapped, 15] = 0
    found[~mapped, 8:] = 0
    return found


def _words(column: U8) -> U64:
    """Return 16 bytes a row as two words each, uint64[n, 2]."""
    return np.ascontiguousarray(column).view("<u8")
