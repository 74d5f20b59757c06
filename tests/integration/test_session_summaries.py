"""A session's summary in a real Valkey is what a model of it says, in whatever blocks and however often events come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from redis import Redis

from flows.redis_trip import connect
from flows.sinks import redis_results
from flows.sinks.encoded import EncodedParcel
from flows.sinks.redis_results import RedisResults
from flows.sinks.written import seen_signals
from schemas.result import Result, encode_result, session_key
from tests.scored_parcels import encoded_parcel
from tests.valkey_part import Valkey
from tests.waiting import PATIENCE

EVENTS = 24


@pytest.fixture
def client(server: Valkey) -> Iterator[Redis]:
    with connect(server.url, PATIENCE) as connected:
        connected.flushall()
        yield connected


def results_of(seed: int) -> list[Result]:
    """Return events of three sessions, of few times and scores, so that many are equal."""
    random = np.random.default_rng(seed)
    drawn = random.integers(0, (3, 4, 5), (EVENTS, 3)).tolist()
    made = encoded_parcel(EVENTS).results
    return [
        replace(one, session_id=f"{session:032x}", occurred_at=1_000 + time, score=12.5 * score)
        for one, (session, time, score) in zip(made, drawn, strict=True)
    ]


def parcel(results: Sequence[Result]) -> EncodedParcel:
    return EncodedParcel(encoded_parcel(0).parcel, tuple(results), tuple(map(encode_result, results)))


def place(one: Result) -> tuple[int, int]:
    return one.occurred_at, one.origin.offset


def summary(results: Sequence[Result]) -> dict[str, str]:
    """Return what a session's hash holds after these events, each counted once."""
    last = max(results, key=place)
    said = {
        "events": len(results), "max_score": max(one.score for one in results), "last_occurred_at": last.occurred_at,
        "last_offset": last.origin.offset, "last_event": last.event_id, "last_score": last.score,
        "last_decision": last.decision, "last_model": last.versions.model, "standing": last.standing,
        "last_signals": seen_signals(last).decode(), **{f"e:{one.event_id}": 1 for one in results},
    }  # fmt: skip
    return {name: str(value) for name, value in said.items()}


def held(client: Redis, results: Sequence[Result]) -> list[dict[str, str]]:
    keys = sorted({session_key(one.merchant, one.session_id) for one in results})
    found: list[Any] = [client.hgetall(key) for key in keys]
    return [{name.decode(): value.decode() for name, value in one.items()} for one in found]


def wanted(results: Sequence[Result]) -> list[dict[str, str]]:
    sessions = sorted({one.session_id for one in results})
    return [summary([one for one in results if one.session_id == session]) for session in sessions]


@pytest.mark.parametrize("seed", range(12))
def test_a_summary_is_of_each_event_once_in_whatever_blocks_they_come(client: Redis, seed: int) -> None:
    results, random = results_of(seed), np.random.default_rng(seed)
    sink = RedisResults(client, 600)
    come = random.permutation(np.concatenate((np.arange(EVENTS), random.integers(0, EVENTS, EVENTS))))  # some again
    seen: set[int] = set()
    for block in np.array_split(come, int(random.integers(1, 12))):
        sink.write([parcel([results[at] for at in block])])
        seen |= set(block.tolist())
        arrived = [results[at] for at in sorted(seen)]
        assert held(client, arrived) == wanted(arrived)
    assert all(client.ttl(key) > 0 for key in client.keys("*"))


def test_an_event_that_comes_again_with_another_score_changes_nothing(client: Redis) -> None:
    results = results_of(1)
    sink = RedisResults(client, 600)
    sink.write([parcel(results)])
    before = held(client, results)
    again = [replace(one, score=99.0, occurred_at=one.occurred_at + 5_000) for one in results]
    sink.write([parcel(again[:7]), parcel(results)])
    sink.write([parcel([again[3]])])
    assert held(client, results) == before


def test_a_block_of_more_events_of_a_session_than_a_script_takes_is_counted(
    client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_results, "_EVENTS_A_CALL", 5)
    results = [replace(one, session_id="f" * 32) for one in results_of(2)]
    RedisResults(client, 600).write([parcel(results)])
    assert held(client, results) == wanted(results)


def test_a_store_that_forgot_its_scripts_is_taught_them_again(client: Redis) -> None:
    results = results_of(3)
    sink = RedisResults(client, 600)
    for block in (results[:9], results):
        client.script_flush()
        sink.write([parcel(block)])
    assert held(client, results) == wanted(results)
