"""The order in which the live flow took events, as its ledger tells: for replays that are held against history.

What devices share, and what rules remember, depends on the order in which the partitions' events were counted, and a
flow that catches up takes them in large turns, far from the order of their append times. A parcel of the flow has one
time at which it was counted, which ClickHouse keeps for every event that was scored; a record that was not (a dead
letter, a copy) goes with the one before it in its partition.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import numpy as np

from schemas.batches import I64, RawBatch

MARK: Final = "relate"  # of the ledger: from here on partitions see each other
_QUERY: Final = """
SELECT "offset", min(ledger_micros[indexOf(splitByChar(',', ledger_marks), %(mark)s)]) AS micros
FROM events
WHERE topic = %(topic)s AND partition = %(partition)s AND "offset" BETWEEN %(first)s AND %(last)s
GROUP BY "offset"
HAVING micros > 0
ORDER BY "offset"
"""
_BEFORE: Final = """
SELECT argMax(ledger_micros[indexOf(splitByChar(',', ledger_marks), %(mark)s)] AS micros, "offset") FROM events
WHERE topic = %(topic)s AND partition = %(partition)s AND "offset" < %(first)s AND micros > 0
"""


class Asked(Protocol):
    """A client of the live ClickHouse."""

    def execute(self, query: str, params: Any = None, /, *, columnar: bool = False) -> Any:
        """Return the columns of a query's rows."""
        ...


class HistoryOrder:
    """Gives each row the microsecond at which the live flow counted it."""

    def __init__(self, client: Asked, topic: str) -> None:
        self._client = client
        self._topic = topic

    def __call__(self, batch: RawBatch, /) -> I64:
        """Return int64[n] for rows of one partition in the order of their offsets; it never falls.

        Rows before the first of the partition that history knows have the time at which Kafka took them. What is said
        of a row does not depend on which rows it comes with.
        """
        offset = batch.origin.offset
        where = {
            "mark": MARK,
            "topic": self._topic,
            "partition": int(batch.origin.partition[0]),
            "first": int(offset[0]),
            "last": int(offset[-1]),
        }
        keys = np.zeros(len(batch), np.int64)
        if found := self._client.execute(_QUERY, where, columnar=True):
            known, micros = (np.asarray(column, np.int64) for column in found)
            at = np.minimum(np.searchsorted(offset, known), len(offset) - 1)
            here = offset[at] == known  # history knows rows that are not asked for: of a hole, of a selection
            keys[at[here]] = micros[here]
        keys = np.maximum.accumulate(keys)
        if keys[0] == 0:
            before = int(self._client.execute(_BEFORE, where)[0][0])
            keys = np.where(keys > 0, keys, before or batch.origin.appended_at * 1_000)
        return np.maximum.accumulate(keys)
