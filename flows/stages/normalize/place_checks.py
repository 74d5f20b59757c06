"""Checks of time zone and language against themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flows.stages.normalize.seen import Check, Seen, differ
from schemas.batches import F32, Bool


def timezone_unknown(seen: Seen) -> Bool:
    """No such zone."""
    return seen.zone["shown"] & ~seen.zone["known"]


def timezone_offset_contradicts_zone(seen: Seen) -> Bool:
    """The offset is none that the zone has in the year of the event."""
    return _is_none_of(seen, seen.number("intl.timezone_offset"), seen.zone["year"])


def timezone_season_contradicts_zone(seen: Seen) -> Bool:
    """The offsets of January and July are none that the zone has had in these months for five years."""
    winter = _is_none_of(seen, seen.number("intl.timezone_offset_january"), seen.zone["january"])
    return winter | _is_none_of(seen, seen.number("intl.timezone_offset_july"), seen.zone["july"])


def _is_none_of(seen: Seen, offset: F32, own: NDArray[np.float32]) -> Bool:
    return seen.zone["known"] & ~np.isnan(offset) & ~(np.rint(offset)[:, None] == own).any(axis=1)


def language_list_contradicts_language(seen: Seen) -> Bool:
    """The language is not the first of the list."""
    return differ(seen.languages["first"], seen.category("navigator.language"))


CHECKS: tuple[Check, ...] = (
    timezone_unknown,
    timezone_offset_contradicts_zone,
    timezone_season_contradicts_zone,
    language_list_contradicts_language,
)
