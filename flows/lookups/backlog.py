"""What could not be counted yet, in order and bounded."""

from __future__ import annotations

from collections import deque

import numpy as np

from schemas.shared import SharedQuery


class Backlog:
    """Queries in their order, at most ``limit`` rows: about 80 bytes each. The oldest go when it is full."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[SharedQuery] = deque()
        self._highest: dict[int, int] = {}
        self._rows = 0

    def __len__(self) -> int:
        """Return the rows that wait."""
        return self._rows

    def add(self, query: SharedQuery) -> int:
        """Append the rows that do not wait yet; return how many had to go for them."""
        query = self._unknown(query)
        self._waiting.append(query)
        self._rows += len(query)
        lost = 0
        while self._rows > self._limit:
            gone = len(self._waiting.popleft())
            self._rows -= gone
            lost += gone
        return lost

    def _unknown(self, query: SharedQuery) -> SharedQuery:
        rows = np.ones(len(query), np.bool_)
        for partition in np.unique(query.partition).tolist():
            mine = query.partition == partition
            rows[mine] = query.offset[mine] > self._highest.get(partition, -1)
            self._highest[partition] = max(self._highest.get(partition, -1), int(query.offset[mine].max()))
        if rows.all():
            return query
        return SharedQuery(*(getattr(query, name)[rows] for name in SharedQuery.__dataclass_fields__))

    def oldest(self, rows: int) -> SharedQuery:
        """Join queries from the front until they have so many rows, and return them as the first one that waits."""
        taken = [self._waiting.popleft()]
        while self._waiting and sum(map(len, taken)) < rows:
            taken.append(self._waiting.popleft())
        self._waiting.appendleft(joined(taken))
        return self._waiting[0]

    def done(self) -> None:
        """Drop the query that :meth:`oldest` gave."""
        self._rows -= len(self._waiting.popleft())
        if not self._waiting:
            self._highest.clear()


def joined(queries: list[SharedQuery]) -> SharedQuery:
    """Return queries as one."""
    if len(queries) == 1:
        return queries[0]
    columns = SharedQuery.__dataclass_fields__
    return SharedQuery(*(np.concatenate([getattr(one, name) for one in queries]) for name in columns))
