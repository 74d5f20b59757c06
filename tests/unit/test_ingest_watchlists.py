"""``/v1/watchlists`` and ``/v1/snoozes``: what is taken, what is refused, and that nobody reaches another's lists."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from ingest_api.decider import Sources
from ingest_api.watchlist_items import MAX_ENTRIES, MAX_LOOKUPS, Refusal
from ingest_api.watchlists import MAX_BODY
from scoring.rules.answers import Entity, Entry, Standing
from scoring.rules.watchlist_desk import MOST_LISTS, ListDesk
from scoring.rules.watchlists import FOREVER, REMOVED, ListName
from tests.ingest_kit import KEYS, Tier, bearer, code, open_page, tier
from tests.memory_lists import KEYS as DIGESTS
from tests.memory_lists import MemoryLists

NOW = 1_790_000_000_000
DAY = 86_400_000
SAID = {"author": "ann", "reason": "chargebacks"}
CARD = {"kind": "card", "value": "tok_1"}


class World(NamedTuple):
    """A tier with its lists."""

    tier: Tier
    lists: MemoryLists
    desk: ListDesk

    def standing(self, kind: str = "card", value: str = "tok_1", merchant: str = "demo-shop") -> Standing:
        """Return what this process says of an entity."""
        return self.desk.table().of(merchant).standing(Entity(kind, value))

    async def call(self, method: str, path: str, merchant: str = "demo-shop", **body: Any) -> httpx.Response:
        """Send a request as a merchant's server does."""
        sent = None if method == "GET" else body
        return await self.tier.client.request(method, path, headers=bearer(KEYS[merchant]), json=sent)

    async def add(self, *entries: Any, name: str = "bad", mode: str | None = "deny", **more: Any) -> httpx.Response:
        """Add entries to a list."""
        said = SAID | ({"mode": mode} if mode else {}) | {"entries": list(entries)}
        merchant = more.pop("merchant", "demo-shop")
        return await self.call(more.pop("method", "PUT"), f"/v1/watchlists/{name}/entries", merchant, **(said | more))


@contextlib.asynccontextmanager
async def world(directory: Path, **changes: Any) -> AsyncIterator[World]:
    """Serve a tier whose lists are in memory."""
    lists = MemoryLists()
    desk = lists.desk()
    async with tier(directory, clock=lambda: NOW, sources=Sources(desk=desk), **changes) as t:
        yield World(t, lists, desk)


