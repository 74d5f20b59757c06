"""The time that an event counts at: the least of three clocks, so that no wrong one pushes a window ahead."""

from __future__ import annotations

import numpy as np

from schemas.batches import I64, Decoded

LATEST = 1 << 53
"""No time is later, whatever a clock says: sums and differences of times stay within int64, and exact in a double."""


def event_time(batch: Decoded) -> I64:
    """Return when each event happened, int64[n], ms from 0 to ``LATEST``.

    The browser's clock says when it was sealed, the ingest tier's when it was accepted, the broker's when it was
    appended: nothing happens after it was received, so the earliest of the three is the nearest to the truth.
    """
    event = batch.event
    times = np.minimum(np.minimum(event.occurred_at, event.received_at), batch.origin.appended_at)
    return np.clip(times, 0, LATEST, out=times)
