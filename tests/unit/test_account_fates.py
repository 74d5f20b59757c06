"""A record that is sent again is the fate of the first one: it is not accepted anew, and nothing is lost unseen."""

from __future__ import annotations

import numpy as np

from infra.account_fates import Fates, RawColumns, fates_of


def fates(rows: list[tuple[int, int]], scored: list[int], dead: list[int]) -> Fates:
    """``rows``: event id (0: not readable) and attempts of each record; its place is its number."""
    ids = np.array([event for event, _ in rows], np.uint64)
    attempts = np.array([attempt for _, attempt in rows], np.uint8)
    raw = RawColumns(np.arange(len(rows)), ids, ids > 0, attempts)
    return fates_of(raw, np.array(scored, np.int64), np.array(dead, np.int64))


def counts(found: Fates) -> tuple[int, int, int, int]:
    return int(found.scored.sum()), int(found.dead.sum()), int(found.repeated.sum()), found.lost


def test_without_redrives_it_is_scored_dead_repeated_or_lost() -> None:
    assert counts(fates([(1, 0), (2, 0), (1, 0), (3, 0), (0, 0)], [0], [1])) == (1, 1, 1, 2)


def test_an_event_that_is_scored_at_last_is_no_dead_letter() -> None:
    assert counts(fates([(1, 0), (1, 1)], [1], [0])) == (1, 0, 0, 0)


def test_an_event_that_failed_again_is_one_dead_letter() -> None:
    assert counts(fates([(1, 0), (1, 1)], [], [0, 1])) == (0, 1, 0, 0)
    assert counts(fates([(1, 0), (1, 1), (1, 2)], [2], [0, 1])) == (1, 0, 0, 0)


def test_an_attempt_that_was_sent_twice_is_a_copy() -> None:
    assert counts(fates([(1, 0), (1, 1), (1, 1)], [1], [0])) == (1, 0, 0, 0)
    assert counts(fates([(1, 0), (1, 1), (1, 1)], [], [0, 1])) == (0, 1, 0, 0)


def test_a_redriven_record_of_which_nothing_came_is_lost_though_its_first_is_a_dead_letter() -> None:
    assert counts(fates([(1, 0), (1, 1)], [], [0])) == (0, 1, 0, 1)
    assert counts(fates([(1, 0), (1, 1), (1, 2)], [], [0, 1])) == (0, 1, 0, 1)


def test_a_redriven_record_of_an_event_that_a_copy_was_scored_of_is_a_copy() -> None:
    assert counts(fates([(1, 0), (1, 0), (1, 1)], [1], [0])) == (1, 1, 0, 0)
