"""Decisions on real Kafka and Valkey: one answer for an event id, whatever is killed or away, and all is recorded."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition
from redis import Redis
from typer.testing import CliRunner

from flows.redis_trip import connect
from flows.sinks.redis_results import RedisResults
from infra.cli import app as cli
from ingest_api import redis_link
from ingest_api.app import IngestApp, create_app
from ingest_api.decider import Sources
from ingest_api.merchants import Merchants
from schemas.decision_record import DecisionRecord, decode_record
from scoring.policy import Policies, Policy
from scoring.rules.in_force import InForce
from scoring.rules.ruleset import Rulebook
from tests.decisions_kit import SEED, in_force, own, payment
from tests.ingest_kit import KEYS, MERCHANTS, bearer, code, config, now_ms, running
from tests.ingest_process import child, free_port
from tests.rules_kit import ruleset
from tests.scored_parcels import encoded_parcel
from tests.valkey_part import Valkey
from tests.waiting import PATIENCE, soon

pytestmark = pytest.mark.stack
TOPIC = "events.decisions"
SLOW = {"produce_timeout_ms": 30_000, "rules_answer_seconds": PATIENCE}  # a busy machine is no outage


class Decided:
    """Reads what is recorded from now on."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "decided", "enable.auto.commit": False})
        partitions = self._consumer.list_topics(TOPIC, timeout=PATIENCE).topics[TOPIC].partitions
        ends = [TopicPartition(TOPIC, number) for number in partitions]
        for one in ends:
            one.offset = self._consumer.get_watermark_offsets(one, timeout=PATIENCE)[1]
        self._consumer.assign(ends)
        self.seen: list[DecisionRecord] = []

    def read(self, wanted: set[str], seconds: float = PATIENCE) -> dict[str, list[DecisionRecord]]:
        """Return the records by event id, as soon as all wanted ones are there."""
        end = time.monotonic() + seconds
        while not wanted <= {one.event_id for one in self.seen} and time.monotonic() < end:
            self.seen += [decode_record(message.value() or b"") for message in self._consumer.consume(500, 0.1)]
        return {name: [one for one in self.seen if one.event_id == name] for name in wanted}

    def close(self) -> None:
        """Leave."""
        self._consumer.close()


@pytest.fixture
def decided(stack: Any) -> Iterator[Decided]:
    """Return a reader of what is recorded."""
    reader = Decided(stack.bootstrap)
    yield reader
    reader.close()


@contextlib.asynccontextmanager
async def deciding(
    directory: Path,
    stack: Any,
    rules: InForce,
    policies: Policies | None = None,
    redis_seconds: float = PATIENCE,
    **changes: Any,
) -> AsyncIterator[tuple[IngestApp, httpx.AsyncClient]]:
    """Serve a tier in this process, on the real parts; Redis is away where it takes longer than ``redis_seconds``."""
    given = policies or Policies()
    sources = Sources(rules=lambda: rules, policies=lambda: given, thresholds=lambda _: Policy(30, 60, 5))
    wanted = config(directory, **{"bootstrap": stack.bootstrap, "redis_url": stack.redis_url, **SLOW, **changes})
    app = create_app(wanted, redis=lambda: redis_link.connect(wanted.redis_url, redis_seconds), sources=sources)
    async with running(app) as client:
        yield app, client


async def ask(client: httpx.AsyncClient, merchant: str = "demo-shop", **changes: Any) -> httpx.Response:
    """Ask for a decision about an event of now, with changes."""
    body = payment(**{"occurred_at": now_ms(), **changes})
    return await client.post("/v1/decisions", json=body, headers=bearer(KEYS[merchant]))


@pytest.fixture
def names() -> Callable[[str], str]:
    """Give ids that no other run has."""
    begun = time.time_ns()
    return lambda name: f"{name}-{begun}"


