"""A store that failed is left alone: for how long, when again, and what is said of it."""

from __future__ import annotations

import logging

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from flows.lookups.breaker import Breaker, Pauses


class Now:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def breaker(now: Now) -> Breaker:
    return Breaker("counts", "events go on", Pauses(1.0, 4.0), now)


def test_a_store_that_never_failed_may_be_asked(breaker: Breaker) -> None:
    assert not breaker.open()
    assert not breaker.recovered()


def test_each_failure_doubles_the_pause_up_to_the_longest(breaker: Breaker, now: Now) -> None:
    for pause in (1.0, 2.0, 4.0, 4.0):
        breaker.failed(OSError())
        now.seconds += pause - 0.01
        assert breaker.open()
        now.seconds += 0.01
        assert not breaker.open()


def test_after_an_answer_the_pause_is_short_again(breaker: Breaker, now: Now) -> None:
    for _ in range(3):
        breaker.failed(OSError())
    assert breaker.recovered()
    assert not breaker.open()
    assert not breaker.recovered()
    breaker.failed(OSError())
    now.seconds = 1.0
    assert not breaker.open()


def test_an_outage_is_said_once_and_without_the_address(breaker: Breaker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "clickgoose.flow")
    for _ in range(3):
        breaker.failed(RedisConnectionError("redis://user:password@host"))
    assert [record.getMessage() for record in caplog.records] == [
        "counts: the store failed (ConnectionError); events go on"
    ]
    breaker.recovered()
    breaker.failed(ResponseError("OOM command not allowed"))
    assert "(OOM command not allowed)" in caplog.records[-1].getMessage()
