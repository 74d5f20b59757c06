"""A bad event of each reason ends in the backup, with that reason, its headers and the right payload."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from confluent_kafka import Message

from infra.account import Account
from schemas.dead_letter import DeadLetter, Reason, dead_letter_headers, decode_dead_letter
from schemas.result import decode_result
from tests.e2e.system import System
from tests.waiting import PATIENT_FLOW
from tests.wire import BAD, CANARY_AADHAAR, CANARY_CARD, CANARY_CODE, CANARY_EMAIL, CANARY_IBAN, CANARY_PHONE, record

BUGGY = Path(__file__).with_name("buggy_flow.py")
FIRST_BAD = 1000
CANARIES = [CANARY_CARD.encode(), CANARY_CARD.replace(" ", "").encode(), CANARY_EMAIL.encode(), CANARY_PHONE.encode()]
CANARIES += [b"CANARYSECRET", CANARY_CODE.encode(), CANARY_IBAN.encode(), CANARY_AADHAAR.encode()]


class Found:
    """What the system made of one bad event of each reason among good ones."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.sent = {reason: make(FIRST_BAD + row) for row, (reason, make) in enumerate(BAD.items())}
        good = [record(row) for row in range(40)]
        bugs = [record(113), record(213)]
        records = [*good[:20], *self.sent.values(), *bugs, *good[20:], good[0]]
        system.start_flow(script=BUGGY, **PATIENT_FLOW)
        system.append([(0, value) for value in records])
        self.account: Account = system.account()
        self.messages: dict[Reason, list[tuple[Message, DeadLetter]]] = {}
        for message in system.records("events.dead_letter"):
            letter = decode_dead_letter(message.value() or b"")
            self.messages.setdefault(letter.reason, []).append((message, letter))


@pytest.fixture(scope="module")
def found(system: System) -> Found:
    return Found(system)


def test_the_account_balances_with_every_reason_in_it(found: Found) -> None:
    account = found.account
    assert account.problems == []
    assert (account.accepted, account.scored) == (40 + len(BAD) + 2 + 1, 40)
    assert (account.dead_lettered, account.deduplicated, account.lost) == (len(BAD) + 2, 1, 0)


def test_results_say_how_often_the_address_was_seen_on_any_device(found: Found) -> None:
    results = [decode_result(message.value() or b"") for message in found.system.records("events.scored")]
    known = [one.shared.address for one in results if not one.degraded]
    assert known
    assert all(counts is not None for counts in known)


@pytest.mark.parametrize("reason", BAD)
def test_the_backup_holds_the_event_with_its_reason_and_headers(found: Found, reason: Reason) -> None:
    ((message, letter),) = found.messages[reason]
    assert dict(message.headers() or []) == dict(dead_letter_headers(letter))
    assert (letter.topic, letter.partition) == ("events.raw", 0)
    if reason.value.startswith("mask."):
        assert letter.payload_format == "redacted"
    else:
        assert letter.payload == found.sent[reason]


def test_a_bug_takes_its_own_rows_and_no_other(found: Found) -> None:
    letters = [letter for _, letter in found.messages[Reason.BUG]]
    assert len(letters) == 2
    (detail,) = {letter.detail for letter in letters}  # the same place in the code: one cluster
    assert detail.startswith("the stage raised ZeroDivisionError, stack ")


def test_clickhouse_shows_the_same_dead_letters(found: Found) -> None:
    rows = found.system.clickhouse("SELECT reason, count() FROM dead_letters FINAL GROUP BY reason")
    assert dict(rows) == {reason.value: len(letters) for reason, letters in found.messages.items()}


def test_no_canary_is_anywhere_in_the_clear(found: Found) -> None:
    seen = [value for topic in ("events.dead_letter", "events.scored") for value in found.system.values(topic)]
    seen += [str(rows).encode() for rows in (found.system.clickhouse("SELECT * FROM dead_letters"),)]
    seen += [path.read_bytes() for path in (found.system.stack.home / "logs").glob("*.log")]
    for canary in CANARIES:
        for form in (canary, base64.b64encode(canary).rstrip(b"=")[:-1]):
            assert not [text for text in seen if form in text]
