"""What traffic is recognised by: combinations of attributes, networks with a reputation, and contents seen before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np

from schemas.batches import F32, U8, U32, U64, Network, Recognition

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

_GOLDEN: Final = 0x9E3779B97F4A7C15  # of SplitMix64 (Steele, Lea, Flood 2014), as are the two that follow
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SALTS = np.array([[_GOLDEN * kind % 2**64] for kind in range(1, len(REPUTED) + 1)], np.uint64)
_MAPPED = np.uint64(0xFFFF0000)  # bytes 8 to 11 of an IPv4 address in 16 bytes, read as a little-endian number
_WITHOUT_LAST_BYTE = np.uint64(0x00FFFFFFFFFFFFFF)


def nothing_recognized(rows: int) -> Recognition:
    """Return that nothing is known of any row."""
    unknown = np.full((rows, len(COMBINATIONS)), np.nan, np.float32)
    nobody = np.full((rows, len(REPUTED)), np.nan, np.float32)
    return Recognition(unknown, unknown, nobody, nobody, np.zeros(rows, np.uint8))


class PrevalenceSeed(NamedTuple):
    """How often a known population shows combinations: what is usual before any traffic came."""

    version: str
    kinds: U8  # [k], positions in ``COMBINATIONS``
    keys: U64  # [k], as flows.stages.recognize.combinations makes them, none 0
    counts: U32  # [k], at least 1


class LabelTable(NamedTuple):
    """What labels say of the entities of one kind, in the order of their keys."""

    keys: U64  # [k], as ``entity_keys`` makes them: ascending, each once, none 0
    events: F32  # [k]: decayed count of labelled events, honest and fraud
    fraud: F32  # [k]: decayed count of those labelled fraud, at most ``events``


class LabelledFraud(Protocol):
    """What labels that people gave say of entities. Who reads the file is injected."""

    @property
    def version(self) -> str:
        """Return the version of the data, "" where there is none."""
        ...

    def count(self, keys: U64, /) -> tuple[F32, F32]:
        """Return labelled events and those labelled fraud of each entity, float32[n, REPUTED]; 0 where none.

        ``keys`` as ``entity_keys`` makes them, uint64[n, REPUTED].
        """
        ...


class NoLabels:
    """Nobody labelled anything."""

    version = ""

    def count(self, keys: U64, /) -> tuple[F32, F32]:
        """Return that there is none."""
        nothing = np.zeros(keys.shape, np.float32)
        return nothing, nothing


class LabelTables:
    """Labels in memory, one table for each of ``REPUTED``. ValueError where a table is not as LabelTable says."""

    def __init__(self, tables: Sequence[LabelTable], version: str) -> None:
        if len(tables) != len(REPUTED):
            raise ValueError(f"labels need {len(REPUTED)} tables, one for each of {', '.join(REPUTED)}")
        for kind, table in zip(REPUTED, tables, strict=True):
            _check(kind, table)
        self._tables = tuple(tables)
        self.version = version

    def count(self, keys: U64, /) -> tuple[F32, F32]:
        """Return labelled events and those labelled fraud of each entity, float32[n, REPUTED]; 0 where none."""
        events, fraud = np.zeros(keys.shape, np.float32), np.zeros(keys.shape, np.float32)
        for column, table in enumerate(self._tables):
            if not len(table.keys):
                continue
            at = np.minimum(np.searchsorted(table.keys, keys[:, column]), len(table.keys) - 1)
            found = table.keys[at] == keys[:, column]
            events[:, column] = np.where(found, table.events[at], np.float32(0))
            fraud[:, column] = np.where(found, table.fraud[at], np.float32(0))
        return events, fraud


def _check(kind: str, table: LabelTable) -> None:
    keys, events, fraud = table
    if not len(keys) == len(events) == len(fraud):
        raise ValueError(f"the labels of {kind} have columns of different lengths")
    if len(keys) and (not keys[0] or not np.all(keys[1:] > keys[:-1])):
        raise ValueError(f"the labels of {kind} are not in the order of their keys, each once and none 0")
    if not np.all((fraud >= 0) & (fraud <= events) & np.isfinite(events)):
        raise ValueError(f"the labels of {kind} count more fraud than events, or what is no count")


def entity_keys(network: Network, address: U8) -> U64:
    """Return the key of each event's address, network and AS, uint64[n, REPUTED]; 0 where it has none.

    ``address`` uint8[n, 16], IPv6 or IPv4-mapped. The network is the /24 of an IPv4 address and the /64 of others. A
    key depends on nothing else: files of labels and the flow's state name the same entity alike.
    """
    words = np.ascontiguousarray(address, np.uint8).view("<u8").astype(np.uint64, copy=False)
    high, low = words[:, 0], words[:, 1]
    mapped = (high == 0) & ((low & np.uint64(0xFFFFFFFF)) == _MAPPED)
    names = np.zeros((2, len(REPUTED), len(low)), np.uint64)
    names[0, :2] = high
    names[1] = low, np.where(mapped, low & _WITHOUT_LAST_BYTE, np.uint64(0)), network.asn
    # What went in is added to what came out, so that the mixing cannot be run backwards.
    keys = np.maximum(mix(mix(names[0] + _SALTS) + names[1]) + names[1], np.uint64(1))
    keys[:2, (high | low) == 0] = 0
    keys[2, network.asn == 0] = 0
    return np.ascontiguousarray(keys.T)


def mix(numbers: U64) -> U64:
    """Return numbers whose bits all depend on all bits (SplitMix64's finaliser)."""
    mixed = numbers ^ (numbers >> np.uint64(30))
    mixed *= _FIRST
    mixed ^= mixed >> np.uint64(27)
    mixed *= _SECOND
    mixed ^= mixed >> np.uint64(31)
    return mixed
