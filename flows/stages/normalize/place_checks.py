"""Checks of time zone and language against themselves."""

from __future__ import annotations

from flows.stages.normalize.seen import Check, Seen, differ
from schemas.batches import Bool


def timezone_unknown(seen: Seen) -> Bool:
    """No such zone."""
    return seen.zone["shown"] & ~seen.zone["known"]


def timezone_offset_contradicts_zone(seen: Seen) -> Bool:
    """The offset is none that the zone has in the year of the event."""
    return seen.offsets_missed[0]


def timezone_season_contradicts_zone(seen: Seen) -> Bool:
    """The offsets of January and July are none that the zone has had in these months for five years."""
    return seen.offsets_missed[1] | seen.offsets_missed[2]


def language_list_contradicts_language(seen: Seen) -> Bool:
    """The language is not the first of the list."""
    return differ(seen.languages["first"], seen.category("navigator.language"))


CHECKS: tuple[Check, ...] = (
    timezone_unknown,
    timezone_offset_contradicts_zone,
    timezone_season_contradicts_zone,
    language_list_contradicts_language,
)