async def test_the_examples_of_the_seed_over_http_with_history_in_valkey(
    tmp_path: Path, stack: Any, decided: Decided, names: Callable[[str], str]
) -> None:
    async with deciding(tmp_path, stack, in_force(SEED)) as (_, client):
        user, at = {"user": names("user")}, now_ms()
        large = await ask(client, event_id=names("large"), amount=501, entities={"user": names("other")})
        assert (large.json()["decision"], large.json()["reasons"][0]["code"]) == ("review", "large-payment")
        for number in range(6):
            login = {"event_type": "login", "occurred_at": at - (12 - number) * 3_600_000, "data": {}}
            await ask(client, event_id=names(f"login-{number}"), entities=user, **login)
        for number, amount in enumerate((400, 400, 201)):
            paid = await ask(
                client, event_id=names(f"paid-{number}"), entities=user, amount=amount, occurred_at=at - 3 + number
            )
            assert (paid.json()["decision"], paid.json()["degraded"]) == ("allow", [])
        last = await ask(client, event_id=names("last"), entities=user, amount=1, occurred_at=at)
        assert (last.json()["decision"], last.json()["alerts"]) == ("deny", ["fraud-team"])
        assert [one["saw"] for one in last.json()["trace"][0]["tree"]["all"]] == [1001.0, 6]
        theirs = await ask(client, "other-shop", event_id=names("last"), entities=user, amount=1, occurred_at=at)
        assert (theirs.json()["decision"], theirs.json()["replayed"]) == ("allow", False)
        records = await asyncio.to_thread(decided.read, {names("last"), names("large")})
        by_merchant = {one.merchant: one.decision for one in records[names("last")]}
        assert by_merchant == {"demo-shop": "deny", "other-shop": "allow"}


async def test_two_processes_give_one_answer_to_one_event_and_count_it_once(
    tmp_path: Path, stack: Any, decided: Decided, names: Callable[[str], str]
) -> None:
    """One of them has newer rules: whichever comes first, both say the same."""
    newer = SEED.replace("gt: 500", "gt: 5")
    async with (
        deciding(tmp_path / "a", stack, in_force(SEED)) as (_, one),
        deciding(tmp_path / "b", stack, in_force(newer)) as (_, two),
    ):
        at, said = now_ms(), set()
        for number in range(10):
            event = {"event_id": names(f"e{number}"), "amount": 50, "occurred_at": at, "entities": {"user": names("u")}}
            answers = await asyncio.gather(*(ask(client, **event) for client in (one, two, one, two)))
            found = [answer.json() for answer in answers]
            stood = [answer for answer in found if not answer["replayed"]]
            assert len(stood) == 1
            assert all(answer == stood[0] | {"replayed": answer["replayed"]} for answer in found)
            said.add(stood[0]["decision"])
            other = await ask(two, **{**event, "amount": 51})
            assert code(other) == (409, "event_id_taken")
        counted = await ask(one, event_id=names("sum"), entities={"user": names("u")}, occurred_at=at + 1, amount=600)
        rules = "rules:\n  - {id: sum, when: {sum: payments_by_user, eq: 1100}, actions: [deny]}"
        catalogues, _ = SEED.split("rules:")
        async with deciding(tmp_path / "c", stack, in_force(catalogues + rules)) as (_, three):
            summed = await ask(three, event_id=names("x"), entities={"user": names("u")}, occurred_at=at + 2)
        assert (counted.status_code, summed.json()["decision"]) == (200, "deny"), summed.text
        records = await asyncio.to_thread(decided.read, {names(f"e{number}") for number in range(10)})
        assert all(len({one.decision for one in some}) == 1 for some in records.values())


