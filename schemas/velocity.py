"""What velocity counts: kinds and windows of a device, entities that devices share, and what is kept of a history."""

from __future__ import annotations

from typing import Final

WINDOWS: Final = ("5m", "1h", "24h")
WINDOW_MS: Final = (300_000, 3_600_000, 86_400_000)
KINDS: Final = ("events", "addresses", "accounts", "countries", "merchants", "sessions")  # of one device
ENTITIES: Final = ("address", "network", "asn", "account", "fingerprint", "card")  # shared by devices
MEASURES: Final = ("events", "devices")  # of one entity
SCORES_KEPT: Final = 4
PLACES_KEPT: Final = 3
HOURS: Final = 24
SCORE_LAG: Final = 1_024
"""An event sees the scores of its device's events at least so many offsets before it: so what it sees does not depend
on how a stream is cut into batches, as long as none has more rows of a partition."""
SLICE_BITS: Final = 10  # of a key, its highest
SLICES: Final = 1 << SLICE_BITS
"""A state is snapshotted in so many slices, a few at a time; any frames that cover them all hold the whole state."""
