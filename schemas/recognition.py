"""What traffic is recognised by: combinations of attributes, networks with a reputation, and contents seen before."""

from __future__ import annotations

import numpy as np

from schemas.batches import Recognition

# Combinations of attributes whose usualness is learned. Append only: the order is stored.
COMBINATIONS = (
    "browser",  # browser, its version, system
    "system",  # system, its version, class of device, density
    "graphics",  # renderer, system
    "screen",  # size, density, class of device
    "hardware",  # cores, memory, touch points, system
    "fonts",  # fonts, system
    "rendering",  # what canvas and sound come out as, browser, system
    "locale",  # time zone, languages, country of the address
    "machine",  # the fingerprint of what the machine draws, plays and names
)
REPUTED = ("address", "network", "asn")  # as schemas.velocity.ENTITIES means them

# Why an event is a copy of an earlier one, as bits.
SAME_CONTENTS, SAME_LOG, SAME_SEQUENCE = 1, 2, 4


def nothing_recognized(rows: int) -> Recognition:
    """Return that nothing is known of any row."""
    unknown = np.full((rows, len(COMBINATIONS)), np.nan, np.float32)
    nobody = np.full((rows, len(REPUTED)), np.nan, np.float32)
    return Recognition(unknown, unknown, nobody, nobody, np.zeros(rows, np.uint8))