def outcomes(answer: httpx.Response) -> list[str]:
    """Return what became of every entry, once the shape is checked."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert [one["index"] for one in body["results"]] == list(range(len(body["results"])))
    refused = sum(one["status"] == "refused" for one in body["results"])
    assert (body["changed"], body["refused"]) == (len(body["results"]) - refused, refused)
    assert all((one["status"] == "refused") == ("reason" in one) for one in body["results"])
    return [one.get("reason", one["status"]) for one in body["results"]]


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_entries_are_in_effect_when_they_are_answered(tmp_path: Path, method: str) -> None:
    async with world(tmp_path) as w:
        assert outcomes(await w.add(CARD, {**CARD, "value": "tok_2", "until": NOW + DAY}, method=method)) == [
            "added",
            "added",
        ]
        assert w.standing() == Standing(deny=Entry("bad"))
        assert w.standing(value="tok_2").deny == Entry("bad", NOW + DAY)
        assert w.standing(merchant="other-shop") == Standing()
        assert outcomes(await w.add({**CARD, "until": "2026-10-01T00:00:00+02:00"}, mode=None)) == ["renewed"]
        assert w.standing().deny == Entry("bad", 1_790_805_600_000)
        removed = await w.call("DELETE", "/v1/watchlists/bad/entries", **SAID, entries=[CARD, {**CARD, "value": "x"}])
        assert outcomes(removed) == ["removed", "absent"]
        assert w.standing() == Standing()
        changes = [(one.wanted.author, one.wanted.reason, one.before, one.source) for one in w.lists.truth.changes[2:4]]
        assert changes == [("ann", "chargebacks", FOREVER, "api"), ("ann", "chargebacks", 1_790_805_600_000, "api")]


async def test_values_are_kept_as_digests_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with world(tmp_path) as w:
        await w.add({"kind": "email", "value": "jane.doe@example.com"}, {"kind": "card", "value": 4111111111111111})
        (one, two) = w.lists.truth.changes
        assert one.wanted.digest == DIGESTS.digest("demo-shop", "email", "Jane.Doe@example.com")
        assert two.wanted.digest == DIGESTS.digest("demo-shop", "card", "4111 1111 1111 1111")
        held = repr((w.lists.truth.changes, w.lists.port.__dict__, [record.__dict__ for record in caplog.records]))
        assert "jane" not in held.lower() and "4111111111111111" not in held


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": ""}, "bad_kind"),
        ({"kind": "ca rd"}, "bad_kind"),
        ({"kind": "x" * 65}, "bad_kind"),
        ({"kind": 7}, "bad_form"),
        ({"value": ""}, "bad_value"),
        ({"value": "  "}, "bad_value"),
        ({"value": " - "}, "bad_value"),
        ({"value": "x" * 257}, "bad_value"),
        ({"value": 1e300}, "bad_value"),
        ({"value": None}, "bad_form"),
        ({"value": True}, "bad_form"),
        ({"value": ["tok_1"]}, "bad_form"),
        ({"merchant": "other-shop"}, "bad_form"),
        ({"mode": "allow"}, "bad_form"),
        ({"rule": "r1"}, "bad_rule"),
        ({"until": NOW}, "ended"),
        ({"until": -1}, "ended"),
        ({"until": "yesterday"}, "bad_time"),
        ({"until": "2027-01-01T00:00:00"}, "bad_time"),
        ({"until": 10**14}, "too_far"),
        ({"until": 1.5}, "bad_form"),
        ({"reason": ""}, "bad_reason"),
        ({"reason": "a\nb"}, "bad_reason"),
        ({"reason": "x" * 501}, "bad_reason"),
        ({"reason": "card 4111 1111 1111 1111"}, "personal_data"),
    ],
)
async def test_a_wrong_entry_is_refused_by_itself(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    async with world(tmp_path) as w:
        body = json.dumps({**SAID, "mode": "deny", "entries": [CARD, {**CARD, **changes}, {**CARD, "value": 7}]})
        headers = {**bearer(KEYS["demo-shop"]), "content-type": "application/json"}
        answer = await w.tier.client.put("/v1/watchlists/bad/entries", content=body, headers=headers)
        assert outcomes(answer) == ["added", reason, "added"]
        assert len(w.lists.truth.changes) == 2


async def test_a_named_list_has_no_kinds(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        assert outcomes(await w.add({"value": "b1"}, CARD, name="banks", mode="named")) == ["added", "bad_kind"]


async def test_a_new_list_needs_a_mode_and_a_name_keeps_it(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        assert code(await w.add(CARD, mode=None)) == (422, "invalid_request")
        assert code(await w.add(CARD, mode="snooze")) == (422, "invalid_request")
        assert outcomes(await w.add(CARD)) == ["added"]
        assert code(await w.add(CARD, mode="allow")) == (409, "list_mode")
        assert outcomes(await w.add(CARD, mode="allow", merchant="other-shop")) == ["added"]  # names are each one's own
        assert code(await w.call("DELETE", "/v1/watchlists/none/entries", **SAID, entries=[CARD])) == (404, "not_found")


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("bad/entries", b"", (422, "invalid_request")),
        ("bad/entries", b"[]", (422, "invalid_request")),
        ("bad/entries", {**SAID, "mode": "deny", "entries": []}, (422, "invalid_request")),
        ("bad/entries", {**SAID, "mode": "deny", "entries": [CARD], "merchant": "x"}, (422, "invalid_request")),
        ("bad/entries", {"mode": "deny", "reason": "x", "entries": [CARD]}, (422, "invalid_request")),
        ("bad/entries", {"mode": "deny", "author": "ann", "entries": [CARD]}, (422, "invalid_request")),
        ("bad/entries", {**SAID, "author": " ", "mode": "deny", "entries": [CARD]}, (422, "invalid_request")),
        ("bad/entries", {**SAID, "reason": "jane.doe@example.com", "entries": [CARD]}, (422, "invalid_request")),
        ("bad/entries", {**SAID, "mode": "deny", "snoozes": [CARD]}, (422, "invalid_request")),
        ("Bad/entries", {**SAID, "mode": "deny", "entries": [CARD]}, (422, "invalid_request")),
        ("-a/entries", {**SAID, "mode": "deny", "entries": [CARD]}, (422, "invalid_request")),
        (f"{'x' * 65}/entries", {**SAID, "mode": "deny", "entries": [CARD]}, (422, "invalid_request")),
        ("bad/entries", {**SAID, "mode": "deny", "entries": [1] * (MAX_ENTRIES + 1)}, (413, "too_many_entries")),
        ("bad/lookup", {"entries": [CARD] * (MAX_LOOKUPS + 1)}, (413, "too_many_entries")),
        ("bad/entries", b" " * (MAX_BODY + 1), (413, "body_too_large")),
    ],
)
async def test_a_request_of_another_form_is_refused_as_a_whole(
    tmp_path: Path, path: str, body: Any, expected: tuple[int, str]
) -> None:
    async with world(tmp_path) as w:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {**bearer(KEYS["demo-shop"]), "content-type": "application/json"}
        answer = await w.tier.client.post(f"/v1/watchlists/{path}", content=content, headers=headers)
        assert code(answer) == expected
        assert not w.lists.truth.changes


async def test_a_lookup_tells_until_when_and_who_changed_it_last_and_why(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.add(CARD, {**CARD, "value": "tok_2", "until": NOW + DAY, "reason": "sold"})
        await w.call("DELETE", "/v1/watchlists/bad/entries", **SAID, entries=[CARD])
        asked = [CARD, {**CARD, "value": " tok_2"}, {**CARD, "value": "tok_3"}]
        answer = await w.call("POST", "/v1/watchlists/bad/lookup", entries=asked)
        since = w.lists.now_us // 1_000
        assert answer.json() == {
            "name": "bad",
            "mode": "deny",
            "results": [
                {"index": 0, "listed": False, "since": since, "author": "ann", "reason": "chargebacks"},
                {"index": 1, "listed": True, "until": NOW + DAY, "since": since, "author": "ann", "reason": "sold"},
                {"index": 2, "listed": False},
            ],
        }
        assert code(await w.call("POST", "/v1/watchlists/none/lookup", entries=asked)) == (404, "not_found")
        wrong = await w.call("POST", "/v1/watchlists/bad/lookup", entries=[{"value": "no kind"}])
        assert code(wrong) == (422, "invalid_request")


async def test_snoozes_have_an_end_and_silence_one_rule_for_one_entity(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        snooze = {**CARD, "rule": "many-cards", "until": NOW + DAY}
        sent = [
            snooze,
            {**CARD, "rule": "many-cards"},
            {**snooze, "until": NOW + 366 * DAY},
            {**snooze, "rule": "Many Cards"},
            {**CARD, "until": NOW + DAY},
        ]
        answer = await w.call("POST", "/v1/snoozes", **SAID, snoozes=sent)
        assert outcomes(answer) == ["added", "bad_time", "too_far", "bad_rule", "bad_rule"]
        assert w.standing() == Standing(snoozed={"many-cards": NOW + DAY})
        ended = [{**CARD, "rule": "many-cards"}, {**CARD, "rule": "another"}]
        assert outcomes(await w.call("DELETE", "/v1/snoozes", **SAID, snoozes=ended)) == ["removed", "absent"]
        assert w.standing() == Standing()
        assert {one.wanted.list.name for one in w.lists.truth.changes} == {"many-cards"}  # no name is made up by asking
        assert code(await w.call("POST", "/v1/snoozes", **SAID, entries=[CARD])) == (422, "invalid_request")
        assert code(await w.call("POST", "/v1/snoozes", **SAID, mode="deny", snoozes=sent)) == (422, "invalid_request")


async def test_a_merchant_is_shown_its_own_lists(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.add(CARD, {**CARD, "value": "tok_2"})
        await w.add(CARD, name="theirs", merchant="other-shop")
        await w.call("POST", "/v1/snoozes", **SAID, snoozes=[{**CARD, "rule": "r1", "until": NOW + 1}])
        answer = await w.call("GET", "/v1/watchlists")
        assert answer.json() == {
            "lists": [{"name": "bad", "mode": "deny", "entries": 2}],
            "snoozes": [{"rule": "r1", "entries": 1}],
        }


async def test_nobody_touches_or_sees_the_lists_of_another_merchant_or_of_all(tmp_path: Path) -> None:
    """The merchant is the key's: not a field's, a header's, a parameter's, a name's or a digest's."""
    async with world(tmp_path) as w:
        await w.add(CARD, name="mine", merchant="demo-shop")
        everywhere = ListName("", "deny", "everywhere")
        digest = DIGESTS.digest("", "card", "tok_1")
        w.desk.change([w.lists.truth.changes[0].wanted._replace(list=everywhere, digest=digest)], "command")
        before = len(w.lists.truth.changes)
        headers = {**bearer(KEYS["other-shop"]), "x-merchant": "demo-shop", "x-clickgoose-merchant": "demo-shop"}
        theirs = DIGESTS.digest("demo-shop", "card", "tok_1")
        values = ["tok_1", theirs.hex(), theirs.decode("latin-1"), "demo-shop:tok_1", "9:4:demo-shopcardtok_1"]
        entries = [{"kind": "card", "value": value} for value in values]
        for name in ("mine", "everywhere"):
            for path in (f"/v1/watchlists/{name}/lookup", f"/v1/watchlists/{name}/entries?merchant=demo-shop"):
                method = "DELETE" if "entries" in path else "POST"
                body = {"entries": entries} | (SAID if method == "DELETE" else {})
                answer = await w.tier.client.request(method, path, json=body, headers=headers)
                assert code(answer) == (404, "not_found")
        for name in ("demo-shop/mine", "..%2Fdemo-shop%2Fmine", "%00mine", "mine%0A", '","deny","mine'):
            answer = await w.add(*entries, name=name, merchant="other-shop")
            assert answer.status_code in (404, 405, 422), name
        assert len(w.lists.truth.changes) == before
        assert set(outcomes(await w.add(*entries, name="mine", merchant="other-shop"))) == {"added"}
        assert {one.wanted.list for one in w.lists.truth.changes[before:]} == {ListName("other-shop", "deny", "mine")}
        removed = await w.call("DELETE", "/v1/watchlists/mine/entries", "other-shop", **SAID, entries=entries)
        assert set(outcomes(removed)) == {"removed"}
        shown = (await w.call("GET", "/v1/watchlists", "other-shop")).text
        assert "everywhere" not in shown and '"entries":1' not in shown
        assert w.standing().deny and w.standing(merchant="other-shop").deny == Entry("everywhere")
        forged = [{**CARD, "rule": "r1", "until": NOW + DAY, "merchant": ""}]
        answer = await w.call("POST", "/v1/snoozes", "other-shop", **SAID, snoozes=forged)
        assert outcomes(answer) == ["bad_form"]


async def test_lists_need_an_api_key_and_no_token_will_do(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        page = await open_page(w.tier.client)
        body = {**SAID, "mode": "deny", "entries": [CARD]}
        for method, path in (("PUT", "/v1/watchlists/bad/entries"), ("POST", "/v1/snoozes"), ("GET", "/v1/watchlists")):
            send = w.tier.client.request
            sent = None if method == "GET" else body
            assert code(await send(method, path, json=sent)) == (401, "api_key_missing")
            token = bearer(page.opened["token"])
            assert code(await send(method, path, headers=token, json=sent)) == (403, "wrong_credential")


@pytest.mark.parametrize("away", ["port", "truth"])
async def test_where_a_store_is_away_nothing_is_called_done(tmp_path: Path, away: str) -> None:
    async with world(tmp_path) as w:
        await w.add(CARD)
        getattr(w.lists, away).away = True
        answer = await w.add({**CARD, "value": "tok_2"})
        assert code(answer) == (503, "lists_unavailable") and int(answer.headers["retry-after"]) >= 1
        assert w.standing().deny and not w.standing(value="tok_2").deny
        getattr(w.lists, away).away = False
        assert outcomes(await w.add({**CARD, "value": "tok_2"})) == ["added"]


async def test_where_nobody_can_change_lists_a_code_says_so(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        answer = await t.client.get("/v1/watchlists", headers=bearer(KEYS["demo-shop"]))
        assert code(answer) == (503, "clickhouse_unset")


async def test_a_stopping_server_changes_no_lists(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.tier.app.parts.drain()
        assert code(await w.add(CARD)) == (503, "shutting_down")


async def test_lists_have_a_rate_of_their_own_that_counts_entries(tmp_path: Path) -> None:
    async with world(tmp_path, merchant_list_entries_per_minute=5) as w:
        assert outcomes(await w.add(*[CARD] * 5)) == ["added", *["renewed"] * 4]
        answer = await w.add(CARD)
        assert code(answer) == (429, "rate_limited") and "retry-after" in answer.headers
        assert outcomes(await w.add(CARD, merchant="other-shop")) == ["added"]


async def test_lists_and_entries_of_a_merchant_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(tmp_path) as w:
        monkeypatch.setattr("scoring.rules.watchlist_desk.MOST_ENTRIES", 3)
        assert outcomes(await w.add(CARD, {**CARD, "value": 2}, {**CARD, "value": 3})) == ["added"] * 3
        assert outcomes(await w.add({**CARD, "value": 4})) == ["full"]
        removed = await w.call("DELETE", "/v1/watchlists/bad/entries", **SAID, entries=[CARD])
        assert outcomes(removed) == ["removed"]
        monkeypatch.setattr("scoring.rules.watchlist_desk.MOST_ENTRIES", 10_000)
        wanted = w.lists.truth.changes[0].wanted
        names = [ListName("demo-shop", "named", f"n{number}") for number in range(MOST_LISTS - 1)]
        w.desk.change([wanted._replace(list=name) for name in names], "command")
        assert outcomes(await w.add({"value": "1"}, name="one-more", mode="named")) == ["full"]
        assert outcomes(await w.add({"value": "1"}, name="n1", mode=None)) == ["added"]
        assert wanted.until != REMOVED


async def test_what_is_counted_holds_no_names(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.add(CARD, {**CARD, "kind": ""})
        text = (await w.tier.client.get("/metrics")).text
        assert 'clickgoose_ingest_list_entries_total{mode="deny",reason="",status="added"} 1.0' in text
        assert 'clickgoose_ingest_list_entries_total{mode="deny",reason="bad_kind",status="refused"} 1.0' in text
        assert 'clickgoose_ingest_requests_total{route="watchlists",status="200"} 1.0' in text
        assert "tok_1" not in text


def test_reasons_are_documented() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "watchlists.md").read_text("utf-8")
    for reason in Refusal:
        assert f"| `{reason.value}` |" in guide
