"""Where dead letters stand, their addresses, and what a note may be."""

from __future__ import annotations

import pytest

from schemas.letter_state import (
    MEANINGS,
    NEXT,
    NOTE_CHARACTERS,
    Change,
    IllegalChange,
    LetterAddress,
    LetterState,
    Standing,
    changeable,
    checked_note,
    standing_of,
)

NEW, FIXED, REDRIVEN, RESOLVED = LetterState


def test_a_letter_goes_from_new_over_fixed_and_redriven_to_resolved_and_a_redrive_is_an_attempt() -> None:
    standing = Standing()
    for state, attempts in ((FIXED, 1), (REDRIVEN, 2), (RESOLVED, 2)):
        standing = standing.after(state)
        assert standing == Standing(state, attempts)


def test_what_was_closed_is_only_opened_again() -> None:
    assert Standing(RESOLVED, 3).after(NEW) == Standing(NEW, 3)
    with pytest.raises(IllegalChange, match=r"^a letter that is resolved cannot become redriven, only new$"):
        Standing(RESOLVED).after(REDRIVEN)


def test_nothing_is_redriven_that_nobody_called_fixed() -> None:
    with pytest.raises(IllegalChange, match=r"^a letter that is new cannot become redriven, only fixed or resolved$"):
        Standing().after(REDRIVEN)
    assert changeable(REDRIVEN) == (FIXED,)


def test_every_state_says_what_it_means_and_what_may_follow() -> None:
    assert set(MEANINGS) == set(NEXT) == set(LetterState)


def test_the_newest_change_says_where_a_letter_stands_in_whatever_order_changes_are_read() -> None:
    first, last = Change(NEW, RESOLVED, 10, "a", "closed", 1), Change(RESOLVED, NEW, 20, "b", "too early", 1)
    assert standing_of([last, first]) == standing_of([first, last]) == Standing(NEW, 1)
    assert standing_of([], attempts=4) == Standing(NEW, 4)


@pytest.mark.parametrize("text", ["events.raw/3/1817", "events.raw/3/1817/verify_mask", "a-b_c.d/0/0/score"])
def test_an_address_reads_back_as_it_is_written(text: str) -> None:
    assert str(LetterAddress.read(text)) == text


@pytest.mark.parametrize("text", ["", "events.raw", "events.raw/3", "events.raw/x/1", "events raw/1/2", "t/1/-2",
                                  "t/1/2/", "t/1/2/A B", "t/1/2/s/more", "t/1/2\n", "t/\u0661/2"])  # fmt: skip
def test_what_is_no_address_is_said_in_one_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no address of a dead letter: give topic/partition/offset\[/stage\]$"):
        LetterAddress.read(text)


def test_a_note_is_kept_on_one_line_and_must_say_something() -> None:
    assert checked_note("  they removed\n the field ") == "they removed the field"
    for text in ("", " \n\t"):
        with pytest.raises(ValueError, match=r"^the note is empty"):
            checked_note(text)
    with pytest.raises(ValueError, match=f"{NOTE_CHARACTERS} are enough"):
        checked_note("x" * (NOTE_CHARACTERS + 1))
