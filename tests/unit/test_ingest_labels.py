"""``POST /v1/labels``: what is stored, what is refused, and that nobody labels for somebody else."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from clickhouse_driver.errors import NetworkError, ServerException

from ingest_api.app import create_app
from ingest_api.label_items import MAX_LABELS, Refusal
from ingest_api.labels import MAX_BODY
from schemas.labels import LABELS, RETENTION_DAYS, TARGETS
from tests.ingest_kit import KEYS, MemoryAppender, MemoryRedis, Tier, bearer, code, config, open_page, running, tier
from tests.waiting import SECONDS, soon

NOW = 1_790_000_000_000
DAY = 86_400_000
EVENT = "0190f3a5c1d27b3e8f4a6d5c4b3a2918"
GOOD = {"target": "transaction", "id": "order-1001", "label": "chargeback"}


async def send(t: Tier, *labels: Any, merchant: str = "demo-shop") -> httpx.Response:
    """Send labels as a merchant's back office does."""
    return await t.client.post("/v1/labels", json={"labels": list(labels)}, headers=bearer(KEYS[merchant]))


def reasons(answer: httpx.Response) -> list[str | None]:
    """Return the reason of every label, once the shape is checked."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert [one["index"] for one in body["results"]] == list(range(len(body["results"])))
    stored = sum(one["status"] == "stored" for one in body["results"])
    assert (body["stored"], body["refused"]) == (stored, len(body["results"]) - stored)
    assert all((one["status"] == "stored") == ("reason" not in one) for one in body["results"])
    return [one.get("reason") for one in body["results"]]


async def test_labels_of_every_target_and_kind_are_stored_under_the_keys_merchant(tmp_path: Path) -> None:
    async with tier(tmp_path, clock=lambda: NOW) as t:
        sent = [
            {"target": target, "id": "order-1" if target == "transaction" else EVENT, "label": label}
            for target in TARGETS
            for label in LABELS
        ]
        assert reasons(await send(t, *sent)) == [None] * 9
        rows = t.clickhouse.labels
        assert [row[:4] for row in rows] == [("demo-shop", one["target"], one["id"], one["label"]) for one in sent]
        assert {row[4] for row in rows} == {NOW}
        assert [row[5] for row in rows] == list(range(NOW * 1_000, NOW * 1_000 + 9))  # of two alike the later stays


@pytest.mark.parametrize(
    ("told", "stored"),
    [
        ("2026-09-21T14:13:20Z", NOW),
        ("2026-09-21T16:13:20.500+02:00", NOW + 500),
        (NOW - 200 * DAY, NOW - 200 * DAY),
        (NOW - RETENTION_DAYS * DAY + 1, NOW - RETENTION_DAYS * DAY + 1),
        (NOW + 300_000, NOW + 300_000),
        (None, NOW),
    ],
)
async def test_labels_may_come_months_late(tmp_path: Path, told: Any, stored: int) -> None:
    async with tier(tmp_path, clock=lambda: NOW) as t:
        assert reasons(await send(t, {**GOOD, "labelled_at": told})) == [None]
        assert [row[4] for row in t.clickhouse.labels] == [stored]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"target": "payment"}, "unknown_target"),
        ({"label": "fraud"}, "unknown_label"),
        ({"label": ""}, "unknown_label"),
        ({"id": ""}, "bad_id"),
        ({"id": "x" * 256}, "bad_id"),
        ({"id": "ü" * 128}, "bad_id"),
        ({"id": "order\n1"}, "bad_id"),
        ({"target": "event", "id": "order-1"}, "bad_id"),
        ({"target": "event", "id": EVENT.upper()}, "bad_id"),
        ({"target": "session", "id": EVENT + "0"}, "bad_id"),
        ({"id": "jane.doe@example.com"}, "personal_data"),
        ({"id": "4111 1111 1111 1111"}, "personal_data"),
        ({"id": "DE89370400440532013000"}, "personal_data"),
        ({"labelled_at": "yesterday"}, "bad_time"),
        ({"labelled_at": "2026-09-21T14:13:20"}, "bad_time"),
        ({"labelled_at": "2026-09-21T14:13:20Z" + " " * 40}, "bad_time"),
        ({"labelled_at": "0001-01-01T00:00:00+14:00"}, "too_old"),
        ({"labelled_at": NOW - RETENTION_DAYS * DAY}, "too_old"),
        ({"labelled_at": -(2**63)}, "too_old"),
        ({"labelled_at": 2**70}, "in_future"),
        ({"labelled_at": NOW + 300_001}, "in_future"),
        ({"labelled_at": True}, "bad_form"),
        ({"labelled_at": 1.5}, "bad_form"),
        ({"id": 7}, "bad_form"),
        ({"id": {"a": []}}, "bad_form"),
        ({"merchant": "other-shop"}, "bad_form"),
    ],
)
async def test_a_wrong_label_is_refused_by_itself(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    async with tier(tmp_path, clock=lambda: NOW) as t:
        assert reasons(await send(t, GOOD, {**GOOD, **changes}, GOOD)) == [None, reason, None]
        assert {row[2] for row in t.clickhouse.labels} == {"order-1001"}


async def test_where_all_are_refused_nothing_is_written(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        t.clickhouse.error = AssertionError("nobody asks ClickHouse")
        assert reasons(await send(t, "order-1", None, [], {})) == ["bad_form"] * 4


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (422, "invalid_request")),
        (b"[]", (422, "invalid_request")),
        (b"null", (422, "invalid_request")),
        (b'{"labels": []}', (422, "invalid_request")),
        (b'{"labels": {}}', (422, "invalid_request")),
        (b'{"labels": [1], "merchant": "other-shop"}', (422, "invalid_request")),
        (b'{"labels": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}", (422, "invalid_request")),
        (b'{"labels": [{"id": "\xff"}]}', None),
        (b'{"labels": [{"target": "transaction", "id": "\\ud800", "label": "genuine"}]}', (422, "invalid_request")),
        (b'{"labels": [' + b",".join([b"1"] * (MAX_LABELS + 1)) + b"]}", (413, "too_many_labels")),
        (b'{"labels": [' + b" " * MAX_BODY + b"1]}", (413, "body_too_large")),
    ],
)
async def test_a_body_of_another_form_is_refused_as_a_whole(
    tmp_path: Path, body: bytes, expected: tuple[int, str] | None
) -> None:
    async with tier(tmp_path) as t:
        headers = {**bearer(KEYS["demo-shop"]), "content-type": "application/json"}
        answer = await t.client.post("/v1/labels", content=body, headers=headers)
        if expected is None:
            assert reasons(answer) == ["bad_form"]
        else:
            assert code(answer) == expected
        assert not t.clickhouse.labels


async def test_a_full_request_is_stored_in_one_insert(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        sent = [{**GOOD, "id": f"order-{number}-{'x' * 200}"} for number in range(MAX_LABELS)]
        assert reasons(await send(t, *sent)) == [None] * MAX_LABELS
        assert len(t.clickhouse.labels) == MAX_LABELS
        assert len(t.clickhouse.executed) == 1


async def test_requests_that_come_together_share_an_insert(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        first = threading.Event()
        t.clickhouse.before = lambda: first.wait(SECONDS) and None
        sending = [asyncio.create_task(send(t, {**GOOD, "id": f"order-{number}"})) for number in range(40)]
        await soon(lambda: t.app.parts.labels._waiting_rows == 40)
        first.set()
        for answer in await asyncio.gather(*sending):
            assert reasons(answer) == [None]
        assert len(t.clickhouse.executed) <= 3
        assert sorted(row[2] for row in t.clickhouse.labels) == sorted(f"order-{number}" for number in range(40))
        assert len({row[5] for row in t.clickhouse.labels}) == 40


@pytest.mark.parametrize("error", [NetworkError("away"), EOFError(), ServerException("no such table: secret", 60)])
async def test_without_clickhouse_the_answer_is_503_and_nothing_is_called_stored(
    tmp_path: Path, error: Exception, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest_api.clickhouse_link._AWAY_SECONDS", 0.05)
    async with tier(tmp_path) as t:
        t.clickhouse.error = error
        answer = await send(t, GOOD)
        assert code(answer) == (503, "labels_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert "secret" not in caplog.text
        assert 'clickgoose_ingest_clickhouse_away{use="labels"} 1.0' in (await t.client.get("/metrics")).text
        t.clickhouse.error = None
        await asyncio.sleep(0.06)  # an outage is known for a while, and then it is asked again
        assert reasons(await send(t, GOOD)) == [None]
        assert 'clickgoose_ingest_clickhouse_away{use="labels"} 0.0' in (await t.client.get("/metrics")).text


async def test_a_silent_clickhouse_holds_nobody_up_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest_api.label_store.INSERT_SECONDS", 0.1)
    async with tier(tmp_path) as t:
        wake = threading.Event()
        t.clickhouse.before = lambda: wake.wait(2 * SECONDS) and None
        try:
            answers = await asyncio.wait_for(asyncio.gather(*(send(t, GOOD) for _ in range(3))), SECONDS)
        finally:
            wake.set()
        assert {code(answer) for answer in answers} == {(503, "labels_unavailable")}


async def test_as_many_labels_wait_as_there_is_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest_api.label_store._MOST_WAITING", 3)
    async with tier(tmp_path) as t:
        wake = threading.Event()
        t.clickhouse.before = lambda: wake.wait(SECONDS) and None
        waiting = [asyncio.create_task(send(t, GOOD)) for _ in range(3)]
        await soon(lambda: t.app.parts.labels._waiting_rows == len(waiting))
        assert code(await send(t, GOOD)) == (503, "labels_unavailable")
        wake.set()
        for answer in await asyncio.gather(*waiting):
            assert reasons(answer) == [None]
        assert reasons(await send(t, GOOD)) == [None]  # there is room again


async def test_without_an_address_of_clickhouse_a_code_of_its_own_says_so(tmp_path: Path) -> None:
    app = create_app(config(tmp_path), appender=MemoryAppender(), redis=MemoryRedis())
    async with running(app) as client:
        answer = await client.post("/v1/labels", json={"labels": [GOOD]}, headers=bearer(KEYS["demo-shop"]))
        assert code(answer) == (503, "clickhouse_unset")
        assert "retry-after" in answer.headers


async def test_labels_need_an_api_key_and_no_token_will_do(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        body = {"labels": [GOOD]}
        assert code(await t.client.post("/v1/labels", json=body)) == (401, "api_key_missing")
        assert code(await t.client.post("/v1/labels", json=body, headers=bearer("cg_guess"))) == (
            401,
            "api_key_invalid",
        )
        assert code(await t.client.post("/v1/labels", json=body, headers=bearer(page.opened["token"]))) == (
            403,
            "wrong_credential",
        )
        assert not t.clickhouse.labels


async def test_nobody_labels_for_another_merchant(tmp_path: Path) -> None:
    """The merchant is the key's: not a field's, a header's, a parameter's or an id's."""
    async with tier(tmp_path) as t:
        attacks = [
            {**GOOD, "merchant": "demo-shop"},
            {**GOOD, "id": "demo-shop/order-1001"},
            {**GOOD, "id": "', 'demo-shop', 'x'); --"},
        ]
        headers = {**bearer(KEYS["other-shop"]), "x-merchant": "demo-shop", "x-clickgoose-merchant": "demo-shop"}
        answer = await t.client.post("/v1/labels?merchant=demo-shop", json={"labels": attacks}, headers=headers)
        assert reasons(answer) == ["bad_form", None, None]
        assert {row[0] for row in t.clickhouse.labels} == {"other-shop"}
        assert [row[2] for row in t.clickhouse.labels] == [attacks[1]["id"], attacks[2]["id"]]  # as values, as they are


