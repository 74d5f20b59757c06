"""Bodies of ``POST /v1/decisions``: what is refused, with which sentence, and what is the same body."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ingest_api.decision_request import MAX_DEPTH, MAX_KINDS, MAX_OF_A_KIND, MAX_VALUES, Reader
from ingest_api.errors import ApiError
from tests.decisions_kit import NOW, SEED, SESSION, in_force, payment, service
from tests.ingest_kit import KEYS, bearer, code

READER = Reader(b"key", 300_000)
SECRET = "Zebedee"


def nested(depth: int) -> Any:
    """Return lists in lists."""
    found: list[Any] = []
    for _ in range(depth - 1):
        found = [found]
    return {"a": found}


def refused(body: Any) -> str:
    """Return the sentence of a refusal."""
    with pytest.raises(ApiError) as found:
        READER.read(body if isinstance(body, bytes) else json.dumps(body).encode(), NOW)
    assert found.value.code == "invalid_request"
    assert found.value.detail is not None and SECRET not in found.value.detail
    return found.value.detail


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"event_id": ""}, "Send event_id as"),
        ({"event_id": "x" * 129}, "Send event_id as"),
        ({"event_id": f"{SECRET} 1"}, "Send event_id as"),
        ({"event_id": "ü"}, "Send event_id as"),
        ({"event_id": "a\n"}, "Send event_id as"),
        ({"event_id": 7}, "Send event_id as"),
        ({"event_id": "zebedee@example.com"}, "Send event_id as"),
        ({"event_id": "4111111111111111"}, "Send event_id as"),
        ({"event_type": ""}, "Send event_type"),
        ({"event_type": SECRET}, "Send event_type"),
        ({"event_type": "a" * 33}, "Send event_type"),
        ({"event_type": "payment\n"}, "Send event_type"),
        ({"event_type": None}, "Send event_type"),
        ({"occurred_at": SECRET}, "Send occurred_at"),
        ({"occurred_at": "2026-09-21T14:13:20"}, "Send occurred_at"),
        ({"occurred_at": "2026-09-21T14:13:20Z" + " " * 40}, "Send occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "Send occurred_at"),
        ({"occurred_at": "9999-12-31T23:59:59-14:00"}, ""),
        ({"occurred_at": 0}, "Send occurred_at"),
        ({"occurred_at": -5}, "Send occurred_at"),
        ({"occurred_at": 10**14}, "Send occurred_at"),
        ({"occurred_at": 10**25}, "Send occurred_at"),
        ({"occurred_at": 1.5}, "Send occurred_at"),
        ({"occurred_at": True}, "Send occurred_at"),
        ({"entities": []}, "Send entities as"),
        ({"entities": {SECRET: "a"}}, "Send entities as"),
        ({"entities": {"": "a"}}, "Send entities as"),
        ({"entities": {"user": {SECRET: 1}}}, "Send entities as"),
        ({"entities": {"user": True}}, "Send entities as"),
        ({"entities": {"user": [None]}}, "Send entities as"),
        ({"entities": {"user": [["a"]]}}, "Send entities as"),
        ({"entities": {"user": "x" * 257}}, "Send entities as"),
        ({"entities": {"user": ["a", "x" * 257]}}, "Send entities as"),
        ({"entities": {"user": ["a"] * (MAX_OF_A_KIND + 1)}}, "Send entities as"),
        ({"entities": {"user": 10**301}}, "Send entities as"),
        ({"entities": {f"k{n}": "a" for n in range(MAX_KINDS + 1)}}, "Send entities as"),
        ({"session_id": "x"}, "Send session_id as"),
        ({"session_id": SESSION.upper()}, "Send session_id as"),
        ({"session_id": 5}, "Send session_id as"),
        ({"data": []}, "Send data as"),
        ({"data": None}, "Send data as"),
        ({"data": nested(MAX_DEPTH)}, "Send JSON nested"),
        ({"data": {"a": [0] * MAX_VALUES}}, "Send JSON nested"),
        ({SECRET: 1}, 'Send {"event_id"'),
        ({"merchant": "other-shop"}, 'Send {"event_id"'),
    ],
)
def test_every_wrong_field_has_a_sentence_that_does_not_repeat_it(changes: dict[str, Any], said: str) -> None:
    body = {**payment(), **changes}
    if said:
        assert refused(body).startswith(said)
    else:
        with pytest.raises(ApiError) as found:
            READER.read(json.dumps(body).encode(), NOW)
        assert found.value.code == "event_time_ahead"


@pytest.mark.parametrize("lacking", ["event_id", "event_type", "occurred_at"])
def test_a_field_that_is_missing_is_named(lacking: str) -> None:
    assert refused({name: value for name, value in payment().items() if name != lacking}).startswith(f"Send {lacking}")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"a":1}' * 2,
        b"\xff\xfe",
        b'"\\ud800"',
        b"[" * 60_000,
        b'{"data":' * 9_000 + b"1" + b"}" * 9_000,
        b'{"event_id":"a","event_type":"b","occurred_at":1,"data":{"x":%s}}' % (b"9" * 5_000),
        b'{"event_id":"a","event_type":"b","occurred_at":1,"data":{"x":1e999}}',
        b'{"event_id":"a","event_type":"b","occurred_at":1,"data":{"x":NaN}}',
    ],
)
def test_what_is_no_such_json_is_refused(body: bytes) -> None:
    assert refused(body).startswith("Send ")


@pytest.mark.parametrize(
    "changes",
    [
        {"occurred_at": "2026-09-21T14:13:20Z"},
        {"occurred_at": "2026-09-21T16:13:20.250+02:00"},
        {"occurred_at": 1},
        {"occurred_at": NOW + 300_000},
        {"entities": {}},
        {"entities": {"user": None, "card": [], "account": 7, "other": [1, "b", 2.5]}},
        {"entities": {f"k{n}": "x" * 256 for n in range(MAX_KINDS)}},
        {"session_id": SESSION},
        {"session_id": None},
        {"data": {}},
        {"data": {"": "ü" * 5_000, "n": 10**30, "deep": {"a": [1, [2, {}]], "null": None}}},
        {"data": nested(MAX_DEPTH - 1)},
        {"data": {"a": [0] * (MAX_VALUES - 2)}},
        {"data": {"commas": "," * 9_000, "brackets": "[{" * 9_000}},
    ],
)
def test_what_fits_is_read(changes: dict[str, Any]) -> None:
    body = {**payment(), **changes}
    asked = READER.read(json.dumps(body).encode(), NOW)
    assert asked.happening.event["data"] == body["data"]
    assert asked.happening.event["entities"] == body["entities"]
    assert asked.session_id == body.get("session_id")


def test_times_are_exact_to_the_millisecond() -> None:
    for ms in range(0, 1_000, 7):
        read = READER.read(json.dumps(payment(occurred_at=f"2026-09-21T14:13:20.{ms:03}Z")).encode(), NOW)
        assert read.happening.at == read.happening.event["occurred_at"] == NOW + ms


def test_bodies_that_say_the_same_have_one_digest_and_others_another() -> None:
    def digest(text: str) -> bytes:
        return READER.read(text.encode(), NOW).digest

    plain = json.dumps(payment())
    assert digest(plain) == digest(json.dumps(payment(), indent=4, sort_keys=True))
    assert digest(plain) == digest(json.dumps(payment(occurred_at="2026-09-21T14:13:20Z", session_id=None)))
    others = [
        {"event_id": "p-2"}, {"event_type": "login"}, {"occurred_at": NOW + 1}, {"entities": {"user": "u2"}},
        {"entities": {"user": 1}}, {"entities": {"user": "1"}}, {"session_id": SESSION}, {"data": {"amount": "20"}},
        {"data": {}}, {"data": {"amount": 20, "b": None}},
    ]  # fmt: skip
    assert len({digest(json.dumps({**payment(), **change})) for change in others} | {digest(plain)}) == 11
    assert Reader(b"another", 0).read(plain.encode(), NOW).digest != digest(plain), "a body cannot be guessed by it"


async def test_bounds_of_the_request_itself(tmp_path: Path) -> None:
    async with service(tmp_path, in_force(SEED), max_decision_bytes=2_000) as s:
        large = await s.post(payment(data={"x": "y" * 2_000}))
        assert code(large) == (413, "body_too_large")
        assert large.json()["error"]["message"] == "The body is too large; send at most 2,000 bytes."
        post, key = s.tier.client.post, bearer(KEYS["demo-shop"])
        typed = {**key, "content-type": "text/plain"}
        assert code(await post("/v1/decisions", content=b"{}", headers=typed)) == (415, "content_type_unsupported")
        packed = {**key, "content-type": "application/json", "content-encoding": "gzip"}
        assert code(await post("/v1/decisions", content=b"{}", headers=packed)) == (415, "content_encoding_unsupported")
        assert code(await s.post(b"{}")) == (422, "invalid_request")
        assert code(await s.tier.client.get("/v1/decisions", headers=key)) == (405, "method_not_allowed")
        assert s.records == [] and not any(name.startswith("decision:") for name in s.tier.redis.values)
