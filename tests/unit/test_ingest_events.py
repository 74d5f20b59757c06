"""What becomes of events: outcomes, envelopes, marks, and the spool behind Kafka."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from pathlib import Path

import httpx
import pytest

from ingest_api.appender import Delivered
from ingest_api.checks import STATUS_OF, Reason
from schemas.envelope import ENVELOPE_BYTES, address_bytes
from schemas.framing import pack_frames
from schemas.sealed import Header
from tests.ingest_kit import Page, bearer, event_id, now_ms, open_page, running, tier


def outcomes(answer: httpx.Response) -> list[tuple[str, str]]:
    """Return status and reason of each event."""
    assert answer.status_code == 200, answer.text
    return [(one["status"], one["reason"]) for one in answer.json()["results"]]


async def test_an_event_goes_to_kafka_in_its_envelope(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client, linked_id="customer-7")
        sealed = page.event(sent_at=now_ms() - 1_000)
        before = now_ms()
        body = pack_frames([sealed])
        headers = {**page.headers(body), "x-forwarded-for": "198.51.100.1, 203.0.113.9"}
        answer = await t.client.post("/v1/events", content=body, headers=headers)
        assert answer.json() == {"results": [{"event_id": event_id(sealed), "status": "ok", "reason": "appended"}]}
        (record,) = t.kafka.records
        assert record.key == page.device_id
        received, address = int.from_bytes(record.value[4:12], "little"), record.value[12:28]
        assert before <= received <= now_ms()
        assert address == address_bytes("203.0.113.9")
        assert record.value[ENVELOPE_BYTES:] == b"demo-shop" + b"order-1" + b"customer-7" + sealed
        assert t.redis.values[f"pending:demo-shop:{event_id(sealed)}"] == b"1"


async def test_json_is_accepted_for_curl(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        body = json.dumps({"events": [base64.b64encode(page.event()).decode()]}).encode()
        headers = page.headers(body, kind="application/json; charset=utf-8")
        assert outcomes(await t.client.post("/v1/events", content=body, headers=headers)) == [("ok", "appended")]


async def test_each_event_is_answered_by_itself_and_in_order(tmp_path: Path) -> None:
    async with tier(tmp_path, max_event_bytes=2_000, max_request_bytes=70_000) as t:
        page = await open_page(t.client)
        now = now_ms()
        good = page.event()
        sent = [
            b"no event at all",
            b"XX" + page.event()[2:],
            page.event()[:2] + b"\x09" + page.event()[3:],
            page.event(session_id=b"\0" * 16),
            page.event(key_id=77),
            page.event(b"x" * 3_000),
            b"x" * 3_000,
            page.event(sent_at=now + 400_000),
            page.event(sent_at=now - 86_500_000),
            good,
            page.event()[:-4] + b"\0\0\0\0",  # a broken payload behind a good header: only the flow can tell
        ]
        answer = await page.send(*sent)
        assert outcomes(answer) == [
            ("drop", "bad_header"),
            ("drop", "bad_header"),
            ("drop", "bad_header"),
            ("drop", "session_mismatch"),
            ("drop", "unknown_key"),
            ("drop", "too_large"),
            ("drop", "too_large"),
            ("drop", "clock_skew"),
            ("drop", "too_old"),
            ("ok", "appended"),
            ("ok", "appended"),
        ]
        results = answer.json()["results"]
        assert results[0]["event_id"] is None and results[9]["event_id"] == event_id(good)
        assert [one.value.endswith(good) for one in t.kafka.records] == [True, False]
        assert sum(key.startswith("pending:") for key in t.redis.values) == 2


async def test_a_session_bound_to_a_device_takes_no_other(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client, device_id="ab" * 16)
        assert page.opened["device_id"] == "ab" * 16
        answer = await page.send(page.event(), page.event(device_id=b"\xab" * 16))
        assert outcomes(answer) == [("drop", "device_mismatch"), ("ok", "appended")]


async def test_events_sealed_before_a_key_rotation_still_pass(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        assert page.opened["key_id"] == 2
        assert outcomes(await page.send(page.event(key_id=1))) == [("ok", "appended")]


async def test_every_reason_has_a_status() -> None:
    assert set(STATUS_OF) == set(Reason)


async def test_without_kafka_events_are_spooled_and_sent_later_in_order(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        t.kafka.outcome = Delivered.NOT_NOW
        sent = [page.event() for _ in range(7)]
        for sealed in sent:
            assert outcomes(await page.send(sealed)) == [("ok", "spooled")]
        assert "ingest_spool_rows 7.0" in await metrics_when(t.client, "spool_rows 7.0")
        t.kafka.outcome = Delivered.YES
        late = page.event()
        assert outcomes(await page.send(late)) == [("ok", "spooled")]  # behind what waits, to keep the order
        await metrics_when(t.client, "ingest_spool_rows 0.0")
        assert [record.value[-len(late) :] for record in t.kafka.records] == [*sent, late]
        assert outcomes(await page.send(page.event())) == [("ok", "appended")]


async def metrics_when(client: httpx.AsyncClient, text: str) -> str:
    """Return the metrics as soon as they say this."""
    for _ in range(500):
        found = (await client.get("/metrics")).text
        if text in found:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"the metrics never said {text}")


async def test_a_partly_stored_request_says_so(tmp_path: Path) -> None:
    async with tier(tmp_path, spool_max_bytes=2_000) as t:
        page = await open_page(t.client)
        t.kafka.outcome = Delivered.NOT_NOW
        assert outcomes(await page.send(page.event(b"x" * 1_500))) == [("ok", "spooled")]
        answer = await page.send(page.event(b"x" * 1_500), b"no event")
        assert outcomes(answer) == [("retry", "spool_full"), ("drop", "bad_header")]
        assert int(answer.headers["retry-after"]) >= 1


async def test_a_record_that_kafka_refuses_for_good_is_dropped_at_once_or_parked(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        t.kafka.outcome = Delivered.NEVER
        assert outcomes(await page.send(page.event())) == [("drop", "too_large")]
        t.kafka.outcome = Delivered.NOT_NOW
        assert outcomes(await page.send(page.event())) == [("ok", "spooled")]
        t.kafka.outcome = Delivered.NEVER
        found = await metrics_when(t.client, "spool_parked 1.0")
        assert "ingest_spool_rows 0.0" in found


async def test_events_are_accepted_without_redis(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        t.redis.away = True
        assert outcomes(await page.send(page.event())) == [("ok", "appended")]
        ready = await t.client.get("/readyz")
        assert (ready.status_code, ready.json()["status"], ready.json()["redis"]) == (200, "degraded", "away")
        assert "clickgoose_ingest_unmarked_events_total 1.0" in (await t.client.get("/metrics")).text


async def test_readiness_says_which_part_is_away(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        t.kafka.outcome = Delivered.NOT_NOW
        ready = await t.client.get("/readyz")
        assert ready.status_code == 200
        assert ready.json() == {"status": "degraded", "kafka": "away", "spool": "ok", "redis": "ok"}
        assert (await t.client.get("/healthz")).json() == {"status": "ok"}


async def test_a_full_spool_of_decisions_is_no_ready_tier_and_takes_events_all_the_same(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        spool = t.app.parts.decider.delivery._spool
        spool._bytes = spool._max_bytes
        ready = await t.client.get("/readyz")
        assert (ready.status_code, ready.json()["status"], ready.json()["spool"]) == (200, "degraded", "full")


async def test_one_request_costs_one_round_trip_to_redis_whatever_its_events(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        before = t.redis.round_trips
        await page.send(*(page.event() for _ in range(50)))
        assert t.redis.round_trips - before == 1


@pytest.mark.parametrize("path", ["/healthz", "/nope", "/v1/sessions", "/openapi.json"])
async def test_every_answer_carries_the_security_headers(tmp_path: Path, path: str) -> None:
    async with tier(tmp_path) as t:
        headers = (await t.client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "server" not in headers


async def test_logs_hold_no_secret_and_no_address(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with tier(tmp_path) as t:
        page = await open_page(t.client, transaction="CANARY-order", linked_id="CANARY-customer")
        t.kafka.outcome = Delivered.NOT_NOW
        t.redis.away = True
        await page.send(page.event(b"CANARY-payload"), b"CANARY-garbage")
        await t.client.get("/v1/events/" + "ab" * 16 + "/score", headers=bearer("CANARY-key"))
        logged = " ".join(str(vars(record)) for record in caplog.records if record.name.startswith("ingest"))
        assert "spooled" in logged
        for secret in ("CANARY", page.opened["token"], page.opened["sign_key"], "127.0.0.1", page.opened["session_id"]):
            assert secret not in logged


async def test_a_second_process_on_one_spool_is_refused(tmp_path: Path) -> None:
    async with tier(tmp_path):
        with pytest.raises(Exception, match="Another ingest process uses the spool"):
            async with tier(tmp_path):
                pass


async def test_a_new_process_sends_what_an_earlier_one_left(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        t.kafka.outcome = Delivered.NOT_NOW
        sent = [page.event() for _ in range(3)]
        assert outcomes(await page.send(*sent)) == [("ok", "spooled")] * 3
    async with tier(tmp_path) as t:
        await metrics_when(t.client, "ingest_spool_rows 0.0")
        assert [record.value[-len(sent[0]) :] for record in t.kafka.records] == sent


async def test_the_header_of_the_kit_is_the_one_of_the_format(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page: Page = await open_page(t.client)
        assert Header._fields == ("key_id", "session_id", "device_id", "event_id", "sequence", "sent_at")
        assert running is not None and page.event()[:2] == b"CG"
