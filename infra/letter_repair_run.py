"""A recovery file tried on many dead letters: each is repaired and run through the flow's own stages, with no state.

Nothing is written here. What came through can be written: infra/letter_repairs.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import islice
from typing import Any, Final, NamedTuple

import numpy as np

from flows.parcel import Parcel, Span
from flows.pipeline import Pipeline
from flows.run_stage import Monitor
from flows.stages.recognize.combinations import Combinations
from infra.dead_letters import Listed
from infra.letter_repair import repair
from infra.letter_repairs import Repair
from infra.repaired_content import NotRepairable
from schemas.batches import Bool, Ledger, Normalized, Origin, RawBatch
from schemas.catalogue import Catalogue, load_catalogue
from schemas.keys import KeyRing
from schemas.recovery import RecoveryFile

AT_ONCE: Final = 256  # letters of one parcel: at most schemas.velocity.SCORE_LAG
EXAMPLES: Final = 3  # addresses of each reason
_COPY: Final = "a letter before it has the same event id"
# What no count looks at: which key sealed it, and how often it was tried.
_NOT_COUNTED: Final = frozenset({"key_id", "attempt", "told"})


@dataclass(slots=True)
class Outcome:
    """How many letters share a fate, and the first of them."""

    letters: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, address: object) -> None:
        """Count one more."""
        self.letters += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(str(address))


@dataclass(slots=True)
class Tally:
    """What became of the letters: ``failed`` and ``unrecoverable`` by why."""

    recovered: Outcome = field(default_factory=Outcome)
    failed: dict[str, Outcome] = field(default_factory=dict)
    unrecoverable: dict[str, Outcome] = field(default_factory=dict)
    not_matched: Outcome = field(default_factory=Outcome)

    @property
    def looked_at(self) -> int:
        """Return how many letters were looked at."""
        every = (self.recovered, self.not_matched, *self.failed.values(), *self.unrecoverable.values())
        return sum(outcome.letters for outcome in every)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "looked_at": self.looked_at,
            "recovered": _told(self.recovered),
            "failed": _told_all(self.failed),
            "unrecoverable": _told_all(self.unrecoverable),
            "not_matched": _told(self.not_matched),
        }


def _told(outcome: Outcome) -> dict[str, Any]:
    return {"letters": outcome.letters, "examples": outcome.examples}


def _told_all(outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    ordered = sorted(outcomes.items(), key=lambda one: (-one[1].letters, one[0]))
    return {
        "letters": sum(outcome.letters for outcome in outcomes.values()),
        "by": {why: _told(outcome) for why, outcome in ordered},
    }


class _Made(NamedTuple):
    """A letter, its payload as received, and the repaired record."""

    letter: Listed
    received: bytes
    repaired: bytes


class Repairer:
    """Tries one file. ``tally`` says what became of all letters until now."""

    def __init__(self, file: RecoveryFile, keys: KeyRing, pipeline: Pipeline) -> None:
        self._file = file
        self._keys = keys
        self._pipeline = pipeline
        self._catalogue: Catalogue = load_catalogue()
        self._combinations = Combinations(self._catalogue)
        self._session = pipeline.keyed.open(())
        self._next = 0
        self.tally = Tally()

    def run(
        self, letters: Iterable[tuple[Listed, bytes]], on_progress: Callable[[int], None]
    ) -> Iterator[list[Repair]]:
        """Give the repairs of every part of the letters, in turn."""
        rest = iter(letters)
        while part := list(islice(rest, AT_ONCE)):
            yield self._part(part)
            on_progress(self.tally.looked_at)

    def _part(self, part: Sequence[tuple[Listed, bytes]]) -> list[Repair]:
        made = [one for letter, payload in part if (one := self._made(letter, payload)) is not None]
        if not made:
            return []
        first = self._next
        batch, same = self._batch(made), self._counts_unchanged(made)
        self._next += len(made)
        parcel: Parcel[RawBatch] = Parcel((Span(0, first, self._next),), batch, len(made))
        done = self._pipeline.run(parcel, self._session, Monitor.silent())
        came = set((done.batch.origin.offset - first).tolist())
        failed = {letter.offset - first: letter for letter in done.errs}
        repairs = []
        for place, one in enumerate(made):
            address = one.letter.address
            if place in came:
                self.tally.recovered.add(address)
                repairs.append(Repair(address, one.repaired, place in same, one.letter.attempts))
            else:
                why = f"{failed[place].reason.value}: {failed[place].detail}" if place in failed else _COPY
                self.tally.failed.setdefault(why, Outcome()).add(address)
        return repairs

    def _made(self, letter: Listed, payload: bytes) -> _Made | None:
        try:
            repaired = repair(self._file, letter, payload, self._keys, self._catalogue)
        except NotRepairable as error:
            self.tally.unrecoverable.setdefault(str(error), Outcome()).add(letter.address)
            return None
        if repaired is None:
            self.tally.not_matched.add(letter.address)
            return None
        return _Made(letter, payload, repaired)

    def _batch(self, made: Sequence[_Made], *, received: bool = False) -> RawBatch:
        """Return the records as the source would, numbered from where the last part ended."""
        rows = len(made)
        at = np.array([one.letter.received_at for one in made], np.int64)
        offsets = np.arange(self._next, self._next + rows, dtype=np.int64)
        origin = Origin(made[0].letter.address.topic, np.zeros(rows, np.int32), offsets, at, at)
        values = tuple(one.received if received else one.repaired for one in made)
        return RawBatch(origin, values, Ledger((), np.empty((rows, 0), np.int64)))

    def _counts_unchanged(self, made: Sequence[_Made]) -> set[int]:
        """Return the places of events of which counts would see the same before and after the repair."""
        before = self._normalized(self._batch(made, received=True))
        after = self._normalized(self._batch(made))
        _, left, right = np.intersect1d(before.origin.offset, after.origin.offset, return_indices=True)
        if not len(left):
            return set()
        before, after = before.take(left), after.take(right)
        same = self._alike(before, after)
        return set((after.origin.offset[same] - self._next).tolist())

    def _normalized(self, batch: RawBatch) -> Normalized:
        stages = self._pipeline
        return stages.normalize(stages.verify_mask(stages.decode(batch).oks).oks).oks

    def _alike(self, before: Normalized, after: Normalized) -> Bool:
        same = np.ones(len(before), np.bool_)
        for section in ("event", "network", "environment"):
            one, other = getattr(before, section), getattr(after, section)
            for part in fields(one):
                if part.name not in _NOT_COUNTED:
                    same &= _equal(getattr(one, part.name), getattr(other, part.name))
        same &= (self._combinations.keys(before) == self._combinations.keys(after)).all(axis=1)
        logs = (batch.activity for batch in (before, after))
        rows = [[_log(log, row) for row in range(len(log))] for log in logs]
        return same & np.array([one == other for one, other in zip(*rows, strict=True)], np.bool_)


def _equal(one: Any, other: Any) -> Bool:
    if isinstance(one, tuple):
        return np.array([a == b for a, b in zip(one, other, strict=True)], np.bool_)
    alike = one == other
    if one.dtype.kind == "f":
        alike |= np.isnan(one) & np.isnan(other)
    return np.asarray(alike.reshape(len(one), -1).all(axis=1), np.bool_)


def _log(activity: Any, row: int) -> tuple[bytes, ...]:
    span = slice(int(activity.offsets[row]), int(activity.offsets[row + 1]))
    return tuple(column[span].tobytes() for column in (activity.time, activity.value, activity.code, activity.target))
