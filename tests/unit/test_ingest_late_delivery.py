"""Late delivery: what a browser kept while the tier was away still arrives, and an expired token does nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.framing import pack_frames
from tests.ingest_kit import KEYS, Page, bearer, code, now_ms, open_page, tier

DAY, SKEW, TTL = 86_400, 300, 1_800
SCORE = "/v1/events/" + "ab" * 16 + "/score"


class Clock:
    """A clock that a test sets; Unix milliseconds."""

    def __init__(self) -> None:
        self.now = now_ms()

    def __call__(self) -> int:
        """Return the time."""
        return self.now


async def send_at(page: Page, clock: Clock, *sent_at_ms: int) -> list[str]:
    """Send events that were sealed at these times, the request signed now; return their reasons."""
    frames = pack_frames([page.event(sent_at=at) for at in sent_at_ms])
    headers = page.headers(frames, at=clock.now)
    answer = await page.client.post("/v1/events", content=frames, headers=headers)
    assert answer.status_code == 200, answer.text
    return [f"{one['status']} {one['reason']}" for one in answer.json()["results"]]


async def test_events_sealed_before_the_expiry_arrive_after_it(tmp_path: Path) -> None:
    clock = Clock()
    async with tier(tmp_path, clock=clock) as t:
        page = await open_page(t.client)
        opened, expires = clock.now, page.opened["expires_at"] * 1_000
        clock.now = expires + 3_600_000
        assert await send_at(page, clock, opened, expires, expires + SKEW * 1_000) == ["ok appended"] * 3
        answer = await page.send_beacon(page.beacon(page.event(sent_at=opened), at=clock.now))
        assert answer.json()["results"][0]["status"] == "ok"
        assert len(t.kafka.records) == 4
        received = int.from_bytes(t.kafka.records[0].value[4:12], "little")
        assert received == clock.now  # who reads it sees how late it came


async def test_events_sealed_after_the_expiry_are_dropped_one_by_one(tmp_path: Path) -> None:
    clock = Clock()
    async with tier(tmp_path, clock=clock) as t:
        page = await open_page(t.client)
        expires = page.opened["expires_at"] * 1_000
        clock.now = expires + 3_600_000
        late, future = expires + SKEW * 1_000 + 1, clock.now + SKEW * 1_000 + 1
        assert await send_at(page, clock, late, expires, clock.now, future) == [
            "drop session_expired",
            "ok appended",
            "drop session_expired",
            "drop clock_skew",
        ]
        assert 'reason="session_expired",status="drop"} 2.0' in (await t.client.get("/metrics")).text


async def test_a_fast_clock_is_forgiven_at_the_expiry_as_before_it(tmp_path: Path) -> None:
    clock = Clock()
    async with tier(tmp_path, clock=clock) as t:
        page = await open_page(t.client)
        clock.now = page.opened["expires_at"] * 1_000 - 1_000
        ahead = clock.now + SKEW * 1_000
        assert await send_at(page, clock, ahead, ahead + 1) == ["ok appended", "drop clock_skew"]


@pytest.mark.parametrize("remembered", [True, False])
async def test_a_token_ends_for_good_a_day_after_its_expiry(tmp_path: Path, remembered: bool) -> None:
    clock = Clock()
    async with tier(tmp_path / "a", clock=clock) as one, tier(tmp_path / "b", clock=clock) as two:
        opened = await open_page(one.client)
        page = opened if remembered else Page(two.client, opened.opened, opened.device_id)
        expires = page.opened["expires_at"] * 1_000
        clock.now = expires + DAY * 1_000 - 1
        assert await send_at(page, clock, expires) == ["ok appended"]
        clock.now += 1
        frames = pack_frames([page.event(sent_at=expires)])
        for _ in range(2):
            answer = await page.client.post("/v1/events", content=frames, headers=page.headers(frames, at=clock.now))
            assert code(answer) == (401, "token_expired")
        answer = await page.send_beacon(page.beacon(page.event(sent_at=expires), at=clock.now))
        assert code(answer) == (401, "token_expired")


async def test_events_older_than_a_day_are_too_old_whatever_the_token(tmp_path: Path) -> None:
    clock = Clock()
    async with tier(tmp_path, clock=clock) as t:
        page = await open_page(t.client)
        opened = clock.now
        clock.now = opened + DAY * 1_000 + 1
        assert await send_at(page, clock, opened, opened + 1) == ["drop too_old", "ok appended"]


async def test_the_signature_says_when_it_was_sent_and_not_when_it_was_sealed(tmp_path: Path) -> None:
    clock = Clock()
    async with tier(tmp_path, clock=clock) as t:
        page = await open_page(t.client)
        sealed_at = clock.now
        clock.now += 7_200_000
        frames = pack_frames([page.event(sent_at=sealed_at)])
        answer = await t.client.post("/v1/events", content=frames, headers=page.headers(frames, at=sealed_at))
        assert code(answer) == (401, "signature_stale")


async def test_the_day_is_a_setting(tmp_path: Path) -> None:
    clock = Clock()
    async with tier(tmp_path, clock=clock, max_age_seconds=600) as t:
        page = await open_page(t.client)
        expires = page.opened["expires_at"] * 1_000
        clock.now = expires + 599_000
        assert await send_at(page, clock, expires) == ["ok appended"]
        clock.now = expires + 600_000
        frames = pack_frames([page.event(sent_at=expires)])
        answer = await t.client.post("/v1/events", content=frames, headers=page.headers(frames, at=clock.now))
        assert code(answer) == (401, "token_expired")


async def test_a_stolen_expired_token_speaks_for_one_session_only(tmp_path: Path) -> None:
    clock = Clock()
    async with tier(tmp_path, clock=clock, session_events_per_minute=6) as t:
        page, other = await open_page(t.client, device_id="ab" * 16), await open_page(t.client, merchant="other-shop")
        expires = page.opened["expires_at"] * 1_000
        clock.now = expires + 3_600_000
        token = bearer(page.opened["token"])
        assert code(await t.client.get(SCORE, headers=token)) == (403, "wrong_credential")
        answer = await t.client.post("/v1/sessions", json={"transaction": "x"}, headers=token)
        assert code(answer) == (403, "wrong_credential")
        bound = {"device_id": b"\xab" * 16, "sent_at": expires}
        frames = pack_frames(
            [
                page.event(**bound),
                page.event(**{**bound, "session_id": bytes.fromhex(other.opened["session_id"])}),
                page.event(sent_at=expires),
            ]
        )
        unsigned = {name: value for name, value in page.headers(frames).items() if "signature" not in name.lower()}
        answer = await t.client.post("/v1/events", content=frames, headers=unsigned)
        assert code(answer) == (401, "signature_missing")
        headers = page.headers(frames, at=clock.now)
        answer = await t.client.post("/v1/events", content=frames, headers=headers)
        assert [one["reason"] for one in answer.json()["results"]] == [
            "appended",
            "session_mismatch",
            "device_mismatch",
        ]
        assert t.kafka.records[0].value[32:].startswith(b"demo-shop")
        await t.client.post("/v1/events", content=frames, headers=headers)
        assert code(await t.client.post("/v1/events", content=frames, headers=headers)) == (429, "rate_limited")


async def test_a_merchant_that_was_removed_delivers_nothing_late(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        expired = page.forged(mer="gone-shop", exp=now_ms() // 1_000 - 60)
        answer = await page.post(pack_frames([page.event()]), authorization=f"Bearer {expired}")
        assert code(answer) == (403, "merchant_forbidden")
        assert KEYS["demo-shop"] not in answer.text
