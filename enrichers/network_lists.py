"""What the signals that rest on lists of networks share: which lists there are, what a result tells of the network."""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import ClassVar

from enrichers.as_names import as_name
from enrichers.signal import SmartSignal
from enrichers.view import View
from schemas.batches import Bool, Enriched
from schemas.countries import COUNTRIES
from schemas.networks import NETWORK_BIT, NETWORK_CLASSES


class ListSignal(SmartSignal, ABC):
    """A signal whose "no" needs a list: without the list's data, an address that is on none says nothing."""

    needs: ClassVar[tuple[str, ...]]  # classes of networks; data of any of them suffices

    def __init__(self, covered: Collection[str] = NETWORK_CLASSES) -> None:
        """``covered``: the classes of networks that the address table has data of."""
        self._covered = not set(self.needs).isdisjoint(covered)

    def listed(self, view: View) -> Bool:
        """Return where the address was looked up in at least one of the lists, bool[n]."""
        return view.located if self._covered else view.nowhere


def covering(signals: Sequence[SmartSignal], covered: Collection[str]) -> tuple[SmartSignal, ...]:
    """Return the signals, those that rest on lists knowing which classes of networks the data has."""
    return tuple(type(one)(covered) if isinstance(one, ListSignal) else one for one in signals)


def network_details(batch: Enriched, row: int) -> dict[str, str | float]:
    """Return the network of a row's address: its country, autonomous system and classes; never the address."""
    network = batch.network
    return {**_told(int(network.country[row]), int(network.asn[row]), int(network.classes[row]))}


@lru_cache(maxsize=4096)
def _told(country: int, asn: int, classes: int) -> dict[str, str | float]:
    return {
        "country": COUNTRIES[country],
        "network": f"AS{asn} {as_name(asn)}".strip() if asn else "",
        "network_classes": ", ".join(name for name in NETWORK_CLASSES if classes & NETWORK_BIT[name]),
    }


def seen_reasons(signal: SmartSignal, batch: Enriched, row: int) -> list[str]:
    """Return the codes of the clues that a signal saw on a row."""
    return list(_codes(signal, int(batch.smart.reasons[row, batch.smart.column(signal.name)])))


@lru_cache(maxsize=4096)
def _codes(signal: SmartSignal, bits: int) -> tuple[str, ...]:
    return tuple(reason for bit, reason in enumerate(signal.reasons) if bits >> bit & 1)


def clock_name(minutes_west: float) -> str:
    """Return a browser's offset as people write it: UTC+05:30; empty where it is not known."""
    return "" if math.isnan(minutes_west) else _clock(minutes_west)


@lru_cache(maxsize=1024)
def _clock(minutes_west: float) -> str:
    minutes = abs(round(minutes_west))
    return f"UTC{'-' if minutes_west > 0 else '+'}{minutes // 60:02}:{minutes % 60:02}"
