"""Parcels as one batch before columns are made of them: at a low rate a block has hundreds of parcels of a few rows.

What costs is the number of calls to NumPy, some 150 a batch: a row of a parcel of 4 rows took nine times the processor
time of one of 64. From there on copying costs more than it spares.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np

from flows.sinks.encoded import EncodedParcel
from flows.sinks.rests import SMALL_ROWS, Rests
from flows.sinks.written import WrittenResults
from schemas.batches import Decided
from schemas.columns import I32
from schemas.result import Result


def joined(parcels: Sequence[EncodedParcel], rests: Rests) -> Iterator[tuple[Decided, Sequence[Result]]]:
    """Yield batches with their results, in the order of the parcels; one without rows is left out.

    A batch holds the rows of parcels that follow each other and agree in what all rows of a batch share. After each
    that was joined of several parcels, and what was made of it, there is a rest.
    """
    filled = (item for item in parcels if len(item.parcel.batch))
    for _, group in groupby(filled, _shared):
        for alike in _enough(group):
            rests.begin()
            batch = Decided.concat([item.parcel.batch for item in alike])
            yield batch, _results(batch, alike)
            if len(alike) > 1:
                rests.after()


def _enough(parcels: Iterable[EncodedParcel]) -> Iterator[list[EncodedParcel]]:
    """Cut parcels into lists of few rows; one that has enough by itself is alone."""
    found: list[EncodedParcel] = []
    rows = 0
    for item in parcels:
        alone = len(item.parcel.batch)
        if found and max(rows, alone) >= SMALL_ROWS:
            yield found
            found, rows = [], 0
        found.append(item)
        rows += alone
    if found:
        yield found


def _shared(item: EncodedParcel) -> Hashable:
    """Return what rows of different parcels must have in common to lie in one batch."""
    batch, results = item.parcel.batch, item.results
    score, decision, rules = batch.score, batch.decision, batch.rules
    written = (results.build, results.factors.shape[1]) if isinstance(results, WrittenResults) else None
    names = batch.origin.topic, batch.ledger.marks, batch.smart.names, batch.smart.data, decision.policy
    shadows = score.shadows, rules.shadows
    widths = score.features.shape[1], score.factor.shape[1], score.observed.shape[1]
    return names, shadows, widths, written


def _results(batch: Decided, alike: Sequence[EncodedParcel]) -> Sequence[Result]:
    if len(alike) == 1:
        return alike[0].results
    written = [item.results for item in alike if isinstance(item.results, WrittenResults)]
    if not written:
        return tuple(result for item in alike for result in item.results)
    factors, said = _factors(written)
    records = tuple(record for item in alike for record in item.records)
    return WrittenResults(batch, records, factors, said, written[0].build)


def _factors(written: Sequence[WrittenResults]) -> tuple[I32, list[tuple[str, str]]]:
    """Return the numbers of all rows' sentences, and the sentences.

    Batches that were written one after the other have theirs in one list, which only grows: it is not copied.
    """
    lists = {id(one.said): one.said for one in written}
    if len(lists) == 1:
        return np.concatenate([one.factors for one in written]), written[0].said
    starts, said = dict[int, int](), list[tuple[str, str]]()
    for key, sentences in lists.items():
        starts[key] = len(said)
        said += sentences
    numbers = [np.where(one.factors < 0, one.factors, one.factors + starts[id(one.said)]) for one in written]
    return np.concatenate(numbers).astype(np.int32, copy=False), said
