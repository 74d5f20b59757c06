"""What differs between two sides, a run and history or two runs: counted bucket by bucket, in bounded memory.

A is the side that is looked at, B what it is compared with: every difference is A less B, and what "became" or "came"
did so from B to A.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from replay.diff_details import DetailChanges
from replay.diff_labels import LabelledPairs
from replay.diff_rows import CAUSES, GROUPS, STATE, Details, Digest, Heads, Names, Paired, differing, place_of
from schemas.columns import I8, Rows
from schemas.result import DECISIONS
from schemas.ruling import BY
from scoring.compare import HISTOGRAM_BINS

SCORE_EDGES: Final = np.linspace(0, 100, HISTOGRAM_BINS + 1)
_SIZES = (0.0001, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
DIFFERENCE_EDGES: Final = np.array([*(-size for size in reversed(_SIZES)), *_SIZES])
"""Of differences that are not 0. The two in the middle bound differences that are all but 0."""
_FIRST: Final = ("events", "flips", "scores")
MERCHANTS_SHOWN: Final = 50
_KINDS, _WHO = len(DECISIONS) + 1, len(BY) + 1  # the last one: none of them
_ALL_CAUSES = [place_of(name) for name in CAUSES]
_STATE = [place_of(name) for name in STATE]
Ints = NDArray[np.int64]
Json = dict[str, Any]


class Example(NamedTuple):
    """A paired event that is worth a look, the more so the higher its rank: flips first, then the largest change."""

    rank: tuple[bool, float]
    event_id: bytes
    merchant: int
    differs: tuple[str, ...]
    label: int


class OneSided(NamedTuple):
    """An event that was scored on one side only, and why it was not on the other: a reason, or empty."""

    side: str
    event_id: str
    merchant: str
    partition: int
    offset: int
    reason: str


class Letters(NamedTuple):
    """Dead letters of one side in the order of their places, each place once; n of them."""

    place: Ints  # [n, 2] partition and offset
    reason: tuple[str, ...]
    lines: tuple[bytes, ...]  # what a letter says, for the digest


class Differences:
    """The state of a diff."""

    def __init__(self, examples: int = 5) -> None:
        self.merchants, self.versions = Names(), Names()
        self.details, self.labelled = DetailChanges(), LabelledPairs()
        self.digests = Digest(), Digest()
        self._examples, self._most = list[Example](), examples
        self.one_sided: list[OneSided] = []
        self.events = [0, 0]
        self.both = self.changed = self.changed_versions = self.state_changed = 0
        self._only: dict[str, Counter[str]] = {"a": Counter(), "b": Counter()}
        self._letters: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        self._other_reason, self._letters_apart = 0, 0
        self._groups = np.zeros(len(GROUPS), np.int64)
        self._first = np.zeros((len(_FIRST), len(_ALL_CAUSES)), np.int64)
        self._of_version: tuple[Counter[int], Counter[int]] = (Counter(), Counter())
        self._scores = _Scores()
        self._flips: dict[int, Ints] = {}
        self._who = np.zeros((_WHO, _WHO), np.int64)
        self._who_flips = np.zeros((_WHO, _WHO), np.int64)

    def add(self, a: Heads, b: Heads, paired: Paired, label: I8) -> NDArray[np.bool_]:
        """Take the heads of a bucket, and labels of its pairs; return which groups of the pairs differ."""
        for place, (side, digest) in enumerate(zip((a, b), self.digests, strict=True)):
            digest.add(side)
            self.events[place] += len(side)
            numbers, counts = np.unique(side.version, return_counts=True)
            self._of_version[place].update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))
        a, b = a.take(paired.a), b.take(paired.b)
        differs = differing(a, b)
        self.both += len(a)
        self._groups += differs.sum(axis=0)
        causes = differs[:, _ALL_CAUSES]
        changed = causes.any(axis=1)
        first = causes.argmax(axis=1)
        flipped, scored = a.decision != b.decision, a.score.view(np.uint32) != b.score.view(np.uint32)
        for place, which in enumerate((changed, flipped, scored)):
            self._first[place] += np.bincount(first[which], minlength=len(_ALL_CAUSES))
        self.changed += int(changed.sum())
        self.changed_versions += int(differs[:, place_of("versions")].sum())
        self.state_changed += int(differs[:, _STATE].any(axis=1).sum())
        self._scores.add(a, b)
        self._add_decisions(a, b)
        self.labelled.add(a, b, label, self.merchants.texts())
        self._choose(a, b, differs, np.flatnonzero(changed), label)
        return differs

    def add_details(self, a: Details, b: Details) -> None:
        """Take the details of pairs of which some differ."""
        self.details.add(a, b)

    def add_one_sided(self, side: str, heads: Heads, reasons: Sequence[str], ids: Sequence[str]) -> None:
        """Take events of one side only, and of each the reason why it is dead-lettered on the other, or empty."""
        self._only[side].update(reasons)
        names = self.merchants.texts()
        for row in range(min(len(heads), self._most - sum(one.side == side for one in self.one_sided))):
            place = int(heads.partition[row]), int(heads.offset[row])
            self.one_sided.append(OneSided(side, ids[row], names[heads.merchant[row]], *place, reasons[row]))

    def add_letters(self, a: Letters, b: Letters) -> None:
        """Take the letters of a range of places."""
        for side, digest, counts in zip((a, b), self.digests, self._letters, strict=True):
            digest.add_letters(side.lines)
            counts.update(side.reason)
        of_a, of_b = (dict(zip(map(tuple, side.place.tolist()), side.reason, strict=True)) for side in (a, b))
        both = of_a.keys() & of_b.keys()
        self._other_reason += sum(of_a[place] != of_b[place] for place in both)
        self._letters_apart += len(of_a) + len(of_b) - 2 * len(both)

    def _add_decisions(self, a: Heads, b: Heads) -> None:
        cells = b.decision.astype(np.intp) * _KINDS + a.decision
        who = b.decided_by.astype(np.intp) * _WHO + a.decided_by
        self._who += np.bincount(who, minlength=_WHO * _WHO).reshape(_WHO, _WHO)
        flipped = a.decision != b.decision
        self._who_flips += np.bincount(who[flipped], minlength=_WHO * _WHO).reshape(_WHO, _WHO)
        numbers, which = np.unique(a.merchant, return_inverse=True)
        size = _KINDS * _KINDS
        tables = np.bincount(which * size + cells, minlength=len(numbers) * size).reshape(-1, _KINDS, _KINDS)
        for number, table in zip(numbers.tolist(), tables, strict=True):
            self._flips[number] = self._flips.get(number, 0) + table

    def _choose(self, a: Heads, b: Heads, differs: NDArray[np.bool_], changed: Rows, label: I8) -> None:
        """Keep the events that changed most."""
        if not self._most or not len(changed):
            return
        size = np.abs(np.nan_to_num(a.score[changed].astype(np.float64) - b.score[changed]))
        flip = a.decision[changed] != b.decision[changed]
        best = np.lexsort((a.order[changed], -size, ~flip))[: self._most]
        names = np.array(list(GROUPS))
        for place in best.tolist():
            row = changed[place]
            event_id = a.event_id[row].astype(">u8").tobytes()
            which = tuple(names[differs[row]].tolist())
            rank = bool(flip[place]), float(size[place])
            self._examples.append(Example(rank, event_id, int(a.merchant[row]), which, int(label[row])))
        self._examples = heapq.nlargest(self._most, self._examples, key=lambda one: one.rank)

    @property
    def examples(self) -> list[Example]:
        """Return the events that changed most, first those whose decision flips."""
        return self._examples

    @property
    def missing(self) -> int:
        """Return the events that one side has and the other has not."""
        return self._only["a"].total() + self._only["b"].total()

    @property
    def same_outcomes(self) -> bool:
        """Return whether nothing differs but the names of versions."""
        return not (self.changed or self.missing or self._other_reason or self._letters_apart)

    @property
    def verdict(self) -> str:
        """Return ``identical``, ``other_versions`` where only names of versions differ, or ``different``."""
        if not self.same_outcomes:
            return "different"
        alike = self.digests[0].hex() == self.digests[1].hex()
        return "identical" if alike else "other_versions" if self.changed_versions else "different"

    def as_json(self) -> Json:
        """Return everything as plain JSON, but for the examples."""
        return {
            "verdict": self.verdict,
            "a": self._side(0),
            "b": self._side(1),
            "events": {
                "both": self.both,
                "changed": self.changed,
                "changed_versions": self.changed_versions,
                "changed_state": self.state_changed,
                "only_a": self._only["a"].total(),
                "only_b": self._only["b"].total(),
            },
            "missing": {f"only_{side}": _fates(found) for side, found in self._only.items()},
            "letters": {
                "a": _most_first(self._letters[0]),
                "b": _most_first(self._letters[1]),
                "other_reason": self._other_reason,
                "on_one_side": self._letters_apart,
            },
            "groups": _named(list(GROUPS), self._groups),
            "first_difference": {
                name: dict(zip(_FIRST, counts, strict=True))
                for name, counts in zip(CAUSES, self._first.T.tolist(), strict=True)
                if any(counts)
            },
            "scores": self._scores.as_json(),
            "flips": self._flips_json(),
            "decided_by": self._who_json(),
            **self.details.as_json(),
            "labelled": self.labelled.as_json(),
            "one_sided": [one._asdict() for one in self.one_sided],
        }

    def _side(self, place: int) -> Json:
        names = self.versions.texts()
        keys = ("model", "build", "ruleset", "policy")
        versions = [
            {**dict(zip(keys, names[number].split("\x1f"), strict=True)), "events": count}
            for number, count in self._of_version[place].most_common()
        ]
        return {
            "events": self.events[place],
            "letters": self._letters[place].total(),
            "digest": self.digests[place].hex(),
            "versions": versions,
        }

    def _flips_json(self) -> Json:
        total = sum(self._flips.values(), np.zeros((_KINDS, _KINDS), np.int64))
        names = self.merchants.texts()
        parts = [{"merchant": names[number], **_flips(table)} for number, table in self._flips.items()]
        parts.sort(key=lambda part: (-part["flips"], part["merchant"]))
        return {**_flips(total), "merchants": len(parts), "by_merchant": parts[:MERCHANTS_SHOWN]}

    def _who_json(self) -> Json:
        return {
            "names": [*BY, "unknown"],
            "matrix": self._who.tolist(),
            "of_flips": self._who_flips.tolist(),
            "changed": int(self._who.sum() - np.trace(self._who)),
        }


class _Scores:
    """The scores of both sides, and how they differ."""

    def __init__(self) -> None:
        bins, self._pairs = len(SCORE_EDGES) - 1, 0
        self._histograms = np.zeros((2, bins), np.int64)
        self._differences = np.zeros(len(DIFFERENCE_EDGES) - 1, np.int64)
        self._changed, self._sums, self._moved, self._total, self._largest = 0, [0.0, 0.0], 0.0, 0.0, 0.0

    def add(self, a: Heads, b: Heads) -> None:
        """Take paired rows."""
        if not len(a):
            return
        self._pairs += len(a)
        for place, side in enumerate((a, b)):
            self._histograms[place] += np.histogram(side.score, SCORE_EDGES)[0]
            self._sums[place] += float(side.score.sum(dtype=np.float64))
        other = a.score.view(np.uint32) != b.score.view(np.uint32)
        self._changed += int(other.sum())
        difference = np.nan_to_num(a.score[other].astype(np.float64) - b.score[other])
        self._differences += np.histogram(difference, DIFFERENCE_EDGES)[0]
        self._total += float(difference.sum())
        self._moved += float(np.abs(difference).sum())
        self._largest = max(self._largest, float(np.abs(difference).max(initial=0)))

    def as_json(self) -> Json:
        """Return the figures; means are of all pairs."""
        pairs = self._pairs or 1
        means = {"mean_a": self._sums[0], "mean_b": self._sums[1], "mean_difference": self._total,
                 "mean_abs_difference": self._moved}  # fmt: skip
        return {
            "changed": self._changed,
            **{name: round(value / pairs, 6) for name, value in means.items()},
            "max_abs_difference": round(self._largest, 6),
            "histogram": {"edges": SCORE_EDGES.tolist(), "a": self._histograms[0].tolist(),
                          "b": self._histograms[1].tolist()},
            "differences": {"edges": DIFFERENCE_EDGES.tolist(), "events": self._differences.tolist()},
        }  # fmt: skip


def _flips(table: Ints) -> Json:
    events, known = int(table.sum()), table[:-1, :-1]
    flips = events - int(np.trace(table))
    stricter, milder = int(np.triu(known, 1).sum()), int(np.tril(known, -1).sum())
    return {
        "events": events,
        "flips": flips,
        "share": round(flips / (events or 1), 6),
        "stricter": stricter,
        "milder": milder,
        "matrix": known.tolist(),
    }


def _fates(found: Counter[str]) -> Json:
    reasons = {reason: count for reason, count in _most_first(found).items() if reason}
    return {"events": found.total(), "dead_lettered": reasons, "absent": found[""]}


def _most_first(found: Counter[str]) -> dict[str, int]:
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _named(names: list[str], counts: Ints) -> dict[str, int]:
    return {name: count for name, count in zip(names, counts.tolist(), strict=True) if count}
