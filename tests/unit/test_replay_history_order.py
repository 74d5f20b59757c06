"""The order in which the live flow counted events, as history tells it of the rows that it knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from replay.history_order import HistoryOrder
from tests.wire import NOW, TOPIC, raw_batch

FIRST = 100


class History:
    """Knows when some offsets of a partition were counted, µs."""

    def __init__(self, counted: dict[int, int]) -> None:
        self._counted = counted

    def execute(self, query: str, params: Any = None, /, *, columnar: bool = False) -> Any:
        assert (params["topic"], params["mark"]) == (TOPIC, "relate")
        if not columnar:
            before = [offset for offset in self._counted if offset < params["first"]]
            return [(self._counted[max(before)] if before else 0,)]
        found = {at: micros for at, micros in sorted(self._counted.items()) if params["first"] <= at <= params["last"]}
        return [tuple(found), tuple(found.values())] if found else []


def batch(offsets: list[int]) -> Any:
    whole = raw_batch([b"record"] * (max(offsets) - FIRST + 1), first=FIRST)
    return whole.take(np.array(offsets) - FIRST)


def keys(counted: dict[int, int], offsets: list[int]) -> list[int]:
    found = HistoryOrder(History(counted), TOPIC)(batch(offsets))
    assert found.dtype == np.int64
    return found.tolist()


def taken(offset: int) -> int:
    return int(batch([offset]).origin.appended_at[0]) * 1_000


LATE = NOW * 1_000 + 10**9


def test_rows_have_the_time_at_which_they_were_counted_and_it_never_falls() -> None:
    assert keys({100: LATE, 101: LATE + 5, 102: LATE + 2}, [100, 101, 102]) == [LATE, LATE + 5, LATE + 5]


def test_a_row_that_history_does_not_know_goes_with_the_one_before_it() -> None:
    assert keys({100: LATE, 102: LATE + 9}, [100, 101, 102, 103]) == [LATE, LATE, LATE + 9, LATE + 9]


def test_rows_before_the_first_that_history_knows_have_the_time_at_which_kafka_took_them() -> None:
    assert keys({102: LATE}, [100, 101, 102]) == [taken(100), taken(101), LATE]
    assert keys({}, [100, 101]) == [taken(100), taken(101)]


@pytest.mark.parametrize("known", [99, 101, 102, 104, 106, 200])
def test_rows_that_history_knows_and_the_batch_lacks_are_nobody_elses(known: int) -> None:
    """A later start, a hole of the archive: offsets are missing in the middle, and others were never asked for."""

    class Everything(History):
        def execute(self, query: str, params: Any = None, /, *, columnar: bool = False) -> Any:
            return super().execute(
                query, params | {"first": 0, "last": 10**6} if columnar else params, columnar=columnar
            )

    found = HistoryOrder(Everything({100: LATE, known: LATE + 7, 105: LATE + 9}), TOPIC)(batch([100, 103, 105]))
    assert found.tolist() == [LATE, LATE, LATE + 9]


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_what_is_said_of_a_row_does_not_depend_on_how_rows_are_cut(cut: int) -> None:
    offsets = [100, 101, 102, 103, 104]
    counted = {100: 50, 103: LATE}  # counted before Kafka took the next one, by its clock
    assert keys(counted, offsets[:cut]) + keys(counted, offsets[cut:]) == keys(counted, offsets)
