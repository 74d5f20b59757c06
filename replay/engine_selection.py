"""Whose outcomes a replay writes: of the rows of its range those that the plan's selection names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from flows.parcel import Parcel
from replay.plan import Selection
from schemas.batches import I64, U8, Bool, Decided, Decoded, RawBatch
from schemas.dead_letter import DeadLetter
from schemas.envelope import ENVELOPE_BYTES, sealed_start
from schemas.redriven import original_of
from schemas.sealed import read_header
from scoring.chosen_devices import chosen_devices

SAMPLED: Final = "the sample of a replay"  # other devices than those of any candidate


class Chosen:
    """The rows that a selection names."""

    def __init__(self, selection: Selection) -> None:
        self._merchants = frozenset(selection.merchants)
        self._sessions = frozenset(map(bytes.fromhex, selection.sessions))
        self._places = None if selection.places is None else _by_partition(selection.places)
        self._sample = selection.sample
        self._everything = selection == Selection()

    def rows(self, batch: Decided, among: Bool) -> Bool:
        """Return which of some rows are written, bool[n]."""
        if self._everything:
            return among
        chosen, event = among.copy(), batch.event
        if self._merchants:
            chosen &= np.fromiter((name in self._merchants for name in event.merchant), np.bool_, len(chosen))
        if self._sessions:
            chosen &= np.fromiter((one.tobytes() in self._sessions for one in event.session_id), np.bool_, len(chosen))
        if self._places is not None:
            chosen &= _placed(batch, self._places)
        if self._sample < 1:
            chosen &= self._sampled(event.device_id)
        return chosen

    def letters(self, letters: Sequence[DeadLetter], read: RawBatch) -> tuple[DeadLetter, ...]:
        """Return those of the rows that are written; ``read`` has the rows as they came from the source."""
        if self._everything or not letters:
            return tuple(letters)
        places = zip(read.origin.partition.tolist(), read.origin.offset.tolist(), strict=True)
        rows = {place: row for row, place in enumerate(places)}
        return tuple(letter for letter in letters if self._has(letter, read, rows[letter.partition, letter.offset]))

    def _has(self, letter: DeadLetter, read: RawBatch, row: int) -> bool:
        if self._merchants and letter.merchant not in self._merchants:
            return False
        if self._places is not None and letter.offset not in self._places.get(letter.partition, ()):
            return False
        if not self._sessions and self._sample >= 1:
            return True
        ids = _session_and_device(read, row)
        if ids is None:  # nobody can say whose it is
            return False
        session, device = ids
        sampled = self._sample >= 1 or bool(self._sampled(np.frombuffer(device, np.uint8)[None])[0])
        return sampled and (not self._sessions or session in self._sessions)

    def _sampled(self, device_id: U8) -> Bool:
        return chosen_devices(device_id, SAMPLED, 100 * self._sample)


def timeless(parcel: Parcel[Decided]) -> Parcel[Decided]:
    """Return the parcel with every mark of its ledger at the append time: two replays have the same bytes."""
    batch = parcel.batch
    micros = np.repeat(batch.origin.appended_at[:, None] * 1000, len(batch.ledger.marks), axis=1)
    return replace(parcel, batch=replace(batch, ledger=replace(batch.ledger, micros=micros)))


def _by_partition(places: Iterable[tuple[int, int]]) -> Mapping[int, I64]:
    found: dict[int, list[int]] = {}
    for partition, offset in places:
        found.setdefault(partition, []).append(offset)
    return {partition: np.array(sorted(offsets), np.int64) for partition, offsets in found.items()}


def _placed(batch: RawBatch, places: Mapping[int, I64]) -> Bool:
    placed = np.zeros(len(batch), np.bool_)
    for number, offsets in places.items():
        rows = np.flatnonzero(batch.origin.partition == number)
        placed[rows] = np.isin(batch.origin.offset[rows], offsets)
    return placed


def _session_and_device(read: RawBatch, row: int) -> tuple[bytes, bytes] | None:
    """Return whose a row is, by its columns or, where it was not decoded yet, by its clear header."""
    if isinstance(read, Decoded):
        return read.event.session_id[row].tobytes(), read.event.device_id[row].tobytes()
    record = original_of(read.values[row])
    header = read_header(record[sealed_start(record) :]) if len(record) >= ENVELOPE_BYTES else None
    return None if header is None else (header.session_id, header.device_id)
