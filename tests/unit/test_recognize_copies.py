"""recognize: which events are copies of earlier ones, and which only look alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from flows.stages.recognize import Recognize
from flows.stages.recognize.stage import DAY
from flows.stages.recognize.state import Sizes
from schemas.recognition import SAME_CONTENTS, SAME_LOG, SAME_SEQUENCE
from tests.builders import NOW, counted

SMALL = Sizes(1 << 13, 1 << 13, 1 << 13)
LONG = [{"code": 207, "t": 100 * at} for at in range(12)]
PAGE = {"timing.page_age": 812.25, "navigation.response": 91.5, "navigator.hardware_concurrency": 8}


def replayed(
    events: Sequence[dict[str, Any]], logs: Sequence[Any], sequences: Sequence[int], times: Sequence[int] = ()
) -> list[int]:
    batch = counted(events, logs, times=times)
    if times:
        batch = replace(batch, origin=replace(batch.origin, appended_at=np.array(times) + 30))
    one = np.repeat(batch.event.session_id[:1], len(batch), axis=0)
    batch = replace(batch, event=replace(batch.event, session_id=one, sequence=np.array(sequences, np.uint32)))
    bits: list[int] = Recognize(sizes=SMALL).open(()).apply(batch).oks.recognition.replayed.tolist()
    return bits


def test_the_same_contents_under_another_id_are_a_copy() -> None:
    assert replayed([PAGE] * 2, [LONG] * 2, [0, 1]) == [0, SAME_CONTENTS | SAME_LOG]
    assert replayed([PAGE] * 2, [LONG[:3]] * 2, [0, 1]) == [0, SAME_CONTENTS]


@pytest.mark.parametrize(
    "change",
    [{"navigator.hardware_concurrency": 9}, {"navigator.webdriver": True}, {"navigator.platform": "Win32"}],
)
def test_a_number_a_boolean_or_a_category_makes_a_difference(change: dict[str, Any]) -> None:
    assert replayed([PAGE, {**PAGE, **change}], [LONG[:3]] * 2, [0, 1]) == [0, 0]


def test_short_logs_are_typed_alike_and_long_ones_are_not() -> None:
    other = {**PAGE, "timing.page_age": 77.0}
    assert replayed([PAGE, other], [LONG] * 2, [0, 1]) == [0, SAME_LOG]
    assert replayed([PAGE, other], [LONG[:11]] * 2, [0, 1]) == [0, 0]
    assert replayed([PAGE, other], [LONG, [*LONG[:11], {"code": 207, "t": 1_101}]], [0, 1]) == [0, 0]
    assert replayed([PAGE, other], [LONG, [LONG[1], LONG[0], *LONG[2:]]], [0, 1]) == [0, 0]


def test_a_number_comes_again_in_a_second_tab_and_not_in_one_page() -> None:
    tab = {**PAGE, "timing.page_age": 77.0}
    grown = {**PAGE, "navigator.hardware_concurrency": 9}
    assert replayed([PAGE, tab], [[], []], [4, 4]) == [0, 0]
    assert replayed([PAGE, grown], [[], []], [4, 4]) == [0, SAME_SEQUENCE]
    assert replayed([PAGE, grown], [[], []], [4, 5]) == [0, 0]


def test_events_that_tell_no_age_of_the_page_are_not_compared() -> None:
    assert replayed([{}, {}], [[], []], [0, 0]) == [0, 0]
    assert replayed([{}, {}], [LONG, LONG], [0, 0]) == [0, SAME_LOG]


def test_copies_are_known_for_a_day() -> None:
    times = [NOW, NOW + DAY + 2_000]
    assert replayed([PAGE] * 2, [LONG] * 2, [0, 1], times=[NOW, NOW + DAY]) == [0, SAME_CONTENTS | SAME_LOG]
    assert replayed([PAGE] * 2, [LONG] * 2, [0, 1], times=times) == [0, 0]