@pytest.mark.parametrize("away", [False, True])
async def test_labels_have_a_rate_of_their_own_that_counts_labels(tmp_path: Path, away: bool) -> None:
    async with tier(tmp_path, merchant_labels_per_minute=5) as t:
        t.redis.away = away
        assert reasons(await send(t, *[GOOD] * 5)) == [None] * 5
        answer = await send(t, GOOD)
        assert code(answer) == (429, "rate_limited")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert len(t.clickhouse.labels) == 5
        assert reasons(await send(t, GOOD, merchant="other-shop")) == [None]
        page = await open_page(t.client)
        assert (await page.send(page.event())).status_code == 200


async def test_what_is_counted_and_logged_holds_no_ids(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ingest")
    async with tier(tmp_path) as t:
        await send(t, GOOD, {**GOOD, "id": "jane.doe@example.com"})
        (record,) = [one for one in caplog.records if one.name == "ingest.labels"]
        assert (record.merchant, record.stored, record.refused) == ("demo-shop", 1, {"personal_data": 1})  # type: ignore[attr-defined]
        assert "order-1001" not in json.dumps(record.__dict__, default=str)
        text = (await t.client.get("/metrics")).text
        assert 'clickgoose_ingest_labels_total{reason="",status="stored"} 1.0' in text
        assert 'clickgoose_ingest_labels_total{reason="personal_data",status="refused"} 1.0' in text
        assert "clickgoose_ingest_labels_write_seconds_count 1.0" in text
        assert 'clickgoose_ingest_requests_total{route="labels",status="200"} 1.0' in text


async def test_a_stopping_server_takes_no_labels(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        t.app.parts.drain()
        assert code(await send(t, GOOD)) == (503, "shutting_down")


def test_reasons_are_documented() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
    for reason in Refusal:
        assert f"| `{reason.value}` |" in guide
