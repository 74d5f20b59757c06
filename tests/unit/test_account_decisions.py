"""The account of decisions: each is recorded, dead-lettered, repeated, waiting or lost."""

from __future__ import annotations

from typing import Any

import pytest

from infra.account_decisions import DecisionAccount, DecisionBook
from infra.topics import DECIDED
from schemas.dead_letter import DeadLetter, Reason, encode_dead_letter
from schemas.decision_record import encode_record
from tests.decided import decided, encoded


class Message:
    """What the book reads of a Kafka message."""

    def __init__(self, value: bytes, offset: int) -> None:
        self._value, self._offset = value, offset

    def value(self) -> bytes:
        return self._value

    def offset(self) -> int:
        return self._offset

    def partition(self) -> int:
        return 1


def letter(offset: int, reason: Reason, topic: str = DECIDED) -> bytes:
    return encode_dead_letter(
        DeadLetter(reason, "record", "why", topic, 1, offset, 1, 2, b"payload", "redacted", "0" * 64)
    )


def book(values: list[bytes], letters: list[bytes], monkeypatch: pytest.MonkeyPatch, shown: set[int]) -> DecisionBook:
    """Return a book of records and letters; ``shown``: numbers of the decisions that ClickHouse has."""
    made: Any = DecisionBook()
    made.visit([Message(value, offset) for offset, value in enumerate(values)])
    made.dead.visit([Message(value, offset) for offset, value in enumerate(letters)])
    rows = [decided(number) for number in sorted(shown)]
    columns = (
        [row.merchant.encode() for row in rows],
        [row.event_id.encode() for row in rows],
        [row.occurred_at for row in rows],
    )

    class Client:
        @classmethod
        def from_url(cls, url: str) -> Any:
            return cls()

        def execute(self, *_: Any, **__: Any) -> Any:
            return columns if rows else []

        def disconnect(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr("infra.account_decisions.Client", Client)
    checked: DecisionBook = made
    return checked


def test_what_is_shown_balances(monkeypatch: pytest.MonkeyPatch) -> None:
    found = book(encoded(4), [], monkeypatch, {0, 1, 2, 3}).account("clickhouse://h/x")
    assert found == DecisionAccount(4, 4, 0, 0, 0, 0)
    assert found.problems == []


def test_a_record_that_comes_twice_is_repeated_and_a_bad_one_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [*encoded(3), encode_record(decided(1)), b"no record", b'{"version": 9}']
    letters = [letter(4, Reason.BAD_RECORD), letter(5, Reason.RECORD_VERSION), letter(0, Reason.BAD_RECORD, "other")]
    found = book(values, letters, monkeypatch, {0, 1, 2}).account("clickhouse://h/x")
    assert found == DecisionAccount(6, 3, 2, 1, 0, 0)


def test_what_is_in_neither_is_lost_and_what_is_in_the_backup_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    letters = [letter(1, Reason.SINK_CLICKHOUSE)]
    found = book([*encoded(3), b"no record"], letters, monkeypatch, {0}).account("clickhouse://h/x")
    assert found == DecisionAccount(4, 1, 0, 0, 1, 2)
    assert found.problems == ["2 decisions are neither recorded nor dead-lettered"]


def test_what_was_redriven_no_longer_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    found = book(encoded(2), [letter(1, Reason.SINK_CLICKHOUSE)], monkeypatch, {0, 1}).account("clickhouse://h/x")
    assert found == DecisionAccount(2, 2, 0, 0, 0, 0)


def test_without_clickhouse_nothing_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    found = book(encoded(2), [], monkeypatch, set()).account(None)
    assert found == DecisionAccount(2, None, 0, 0, 0, None) and not found.problems


def test_an_empty_topic_balances(monkeypatch: pytest.MonkeyPatch) -> None:
    assert book([], [], monkeypatch, set()).account("clickhouse://h/x") == DecisionAccount(0, 0, 0, 0, 0, 0)
