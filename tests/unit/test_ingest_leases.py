"""Leases: most hits cost no round trip, no more pass than the limit, and who is refused does not ask again."""

from __future__ import annotations

import asyncio

import pytest

from ingest_api.errors import ApiError, Code
from ingest_api.leases import Leases


class Limit:
    """A shared limit; every question takes a moment."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken: list[tuple[str, int]] = []

    async def take(self, name: str, hits: int) -> None:
        """Count."""
        await asyncio.sleep(0)
        self.taken.append((name, hits))
        if sum(count for other, count in self.taken if other == name) > self.limit:
            raise ApiError(Code.RATE_LIMITED, retry_after=30.0)


async def passed(leases: Leases, name: str, hits: int) -> int:
    """Return how many of so many hits at once were let pass."""
    outcomes = await asyncio.gather(*(leases.hit(name) for _ in range(hits)), return_exceptions=True)
    assert all(one is None or isinstance(one, ApiError) for one in outcomes)
    return outcomes.count(None)


@pytest.mark.parametrize("limit", [1, 3, 99, 500, 5_000])
async def test_no_more_pass_than_the_limit_and_few_ask(limit: int) -> None:
    shared = Limit(limit)
    assert await passed(Leases(limit, shared.take), "a", limit + 100) == limit
    assert len(shared.taken) <= min(limit, 100) + 1


async def test_processes_share_the_limit_and_names_do_not() -> None:
    shared = Limit(500)
    one, two = Leases(500, shared.take), Leases(500, shared.take)
    both = await asyncio.gather(passed(one, "a", 400), passed(two, "a", 400))
    assert sum(both) == 500
    assert await passed(one, "b", 400) == 400


async def test_who_is_refused_does_not_ask_again() -> None:
    shared = Limit(1)
    leases = Leases(1, shared.take)
    assert await passed(leases, "a", 50) == 1
    asked = len(shared.taken)
    assert await passed(leases, "a", 50) == 0
    assert len(shared.taken) == asked
    with pytest.raises(ApiError) as refused:
        await leases.hit("a")
    assert 29 < (refused.value.retry_after or 0) <= 30
