"""The time that an event counts at: the least of three clocks, so that no wrong one pushes a window ahead."""

from __future__ import annotations

import numpy as np

from schemas.batches import I64, Decoded, Event, Origin

LATEST = 1 << 53
"""No time is later, whatever a clock says: sums and differences of times stay within int64, and exact in a double."""


_last: list[tuple[Event | None, Origin | None, I64]] = [(None, None, np.empty(0, np.int64))]  # replaced as a whole


def event_time(batch: Decoded) -> I64:
    """Return when each event happened, int64[n], ms from 0 to ``LATEST``. Not to be written to.

    The browser's clock says when it was sealed, the ingest tier's when it was accepted, the broker's when it was
    appended: nothing happens after it was received, so the earliest of the three is the nearest to the truth. Five
    stages ask in turn with the same sections, so the last answer is kept.
    """
    event, origin, times = _last[0]
    if event is batch.event and origin is batch.origin:
        return times
    event, origin = batch.event, batch.origin
    times = np.minimum(np.minimum(event.occurred_at, event.received_at), origin.appended_at)
    np.maximum(times, 0, out=times)
    np.minimum(times, LATEST, out=times)  # np.clip looks up what its bounds may be: four times as long
    _last[0] = (event, origin, times)
    return times
