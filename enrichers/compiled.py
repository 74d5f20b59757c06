"""The loops of the stage that touch every clue of every row, compiled: NumPy takes three times as long.

Numba keeps what it compiled beside this file, or in ``NUMBA_CACHE_DIR`` where that is set; where neither can be
written, in the user's cache folder. All that the loops are compiled with stands in this file, so it sees every change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile a function that Python calls. It lets go of the interpreter's lock while it runs."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


@kernel
def join_clues(columns: Any, places: Any, clues: Any, thresholds: Any, out: Any) -> None:
    """Join the clues that are seen by noisy-or.

    ``columns``: uint8[k, n]; ``places``: which of them are the clues, and who was asked, int64[clues] and [S].
    ``clues``: of each its signal, doubt and bit. ``out`` are result int8, confidence float32 and reasons uint32, zeros,
    [n, S] each.
    Clues are taken one after the other: so a row's product has the same order, and the same rounding, in any batch.
    """
    seen_at, asked_at = places
    signal_of, doubts, bits = clues
    result, confidence, reasons = out
    doubt = np.ones(result.shape)
    for clue in range(len(seen_at)):
        shown, any_row = columns[seen_at[clue]], np.uint8(0)
        for row in range(len(shown)):
            any_row |= shown[row]
        if any_row == 0:
            continue
        signal = signal_of[clue]
        for row in range(len(shown)):
            if shown[row]:
                doubt[row, signal] *= doubts[clue]
                reasons[row, signal] |= bits[clue]
    for row in range(len(result)):
        for signal in range(len(thresholds)):
            if reasons[row, signal] == 0 and columns[asked_at[signal], row] == 0:
                result[row, signal] = -1
                confidence[row, signal] = np.nan
            else:
                sure = np.float32(1.0 - doubt[row, signal])
                result[row, signal] = sure >= thresholds[signal]
                confidence[row, signal] = sure


@kernel
def _causes_of(row: Any, booleans: Any, known: Any, checks: Any, places: Any, found: Any) -> None:
    """Set what ``find_causes`` sets, of one row."""
    trues, true_of, falses, false_of, failed, failed_of = places
    for at in range(len(trues)):
        if booleans[row, trues[at]]:
            found[true_of[at], row] = 1
    for at in range(len(falses)):
        if known[row, falses[at]] and not booleans[row, falses[at]]:
            found[false_of[at], row] = 1
    if checks[row]:
        for at in range(len(failed)):
            if checks[row] >> np.uint64(failed[at]) & np.uint64(1):
                found[failed_of[at], row] = 1


@kernel
def gather_shown(shown: Any, places: Any, columns: Any) -> None:
    """Gather what a program over views reads of an event (``enrichers.recorded``): the first columns of each kind.

    ``shown``: what ``enrichers.view.Raw`` has; ``places``: columns of numbers, statistics and categories, of booleans
    that are to be true, to be false, to be known, bits of checks and of classes of networks, and what ``find_causes``
    takes.
    ``columns``: float32, uint32 and uint8 [k, n], in this order, behind the statistics the browser's version and
    offset, behind the classes whether anything is known of the address, and the codes of browser, system, device,
    graphics and engine; and the causes, uint8[causes, n], which are looked for while a row is at hand.
    """
    booleans, known, checks, numbers, categories, browser, system, device, gpu, engine = shown[:10]
    browser_version, timezone_offset, country, asn, classes, statistics = shown[10:]
    asked, cause_places = places
    number_at, statistic_at, category_at, true_at, false_at, known_at, check_at, class_at = asked
    floats, hashes, codes, causes = columns
    causes[:] = 0
    for row in range(len(checks)):
        place = len(number_at)
        for at in range(place):
            floats[at, row] = numbers[row, number_at[at]]
        for at in range(len(statistic_at)):
            floats[place + at, row] = statistics[row, statistic_at[at]]
        place += len(statistic_at)
        floats[place, row], floats[place + 1, row] = browser_version[row], timezone_offset[row]
        for at in range(len(category_at)):
            hashes[at, row] = categories[row, category_at[at]]
        for at in range(len(true_at)):
            codes[at, row] = booleans[row, true_at[at]]
        place = len(true_at)
        for at in range(len(false_at)):
            codes[place + at, row] = known[row, false_at[at]] & (booleans[row, false_at[at]] ^ 1)
        place += len(false_at)
        for at in range(len(known_at)):
            codes[place + at, row] = known[row, known_at[at]]
        place += len(known_at)
        for at in range(len(check_at)):
            codes[place + at, row] = checks[row] >> np.uint64(check_at[at]) & np.uint64(1)
        place += len(check_at)
        for at in range(len(class_at)):
            codes[place + at, row] = np.uint64(classes[row]) >> np.uint64(class_at[at]) & np.uint64(1)
        place += len(class_at)
        codes[place, row] = country[row] != 0 or asn[row] != 0 or classes[row] != 0
        codes[place + 1, row], codes[place + 2, row] = browser[row], system[row]
        codes[place + 3, row], codes[place + 4, row] = device[row], gpu[row]
        codes[place + 5, row] = engine[row]
        _causes_of(row, booleans, known, checks, cause_places, causes)


@kernel
def gather_past(before: Any, places: Any, columns: Any) -> None:
    """Gather what a program reads of what came before an event.

    ``before``: times of the events; counts of the device, uint32[n, KINDS x WINDOWS], when it was first and last seen;
    float32[n, ENTITIES x MEASURES x WINDOWS] that devices share, [n, schemas.recognition.REPUTED] shares denied and
    their weights, and why an event is a copy. ``places``: columns of the device's counts, of those that devices
    share, of shares denied and of their weights, and ms: since its first event more than these, since its previous one
    less.
    ``columns``: float32 and uint8 [k, n] in this order, and then why the event is a copy.
    """
    time, counts, first_seen_at, previous_at, shared, denied, weight, replayed = before
    count_at, shared_at, denied_at, weight_at, older, sooner = places
    floats, codes = columns
    for row in range(len(time)):
        for at in range(len(count_at)):
            floats[at, row] = counts[row, count_at[at]]
        place = len(count_at)
        for at in range(len(shared_at)):
            floats[place + at, row] = shared[row, shared_at[at]]
        place += len(shared_at)
        for at in range(len(denied_at)):
            floats[place + at, row] = denied[row, denied_at[at]]
        place += len(denied_at)
        for at in range(len(weight_at)):
            floats[place + at, row] = weight[row, weight_at[at]]
        age, previous = time[row] - first_seen_at[row], previous_at[row]
        for at in range(len(older)):
            codes[at, row] = age > older[at]
        place = len(older)
        for at in range(len(sooner)):
            codes[place + at, row] = previous >= 0 and abs(time[row] - previous) < sooner[at]
        codes[place + len(sooner), row] = replayed[row]


@kernel
def find_causes(booleans: Any, known: Any, checks: Any, places: Any, found: Any) -> None:
    """Set ``found``, uint8[causes, n], to where a boolean is true, known to be false, or a check failed.

    ``booleans``, ``known``: uint8[n, B]; ``checks``: uint64[n]. ``places``: columns of what is to be true and the cause
    of each, the same of what is to be false, and of checks.
    """
    found[:] = 0
    for row in range(len(checks)):
        _causes_of(row, booleans, known, checks, places, found)