async def test_who_is_killed_at_any_step_leaves_an_event_that_can_be_sent_again(
    tmp_path: Path, stack: Any, decided: Decided, names: Callable[[str], str]
) -> None:
    """The request ends, as with kill -9, after its claim, after its answer stands, and before its record is taken."""
    async with (
        deciding(tmp_path / "a", stack, in_force(SEED)) as (app, one),
        deciding(tmp_path / "b", stack, in_force({"rules": []})) as (_, two),
    ):
        decider: Any = app.parts.decider
        event = {"amount": 501, "occurred_at": now_ms(), "entities": {"user": names("u")}}

        class Killed(BaseException):
            """Nothing catches it."""

        async def kill(*_: Any) -> Any:
            raise Killed

        async def killed_at(part: Any, method: str, name: str) -> None:
            kept = getattr(part, method)
            setattr(part, method, kill)
            with pytest.raises(Killed):
                await ask(one, event_id=names(name), **event)
            setattr(part, method, kept)

        await killed_at(decider._store, "settle", "claimed")
        assert code(await ask(two, event_id=names("claimed"), **{**event, "amount": 7})) == (409, "event_id_taken")
        anew = await ask(two, event_id=names("claimed"), **event)
        assert (anew.json()["replayed"], anew.json()["decision"]) == (False, "allow"), "nobody had been answered"
        await killed_at(decider.delivery, "deliver", "settled")
        again = await ask(two, event_id=names("settled"), **event)
        assert (again.json()["replayed"], again.json()["decision"]) == (True, "review"), "it stood"
        records = await asyncio.to_thread(decided.read, {names("claimed"), names("settled")})
        assert [(record.decision, record.data) for record in records[names("settled")]] == [("review", {"amount": 501})]
        assert [record.decision for record in records[names("claimed")]] == ["allow"]


async def test_while_valkey_is_away_the_policy_decides_and_afterwards_all_is_as_before(
    tmp_path: Path, stack: Any, decided: Decided, names: Callable[[str], str]
) -> None:
    by_merchant = Policies(degraded="review", degraded_of={"other-shop": "deny"})
    with Valkey(tmp_path / "valkey", appendonly="yes", appendfsync="always") as valkey:
        changes = {"redis_url": valkey.url, "rules_answer_seconds": 0.25, "redis_seconds": 0.5}
        async with deciding(tmp_path, stack, in_force(SEED), by_merchant, **changes) as (_, client):
            event = {"event_id": names("before"), "occurred_at": now_ms(), "amount": 501}
            before = await ask(client, **event)
            assert before.status_code == 200
            with valkey.still():
                began = time.monotonic()
                held = await ask(client, event_id=names("held"))
                assert (held.json()["decision"], held.json()["decided_by"]) == ("review", "degraded")
                assert time.monotonic() - began < 5
            valkey.kill()
            away = await ask(client, event_id=names("away"))
            assert (away.json()["decision"], away.json()["degraded"]) == ("review", ["history", "answers"])
            theirs = await ask(client, "other-shop", event_id=names("away"))
            assert (theirs.json()["decision"], theirs.json()["decided_by"]) == ("deny", "degraded")
            assert (await client.get("/readyz")).json()["redis"] == "away"
            records = await asyncio.to_thread(decided.read, {names("held"), names("away")})
            assert {one.degraded for some in records.values() for one in some} == {("history", "answers")}
            valkey.start()
            until = time.monotonic() + PATIENCE
            while (await ask(client, event_id=names(f"back-{time.time_ns()}"))).json()["degraded"]:
                assert time.monotonic() < until
                await asyncio.sleep(0.1)
            assert (await ask(client, **event)).json() == before.json() | {"replayed": True}


async def test_while_kafka_is_away_records_wait_on_disk_until_it_is_back(
    tmp_path: Path, stack: Any, decided: Decided, names: Callable[[str], str]
) -> None:
    nobody = {"bootstrap": f"127.0.0.1:{free_port()}", "produce_timeout_ms": 200}
    async with deciding(tmp_path, stack, in_force(SEED), **nobody) as (app, client):
        found = await ask(client, event_id=names("spooled"), amount=501)
        assert (found.status_code, found.json()["decision"]) == (200, "review")
        assert (await app.parts.decider.delivery.spool_state()).rows == 1
    async with deciding(tmp_path, stack, in_force(SEED)) as (app, client):
        records = await asyncio.to_thread(decided.read, {names("spooled")})
        assert [one.decision for one in records[names("spooled")]] == ["review"]
        await soon(lambda: app.parts.metrics.registry.get_sample_value("clickgoose_decisions_spool_rows") == 0)


