"""Texts by number: what is found again, what never is, and what a full memory changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flows.stages import verify_mask
from flows.stages.decode import Decode
from flows.stages.normalize import Normalize, said
from flows.stages.text_memory import Asked, TextTable, year_of
from flows.stages.verify_mask import VerifyMask
from schemas.batches import Texts
from tests.builders import decoded
from tests.normalize.agents import verified
from tests.strategies import same
from tests.wire import HONEST, RING, mixture, raw_batch

NEW_YEAR = 1_798_761_600_000  # 2027, in UTC


def rows_of(*rows: tuple[bytes | None, ...]) -> Texts:
    """Return texts as decode lays them out, a tuple a row."""
    starts, lengths = np.zeros((2, len(rows), len(rows[0])), np.int32)
    for at, row in enumerate(rows):
        sizes = [len(text or b"") for text in row]
        starts[at] = np.cumsum([0, *sizes[:-1]])
        lengths[at] = [-1 if text is None else len(text) for text in row]
    return Texts(tuple(b"".join(text or b"" for text in row) for row in rows), starts, lengths)


def learnt(table: TextTable, texts: Texts, times: Any = ()) -> list[list[int]]:
    """Give a number to all texts that have none, and return those of all."""
    numbers, _ = table.find(texts, np.array(times, np.int64))
    for one in {(one.text, one.sort): one for one in table.unknown(texts, numbers, np.array(times, np.int64))}.values():
        table.add(one.text, one.sort)
    found: list[list[int]] = table.find(texts, np.array(times, np.int64))[0].tolist()
    return found


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 500])
def test_a_text_is_found_by_all_of_its_bytes(size: int) -> None:
    table = TextTable([Asked(0, 1_000)])
    text = bytes(range(1, 256)) * 2
    (number,) = learnt(table, rows_of((text[:size],)))
    others = [text[:at] + b"\0" + text[at + 1 : size] for at in range(size)] + [text[:size] + b"\0"]
    numbers, missing = table.find(rows_of((text[:size],), *((other,) for other in others)))
    assert numbers[0].tolist() == number
    assert missing == len(others)
    assert (numbers[1:] == -1).all()


def test_an_absent_text_has_the_number_of_its_column_and_an_empty_one_its_own() -> None:
    table = TextTable([Asked(0, 9, 0), Asked(1, 9, 1)])
    assert learnt(table, rows_of((None, b"a"), (b"", None))) == [[0, 2], [3, 1]]


def test_texts_of_one_kind_are_known_in_every_column_and_those_of_another_are_not() -> None:
    assert learnt(TextTable([Asked(0, 9), Asked(1, 9)]), rows_of((b"a", b"a"))) == [[2, 2]]
    assert learnt(TextTable([Asked(0, 9, 0), Asked(1, 9, 1)]), rows_of((b"a", b"a"))) == [[2, 3]]


def test_a_long_text_is_cut_or_never_known() -> None:
    texts = rows_of((b"longer than nine",), (b"longer tha",))
    assert learnt(TextTable([Asked(0, 9)]), texts) == [[1], [1]]
    assert learnt(TextTable([Asked(0, 9, whole=True)]), texts) == [[-1], [-1]]


def test_a_text_of_a_year_has_another_number_in_the_next() -> None:
    times = [NEW_YEAR - 1, NEW_YEAR, -5, 2**62]
    table = TextTable([Asked(0, 9, of_year=True)])
    assert learnt(table, rows_of(*[(b"a",)] * 4), times) == [[1], [2], [3], [4]]
    assert [year_of(np.int64(time)) for time in times] == [2026, 2027, 1970, 2100]


def test_every_day_of_the_calendar_is_of_its_year() -> None:
    days = np.arange(0, 47_482, 7, dtype=np.int64) * 86_400_000
    table = TextTable([Asked(0, 9, of_year=True)])
    learnt(table, rows_of(*[(b"a",)] * len(days)), days)
    assert table.find(rows_of(*[(b"a",)] * len(days)), days)[1] == 0
    assert len(table) == 1 + len({year_of(day) for day in days})


def test_a_span_outside_of_its_row_is_of_no_text_that_is_known() -> None:
    texts = Texts((b"ab", b"ab"), np.array([[0], [1]], np.int32), np.array([[2], [2]], np.int32))
    table = TextTable([Asked(0, 9)])
    assert learnt(table, texts) == [[1], [-1]]


def test_more_bytes_than_there_was_room_for_are_found_again() -> None:
    table = TextTable([Asked(0, 100_000)])
    texts = rows_of(*[(bytes([at]) * 40_000,) for at in range(4)])
    assert learnt(table, texts) == [[1], [2], [3], [4]]


def test_a_browser_is_read_as_before_when_its_texts_were_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [{**HONEST, "navigator.languages": f"l{at}", "intl.timezone": f"z{at}"} for at in range(40)]
    wanted = Normalize()(verified(events)).oks.environment
    monkeypatch.setattr(said, "_MOST", 24)
    small = Normalize()
    for _ in range(2):
        parts = [small(verified([event])).oks.environment for event in events]
        assert same(type(wanted).concat(parts), wanted)
    assert same(small(verified(events)).oks.environment, wanted)  # more texts at once than fit


def test_nothing_is_let_pass_when_what_was_clean_was_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_mask, "_REMEMBERED", 16)
    stage = VerifyMask()
    for at in range(60):
        leaking = decoded([{**HONEST, "page.title": f"page {at}"}, {**HONEST, "page.title": f"me{at}@example.com"}])
        out = stage(leaking)
        assert (len(out.oks), [letter.reason for letter in out.errs]) == (1, ["mask.email"])


def test_what_is_known_never_stands_in_the_way_of_what_holds_something() -> None:
    stage, batch = VerifyMask(), Decode(RING)(raw_batch(mixture(60))).oks
    first, again = stage(batch), stage(batch)
    assert same(first.oks, again.oks)
    assert [letter.offset for letter in first.errs] == [letter.offset for letter in again.errs]
