"""Reading scores: ready, pending, unknown, waited for, and never somebody else's."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from flows.sinks.result_packing import ResultPacker
from ingest_api import results
from ingest_api.models import RejectedResponse
from ingest_api.results import Results
from schemas.dead_letter import Reason
from schemas.result import decode_rejected, encode_rejected, pending_key, result_key
from tests.ingest_kit import KEYS, bearer, event_id, open_page, tier
from tests.waiting import SECONDS, soon

ID = "ab" * 16
PATH = f"/v1/events/{ID}/score"
MINE, OTHER = bearer(KEYS["demo-shop"]), bearer(KEYS["other-shop"])
RESULT = b'{"event_id":"x","score":12.5}'


async def test_a_stored_result_comes_back_as_it_is(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        t.redis.values[result_key("demo-shop", ID)] = RESULT
        answer = await t.client.get(PATH, headers=MINE)
        assert (answer.status_code, answer.content) == (200, RESULT)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        etag = answer.headers["etag"]
        same = await t.client.get(PATH, headers={**MINE, "if-none-match": etag})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)


async def test_a_packed_result_is_answered_as_the_json_that_it_was(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        key, (packed,) = result_key("demo-shop", ID), ResultPacker().packed([RESULT])
        poll = asyncio.create_task(t.client.get(PATH + "?wait=30", headers=MINE))
        await soon(lambda: t.app.parts.results._waiting)
        t.redis.values[key] = packed
        answers = [await asyncio.wait_for(poll, SECONDS), await t.client.get(PATH, headers=MINE)]
        t.redis.values[key] = RESULT
        answers.append(await t.client.get(PATH, headers=MINE))
        assert packed != RESULT
        assert {(answer.status_code, answer.content) for answer in answers} == {(200, RESULT)}
        assert len({answer.headers["etag"] for answer in answers}) == 1


async def test_a_result_that_a_newer_build_packed_is_not_shown_and_not_called_unknown(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        t.redis.values[result_key("demo-shop", ID)] = b"\xff" + ResultPacker().packed([RESULT])[0][1:]
        answer = await t.client.get(PATH, headers=MINE)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "results_unavailable")


async def test_an_accepted_event_is_pending(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        sealed = page.event()
        await page.send(sealed)
        answer = await t.client.get(f"/v1/events/{event_id(sealed)}/score", headers=MINE)
        assert (answer.status_code, answer.json()) == (202, {"event_id": event_id(sealed), "status": "pending"})
        assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("reason", [Reason.NOT_AUTHENTIC, Reason.CARD_NUMBER, Reason.TOO_LATE, Reason.BUG])
async def test_an_event_that_was_dead_lettered_is_rejected_and_not_pending(tmp_path: Path, reason: Reason) -> None:
    async with tier(tmp_path) as t:
        t.redis.values[pending_key("demo-shop", ID)] = b"1"
        poll = asyncio.create_task(t.client.get(PATH + "?wait=30", headers=MINE))
        await soon(lambda: t.app.parts.results._waiting)
        t.redis.values[result_key("demo-shop", ID)] = encode_rejected(ID, reason)
        for answer in (await asyncio.wait_for(poll, SECONDS), await t.client.get(PATH, headers=MINE)):
            assert answer.status_code == 200
            assert answer.json() == {"event_id": ID, "status": "rejected", "reason": reason.value}
            assert RejectedResponse.model_validate_json(answer.content)
        assert (await t.client.get(PATH, headers=OTHER)).status_code == 404


async def test_a_result_replaces_a_rejection_when_the_event_is_redriven(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        t.redis.values[result_key("demo-shop", ID)] = encode_rejected(ID, Reason.UNKNOWN_KEY)
        rejected = await t.client.get(PATH, headers=MINE)
        t.redis.values[result_key("demo-shop", ID)] = RESULT
        known = {**MINE, "if-none-match": rejected.headers["etag"]}
        scored = await t.client.get(PATH, headers=known)
        assert (scored.status_code, scored.content) == (200, RESULT)
        assert decode_rejected(scored.content) is None and "status" not in scored.json()


async def test_unknown_and_somebody_elses_are_answered_alike(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        t.redis.values[result_key("demo-shop", ID)] = RESULT
        t.redis.values[pending_key("demo-shop", "cd" * 16)] = b"1"
        theirs = await t.client.get(PATH, headers=OTHER)
        pending = await t.client.get(f"/v1/events/{'cd' * 16}/score", headers=OTHER)
        unknown = await t.client.get(f"/v1/events/{'ef' * 16}/score", headers=OTHER)
        assert theirs.status_code == pending.status_code == unknown.status_code == 404
        assert theirs.content == pending.content == unknown.content
        assert dict(theirs.headers) == dict(pending.headers) == dict(unknown.headers)


async def test_a_tenant_cannot_reach_another_through_its_names(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        t.redis.values[result_key("demo-shop", ID)] = RESULT
        for path in (
            f"/v1/events/demo-shop:{ID}/score",
            f"/v1/events/..%2F{ID}/score",
            f"/v1/events/{ID.upper()}/score",
            f"/v1/events/{ID}%00/score",
            f"/v1/events/{ID}%0a/score",
        ):
            assert (await t.client.get(path, headers=OTHER)).status_code == 404
        other = await open_page(t.client, merchant="other-shop", transaction="demo-shop:x", linked_id="demo-shop")
        sealed = other.event(event_id=bytes.fromhex(ID))
        assert (await other.send(sealed)).status_code == 200
        assert (await t.client.get(PATH, headers=MINE)).content == RESULT
        assert (await t.client.get(PATH, headers=OTHER)).status_code == 202


async def test_a_long_poll_wakes_soon_after_the_result_is_there(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        polls = [asyncio.create_task(t.client.get(PATH + "?wait=30", headers=MINE)) for _ in range(5)]
        await soon(lambda: t.app.parts.results._by_merchant["demo-shop"] == len(polls))
        before, began = t.redis.round_trips, time.perf_counter()
        await asyncio.sleep(0.1)
        pauses = (time.perf_counter() - began) / results._SHORTEST_PAUSE
        assert t.redis.round_trips - before <= pauses + 1  # one watcher, not one loop per poll
        t.redis.values[result_key("demo-shop", ID)] = RESULT
        written = t.redis.round_trips
        answers = await asyncio.gather(*polls)
        assert t.redis.round_trips - written <= 2  # the next time that the watcher asks, all have it
        assert [answer.content for answer in answers] == [RESULT] * 5
        assert not t.app.parts.results._waiting and not t.app.parts.results._by_merchant


async def test_a_long_poll_ends_in_time_with_what_is_known(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        started = time.perf_counter()
        assert (await t.client.get(PATH + "?wait=0.1", headers=MINE)).status_code == 404
        t.redis.values[pending_key("demo-shop", ID)] = b"1"
        assert (await t.client.get(PATH + "?wait=0.1", headers=MINE)).status_code == 202
        assert 0.2 <= time.perf_counter() - started < SECONDS
        watcher = t.app.parts.results._watcher
        assert watcher is not None
        await soon(watcher.done)  # nobody waits, nobody asks


async def test_a_stop_answers_long_polls_at_once(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        t.redis.values[pending_key("demo-shop", ID)] = b"1"
        poll = asyncio.create_task(t.client.get(PATH + "?wait=30", headers=MINE))
        await soon(lambda: t.app.parts.results._waiting)
        t.app.parts.drain()
        assert (await asyncio.wait_for(poll, SECONDS)).status_code == 202


async def test_one_merchant_cannot_take_all_places_to_wait(tmp_path: Path) -> None:
    async with tier(tmp_path, max_waiting_polls=4) as t:
        polls = [asyncio.create_task(t.client.get(PATH + "?wait=30", headers=MINE)) for _ in range(2)]
        found: Results = t.app.parts.results
        await soon(lambda: found._by_merchant["demo-shop"] == len(polls))
        refused = t.client.get(PATH + "?wait=30", headers=MINE)
        assert (await asyncio.wait_for(refused, SECONDS)).status_code == 404
        assert found._may_wait("other-shop")
        found.release()
        await asyncio.gather(*polls)