async def test_a_session_that_the_flow_scored_is_known_to_rules_and_to_its_merchant_alone(
    tmp_path: Path, stack: Any, names: Callable[[str], str]
) -> None:
    item = encoded_parcel(3)
    results = RedisResults(connect(stack.redis_url), 60)
    results.write([item])
    newest = max(item.results, key=lambda one: (one.occurred_at, one.origin.offset))
    results.close()
    first = next(iter(newest.smart_signals))
    rules = {
        "rules": [
            {
                "id": "any",
                "when": {"signal": first, "part": "confidence", "exists": True},
                "actions": [{"tag": "seen"}],
            },
            {"id": "score", "when": {"score": "model", "gte": 0}, "actions": [{"score": 5}]},
        ]
    }
    async with deciding(tmp_path, stack, in_force(rules), merchants=_merchants(newest.merchant)) as (_, client):
        key = bearer("cg_theirs")
        asked = payment(event_id=names("s"), occurred_at=now_ms(), session_id=newest.session_id)
        found = (await client.post("/v1/decisions", json=asked, headers=key)).json()
        assert found["model_score"] == pytest.approx(newest.score)
        assert found["versions"]["model"] == newest.versions.model
        assert ("seen" in found["tags"]) == (newest.smart_signals[first].confidence is not None)
        theirs = await ask(client, event_id=names("s"), session_id=newest.session_id)
        assert (theirs.json()["model_score"], theirs.json()["rules"]) == (None, [])


def _merchants(name: str) -> Merchants:
    return Merchants({**MERCHANTS.digests, name: (sha256(b"cg_theirs").digest(),)})


async def test_a_merchant_cannot_reach_what_another_keeps(
    tmp_path: Path, stack: Any, names: Callable[[str], str]
) -> None:
    """Same ids of events, entities and catalogues, and a rule that tries to read the other's catalogue."""
    catalogue = {"kept": {"event_types": ["payment"], "entity": ".entities.user", "window": "7d"}}
    mine = own({"catalogues": catalogue, "rules": [
        {"id": "mine", "when": {"count": "kept", "gt": 0}, "actions": ["deny"]}]})  # fmt: skip
    theirs = own({"catalogues": catalogue, "rules": [
        {"id": "theirs", "when": {"count": "kept", "gt": 0}, "actions": ["review"]}]})  # fmt: skip
    book = Rulebook(ruleset({"rules": []}), {"demo-shop": mine, "other-shop": theirs})
    async with deciding(tmp_path, stack, InForce.of(book)) as (_, client):
        event = {"entities": {"user": names("u")}}
        for number, wanted in enumerate(("allow", "deny", "deny")):
            assert (await ask(client, event_id=names(f"e{number}"), **event)).json()["decision"] == wanted
        first = await ask(client, "other-shop", event_id=names("e0"), **event)
        assert (first.json()["replayed"], first.json()["decision"]) == (False, "allow")
        assert (await ask(client, "other-shop", event_id=names("e1"), **event)).json()["decision"] == "review"
        odd = await ask(client, "other-shop", event_id=f"x:{names('e0')}", **event)
        assert odd.status_code == 200
        with Redis.from_url(stack.redis_url) as redis:
            kept = list(redis.scan_iter(f"decision:*{names('e0')}"))
            assert len(kept) == 3 and all(0 < redis.ttl(key) <= 86_400 for key in kept)


