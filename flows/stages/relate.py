"""relate: how much of what an event shows is shared with other devices, and how often it was seen lately.

An entity is named by a keyed hash of one way (BLAKE2b, 64 bits, with its kind in it), so the store that is shared
holds no address, account or card. Account and card belong to a merchant; the others are the same for all merchants.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from flows.stages.entity_hashes import OwnHashes, ValueHashes
from flows.stages.entity_values import SIZES, entity_values
from flows.stages.told_rows import merged, others, told_rows, what_was_told
from schemas.batches import U64, Recognized, Related, Shared
from schemas.columns import widen
from schemas.event_time import event_time
from schemas.shared import SharedCounts, SharedQuery
from schemas.stage import StageOut
from schemas.velocity import ENTITIES

_DEVICE: Final = list(SIZES).index("device")
_PLACES: Final = [(ENTITIES.index(kind), list(SIZES).index(kind)) for kind in SIZES if kind in ENTITIES]
_ACCOUNT, _CARD = ENTITIES.index("account"), ENTITIES.index("card")
NO_KEY: Final = b"clickgoose shared counts"  # a key that everybody can know


class Relate:
    """Asks the injected store for the counts of every event's entities. Every row goes on.

    ``key`` makes the hashes: without knowing it nobody can try all addresses against what the store holds.
    """

    name = "relate"

    def __init__(self, counts: SharedCounts, key: bytes = NO_KEY) -> None:
        self._counts = counts
        self._values = ValueHashes(SIZES, key)
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
        return Shared(answer.counts, (np.ones if answer.degraded else np.zeros)(len(batch), np.bool_))

    def named(self, batch: Recognized) -> tuple[U64, U64]:
        """Return the hash of each entity, uint64[n, ENTITIES], 0 where the event has none, and of the device."""
        event = batch.event
        address, device = event.address, event.device_id
        values = entity_values(address, batch.network.asn, batch.environment.fingerprint, device)
        hashes = self._values(values)
        entities = np.empty((len(hashes), len(ENTITIES)), np.uint64)
        for place, kind in _PLACES:
            entities[:, place] = hashes[:, kind]
        entities[:, _ACCOUNT] = self._accounts.of(event.merchant, event.linked_id)
        entities[:, _CARD] = self._cards.of(event.merchant, event.card_token)
        return entities, hashes[:, _DEVICE].copy()
