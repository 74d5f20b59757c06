"""What passes the checks of the clear header at a glance is what passes them field by field."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from ingest_api.checks import Checked, Checks, Reason
from ingest_api.tokens import Session
from schemas.envelope import Attested
from schemas.sealed import SEALED_MIN_BYTES, Header
from tests.ingest_kit import config, open_page, tier

NOW = 1_800_000_000_000
SESSION, DEVICE = b"s" * 16, b"d" * 16
ADDRESS = b"\0" * 16


class Thorough(Checks):
    """Looks at every field of every event."""

    @staticmethod
    def _usual_start(session: Session) -> bytes:
        return b"nothing begins so"


def sealed(size: int = 300, cut: int | None = None, start: bytes = b"CG\1\0", **changes: object) -> bytes:
    header = Header(2, SESSION, DEVICE, os.urandom(16), 0, NOW)._replace(**changes)
    return (start + header.pack()[4:] + b"\0" * size)[:cut]


SECOND = 1_000
EVENTS = {
    "usual": sealed(),
    "another key": sealed(key_id=1),
    "an unknown key": sealed(key_id=3),
    "another session": sealed(session_id=b"x" * 16),
    "another device": sealed(device_id=b"x" * 16),
    "too long by a byte": sealed(2_001 - 68),
    "as long as can be": sealed(2_000 - 68),
    "too short by a byte": sealed(cut=SEALED_MIN_BYTES - 1),
    "as short as can be": sealed(cut=SEALED_MIN_BYTES),
    "nothing": b"",
    "another magic": sealed(start=b"CX\1\0"),
    "another version": sealed(start=b"CG\2\0"),
    "a flag": sealed(start=b"CG\1\1"),
    **{
        f"{seconds} s from now": sealed(sent_at=NOW + seconds * SECOND)
        for seconds in (-3_601, -3_600, -1, 299, 300, 301, 10**12)
    },
    "a long one of nothing": b"\0" * 3_000,
}


@pytest.mark.parametrize("device", [None, DEVICE])
@pytest.mark.parametrize("lasts", [-400, -300, 0, 1_800])
def test_a_glance_judges_as_the_fields_do(tmp_path: Path, device: bytes | None, lasts: int) -> None:
    limits = config(tmp_path, max_event_bytes=2_000, max_skew_seconds=300, max_age_seconds=3_600)
    session = Session(SESSION, 2, Attested("demo-shop", "order-1"), device, NOW // SECOND + lasts, b"k" * 32)
    found: list[Checked] = [kind(limits)(session, list(EVENTS.values()), ADDRESS, NOW) for kind in (Checks, Thorough)]
    assert found[0] == found[1]
    passed = {name for name, reason in zip(EVENTS, found[0].reasons, strict=True) if reason is None}
    assert ("usual" in passed) is (lasts >= -300)
    assert {"another session", "an unknown key", "too long by a byte", "-3601 s from now"}.isdisjoint(passed)
    assert found[0].reasons[list(EVENTS).index("nothing")] is Reason.BAD_HEADER


@pytest.mark.parametrize("count", [1, 2, 20])
async def test_an_answer_is_compact_json_in_the_documented_order(tmp_path: Path, count: int) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        answer = await page.send(*(page.event() for _ in range(count)))
        assert answer.content == msgspec.json.encode(answer.json())
        assert [list(one) for one in answer.json()["results"]] == [["event_id", "status", "reason"]] * count