async def test_kill_9_of_a_process_under_load_loses_no_answer_that_was_given(
    tmp_path: Path, stack: Any, decided: Decided, names: Callable[[str], str]
) -> None:
    wanted = {names(f"k{number}"): number for number in range(80)}
    given: dict[str, dict[str, Any]] = {}
    at = now_ms()

    async def send(client: httpx.AsyncClient, names_left: Iterator[str]) -> None:
        for name in names_left:
            with contextlib.suppress(httpx.TransportError):
                answer = await ask(client, event_id=name, amount=wanted[name], occurred_at=at)
                if answer.status_code == 200:
                    known = given.setdefault(name, answer.json())
                    assert answer.json() | {"replayed": False} == known | {"replayed": False}

    async def send_all(client: httpx.AsyncClient) -> None:
        left = iter(wanted)
        await asyncio.gather(*(send(client, left) for _ in range(8)))

    with child(tmp_path, stack.bootstrap, stack.redis_url) as process:
        async with httpx.AsyncClient(base_url=process.start(), timeout=PATIENCE) as client:
            sending = asyncio.create_task(send_all(client))
            await soon(lambda: len(given) > 10)
            process.end(signal.SIGKILL)
            await sending
        before = len(given)
        async with httpx.AsyncClient(base_url=process.start(), timeout=PATIENCE) as client:
            await send_all(client)
            assert process.end(signal.SIGTERM) == 0
    assert before < len(given) == len(wanted)
    records = await asyncio.to_thread(decided.read, set(wanted))
    assert {name for name, some in records.items() if some} == set(wanted)
    for name, some in records.items():
        assert {(one.decision, one.received_at) for one in some} >= {
            (given[name]["decision"], given[name]["decided_at"])
        }


async def test_a_process_follows_what_is_published_and_the_policies_within_a_second_or_two(
    tmp_path: Path, stack: Any, names: Callable[[str], str]
) -> None:
    """Rules go live, are changed and rolled back by the command, thresholds by their file, under requests."""
    policies, rules = tmp_path / "policies.yaml", tmp_path / "rules.yaml"
    policies.write_text("default: {review: 40, deny: 80}\n")
    session = {"last_score": "50", "standing": "allow", "last_decision": "deny", "last_model": "", "last_signals": "{}"}
    with (
        child(tmp_path, stack.bootstrap, stack.redis_url) as process,
        Redis.from_url(stack.redis_url) as redis,
    ):
        process.extra = {"CLICKGOOSE_FLOW__POLICIES_FILE": str(policies)}
        session_id = sha256(names("session").encode()).hexdigest()[:32]
        redis.hset(f"session:demo-shop:{session_id}", mapping=session)
        root = str(tmp_path / "home" / "rules")

        async def until(wanted: tuple[str, str], **event: Any) -> float:
            began = time.monotonic()
            for number in range(1_000):
                answer = await ask(client, event_id=names(f"{began}-{number}"), **event)
                assert answer.status_code == 200, answer.text
                found = answer.json()
                if (found["decision"], found["decided_by"]) == wanted:
                    return time.monotonic() - began
                assert time.monotonic() - began < 20, found
                await asyncio.sleep(0.02)
            raise AssertionError(wanted)

        def command(*arguments: str) -> None:
            done = CliRunner().invoke(cli, ["rules", *arguments, "--rules", root])
            assert done.exit_code == 0, done.output

        async with httpx.AsyncClient(base_url=process.start(), timeout=PATIENCE) as client:
            await until(("allow", "default"), amount=600)
            for threshold, amount in ((500, 600), (50, 60)):
                rules.write_text(SEED.replace("gt: 500", f"gt: {threshold}"))
                await asyncio.to_thread(command, "publish", str(rules), "--to", "live")
                await until(("review", "rules"), amount=amount)
            await asyncio.to_thread(command, "rollback")
            await until(("allow", "default"), amount=60)
            await until(("review", "model"), session_id=session_id)
            policies.write_text("default: {review: 20, deny: 45}\n")
            await until(("deny", "model"), session_id=session_id)
            policies.write_text("default: {review: 20, deny: 450}\n")
            await asyncio.sleep(0.6)
            await until(("deny", "model"), session_id=session_id)
            shown = (await client.get("/metrics")).text
            assert "clickgoose_policies_refused 1.0" in shown
            assert 'clickgoose_rules_loads_total{outcome="taken"}' in shown
            assert process.end(signal.SIGTERM) == 0
